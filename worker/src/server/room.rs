//! Room for so many connections. A flood of idle ones locks nobody out: where there is no room left, those that have been
//! quiet for longest make way. It asks nothing of addresses, since behind a proxy all callers share a few.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{counted::Counted, pace::Clock};

/// How long a connection may always be quiet: time enough for the head of its first request.
const LEAST_QUIET: Duration = Duration::from_secs(1);
/// How often it is looked again for connections that may go, while there is no room.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// To find the quietest takes a look at all, so that a part of the room is made at once: one in so many.
const PART: usize = 64;

/// Where connections stand.
pub(super) struct Room {
    permits: Arc<Semaphore>,
    size: usize,
    counted: Counted,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    connections: HashMap<u64, Connection>,
    next: u64,
}

struct Connection {
    clock: Clock,
    go: Arc<Notify>,
}

/// A connection's place, until it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    number: u64,
    clock: Clock,
    go: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(size: usize, counted: Counted) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { permits, size, counted, standing: Mutex::default() })
    }

    /// A place for a connection that begins now, once there is one.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        let permit = self.permit().await;
        let mut standing = self.standing();
        let (number, clock, go) = (standing.next, Clock::start(), Arc::new(Notify::new()));
        standing.next += 1;
        standing.connections.insert(number, Connection { clock: clock.clone(), go: Arc::clone(&go) });
        Place { room: Arc::clone(self), number, clock, go, _permit: permit }
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return permit;
            }
            self.make_way();
            if let Ok(Ok(permit)) = timeout(LOOK_EVERY, Arc::clone(&self.permits).acquire_owned()).await {
                return permit;
            }
        }
    }

    /// Asks the quietest to go.
    fn make_way(&self) {
        let (standing, now, most) = (self.standing(), Instant::now(), self.size / PART + 1);
        let quiet = |connection: &&Connection| {
            connection.clock.quiet_since().is_some_and(|since| now.duration_since(since) >= LEAST_QUIET)
        };
        let mut quiet: Vec<_> = standing.connections.values().filter(quiet).collect();
        quiet.sort_by_cached_key(|connection| connection.clock.quiet_since().unwrap_or(now));
        for connection in quiet.into_iter().take(most) {
            self.counted.made_way();
            connection.go.notify_one();
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The time of the connection that stands here: it began when the place was given.
    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Others need the place more.
    pub(super) async fn asked_to_go(&self) {
        self.go.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.standing().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::{advance, sleep};

    use super::*;

    async fn full(size: usize) -> (Arc<Room>, Vec<Place>) {
        let room = Room::new(size, Counted { connections: "connections", made_way: "made_way" });
        let mut places = Vec::new();
        for _ in 0..size {
            places.push(room.place().await);
            advance(Duration::from_millis(1)).await;
        }
        (room, places)
    }

    fn is_asked(place: &Place) -> bool {
        place.asked_to_go().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_quietest_makes_way() {
        let (room, mut places) = full(3).await;
        advance(LEAST_QUIET).await;
        drop(places[0].clock().busy(false));
        let newcomer = tokio::spawn(async move { room.place().await });
        sleep(LOOK_EVERY / 2).await;
        let asked: Vec<_> = places.iter().map(is_asked).collect();
        assert_eq!(asked, [false, true, false], "the first has just been answered");
        drop(places.remove(1));
        newcomer.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_busy_or_has_just_come_stays() {
        let (room, places) = full(2).await;
        let _busy = places[0].clock().busy(false);
        assert!(timeout(LEAST_QUIET / 2, room.place()).await.is_err());
        assert!(!places.iter().any(is_asked));
        assert!(timeout(LEAST_QUIET, room.place()).await.is_err());
        assert_eq!(places.iter().map(is_asked).collect::<Vec<_>>(), [false, true], "its time is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_the_room_is_made_at_once_and_nothing_is_remembered_of_who_left() {
        let (room, places) = full(2 * PART).await;
        advance(LEAST_QUIET).await;
        room.make_way();
        assert_eq!(places.iter().map(is_asked).collect::<Vec<_>>(), [[true; 3].as_slice(), &[false; 125]].concat());
        drop(places);
        assert!(room.standing().connections.is_empty());
    }
}
