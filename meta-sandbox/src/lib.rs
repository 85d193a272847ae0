//! A stand-in for `graph.facebook.com`: Meta's Conversions API for Business Messaging, for development and tests.
//!
//! The way of a request: [`serve`] takes the connection, [`graph`] reads and judges what came as Meta would,
//! [`behaviour`] says what is asked of this click id, [`control`] what is asked of this dataset or of all, and
//! [`books`] keep what was counted, what came in and how it went. [`api`] shows and sets all of that under `/sandbox`.

pub mod api;
pub mod behaviour;
pub mod books;
pub mod control;
mod graph;
pub mod serve;
pub mod settings;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;

use crate::{behaviour::click_id::Wish, books::Books, control::Control};

/// All that one running sandbox knows. Cheap to clone: the clones are one sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

struct Shared {
    control: Mutex<Control>,
    books: Mutex<Books>,
    uses: Mutex<Uses>,
}

/// How often a click id that asks for "once", "twice", … has had its way, by the hash of the click id.
#[derive(Default)]
struct Uses {
    hasher: RandomState,
    by_click_id: HashMap<u64, u32>,
}

impl Sandbox {
    /// A sandbox that answers every request after `latency`, and keeps the details of the last `credits_kept` events.
    pub fn new(latency: Duration, credits_kept: usize) -> Self {
        Self(Arc::new(Shared {
            control: Mutex::new(Control::new(latency)),
            books: Mutex::new(Books::new(credits_kept)),
            uses: Mutex::default(),
        }))
    }

    /// The Graph API and the control API in one router.
    pub fn router(&self) -> Router {
        graph::router().merge(api::router()).with_state(self.clone())
    }

    /// Whether this click id still gets its wish; uses up one of its times.
    fn grants(&self, click_id: &str, wish: &Wish) -> bool {
        let Some(times) = wish.times else { return true };
        let mut uses = held(&self.0.uses);
        let key = uses.hasher.hash_one(click_id);
        let granted_before = uses.by_click_id.entry(key).or_default();
        let granted = *granted_before < times;
        *granted_before += u32::from(granted);
        granted
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        held(&self.0.control)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        held(&self.0.books)
    }

    /// Forgets everything that was seen, counted or used up, and every order given by the control API.
    fn reset(&self) {
        self.control().clear_all();
        self.books().clear();
        held(&self.0.uses).by_click_id.clear();
    }
}

/// Nothing in here is left half changed by a panic, so that a poisoned lock is as good as another.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
