//! That what hangs on a part of a search is not lost with it is seen here alone: in the dispatcher's tests a lost event
//! would report itself.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use schemas::{Call, CallId, ConversionEvent, Lane};
use tokio::sync::oneshot;

use super::*;
use crate::meta::{
    answer::Answer,
    channel::Route,
    classify::{Class, Fault},
    client::Bearer,
    dispatcher::Permit,
    job::Job,
    request::Envelope,
};

struct OneChannel(DatasetKey);

impl Channels for OneChannel {
    fn route(&self, _: &str) -> Option<Route> {
        Some(Route { key: self.0.clone(), max_concurrency: None })
    }

    fn channel(&self, _: &str) -> Result<Channel, ChannelFault> {
        Ok(Channel {
            route: Route { key: self.0.clone(), max_concurrency: None },
            envelope: Envelope { waba_id: "1".into(), partner_agent: None, test_event_code: None },
            bearer: Bearer::new("token").ok_or(ChannelFault::TokenUnreadable)?,
        })
    }
}

fn ticket(fence: &Arc<AtomicBool>) -> Ticket {
    let event = ConversionEvent { call: Call::blank(CallId::now(), 0), lane: Lane::Live, progress: None };
    let job = Job {
        event: Arc::new(event),
        start_by: Instant::now(),
        may_send: Arc::clone(fence),
        span: tracing::Span::none(),
        done: oneshot::channel().0,
    };
    Ticket::new(job, Permit::without_a_seat(Lane::Live))
}

#[tokio::test(start_paused = true)]
async fn what_hung_on_an_answer_comes_back_when_the_part_shrinks() {
    let key = DatasetKey { graph_version: "v26.0".into(), dataset_id: "77".into() };
    let (open, shut) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let events = vec![ticket(&shut), ticket(&open), ticket(&open), ticket(&open)];
    let refusal = Arc::new(Answer::none(Class::BadClick, String::new()));
    let part = Batch::fresh(events).rejected(&refusal, Fault::Event, 1000).next.unwrap();
    assert_eq!(part.events.len(), 2);
    shut.store(false, Ordering::SeqCst);
    let Prepared { request, back } = prepare(part, &key, &OneChannel(key.clone()), Instant::now(), 0);
    let (request, batch, _) = request.unwrap();
    assert_eq!((request.events.len(), batch.events.len(), back.len()), (1, 1, 2));
    assert!(batch.accepted(1000).1.is_none());
}
