//! What becomes of a request: which behaviour answers it, and which of its events are counted.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{envelope::Request, event::Event};
use crate::{
    Sandbox,
    behaviour::{
        Reply, catalogue,
        click_id::{Plan, wish},
    },
    books::credited::Credit,
};

/// The outcome of a request, before any of it is written down.
pub(super) struct Judgement {
    pub(super) plan: Plan,
    /// Events in the request; 0 where it was not read.
    pub(super) events: usize,
    /// What the answer says in `events_received`, where it says so.
    pub(super) received: usize,
    /// The click id that brought it about.
    pub(super) click_id: Box<str>,
    pub(super) credits: Vec<Credit>,
    pub(super) foreign_fields: Vec<String>,
    pub(super) without_event_id: u64,
}

/// Which events of a request are left out of the count.
enum Dropped {
    None,
    All,
    These(Vec<usize>),
}

/// Judges a request. What the control API ordered comes first, then the checks, then the wishes of the click ids.
pub(super) fn judge(sandbox: &Sandbox, ordered: Option<Plan>, request: &Request, number: u64) -> Judgement {
    let ordered = ordered.filter(|plan| !matches!(plan.behaviour.reply, Reply::Received));
    if let Some(plan) = ordered.filter(|plan| !plan.needs_events()) {
        return Judgement::uncounted(plan);
    }
    let envelope = match request.envelope() {
        Ok(envelope) => envelope,
        Err(behaviour) => return Judgement::uncounted(Plan::of(behaviour)),
    };
    let mut judgement = Judgement { events: envelope.data.len(), ..Judgement::uncounted(Plan::of(&catalogue::OK)) };
    judgement.foreign_fields = envelope.foreign_fields;
    let now = SystemTime::now();
    let now_s = now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let read = envelope.data.iter().map(|json| Event::read(json, now_s, &mut judgement.foreign_fields));
    let events = match read.collect::<Result<Vec<Event>, _>>() {
        Ok(events) => events,
        // All or nothing: one bad event refuses its batch, and the answer does not say which.
        Err(behaviour) => return Judgement { plan: Plan::of(behaviour), ..judgement },
    };
    judgement.without_event_id = events.iter().filter(|event| event.id.is_empty()).count() as u64;
    let (plan, decisive, dropped) = match ordered {
        Some(plan) => (plan, 0, dropped_by(&plan)),
        None => granted(sandbox, &events),
    };
    judgement.plan = plan;
    judgement.click_id = events.get(decisive).map(|event| event.click_id.clone()).unwrap_or_default();
    judgement.credits = credits(request, number, now, events, &dropped);
    judgement.received = judgement.credits.len();
    judgement
}

/// The name that the statistics know this by.
pub(super) fn outcome(plan: &Plan) -> String {
    Plan { number: None, ..*plan }.to_string()
}

impl Judgement {
    fn uncounted(plan: Plan) -> Self {
        Self {
            plan,
            events: 0,
            received: 0,
            click_id: Box::default(),
            credits: Vec::new(),
            foreign_fields: Vec::new(),
            without_event_id: 0,
        }
    }
}

/// The wish that decides for the request, and the index of its event. The first one granted wins; events that ask to
/// be dropped ask for themselves only, and get it where nobody else decides.
fn granted(sandbox: &Sandbox, events: &[Event]) -> (Plan, usize, Dropped) {
    let mut to_drop = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let Some(wish) = wish(&event.click_id) else { continue };
        match wish.plan.behaviour.reply {
            Reply::Received => {}
            Reply::DropEvent => to_drop.push((index, wish)),
            _ if sandbox.grants(&event.click_id, &wish) => return (wish.plan, index, dropped_by(&wish.plan)),
            _ => {}
        }
    }
    to_drop.retain(|(index, wish)| sandbox.grants(&events[*index].click_id, wish));
    match to_drop.first() {
        Some((first, wish)) => (wish.plan, *first, Dropped::These(to_drop.iter().map(|(index, _)| *index).collect())),
        None => (Plan::of(&catalogue::OK), 0, Dropped::None),
    }
}

fn dropped_by(plan: &Plan) -> Dropped {
    match plan.behaviour.reply {
        Reply::Received | Reply::Slow => Dropped::None,
        // Ordered by the control API, which names no event.
        Reply::DropEvent => Dropped::These(vec![0]),
        _ if plan.counted => Dropped::None,
        _ => Dropped::All,
    }
}

fn credits(request: &Request, number: u64, at: SystemTime, events: Vec<Event>, dropped: &Dropped) -> Vec<Credit> {
    let token = request.token_fingerprint();
    let counts = |index: &usize| match dropped {
        Dropped::None => true,
        Dropped::All => false,
        Dropped::These(dropped) => dropped.binary_search(index).is_err(),
    };
    let counted = events.into_iter().enumerate().filter(|(index, _)| counts(index));
    let credit = |event: Event| Credit {
        request: number,
        at,
        dataset: Arc::clone(&request.dataset),
        token: Arc::clone(&token),
        waba: event.waba,
        event_name: event.name,
        event_id: event.id,
        event_time: event.time,
        click_id: event.click_id,
        value: event.value,
        currency: event.currency,
    };
    counted.map(|(_, event)| credit(event)).collect()
}
