//! The dispatcher against a scripted Meta, with time paused.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

use schemas::{Call, CallId, ConversionEvent, MetaError};
use tokio::{sync::oneshot, time::sleep};

use super::*;
use crate::meta::{
    answer::Answer,
    channel::{Channel, ChannelFault, Route},
    classify::Class,
    client::Bearer,
    job::Settled,
    request::Envelope,
    usage::Usage,
    wire::Request,
};

const SECOND: Duration = Duration::from_secs(1);
/// What Meta takes for an answer here.
const TAKES: Duration = Duration::from_millis(200);

/// A Meta that answers by click id and writes down what it was sent.
#[derive(Clone, Default)]
struct Model(Arc<Mutex<Heard>>);

/// A request, as it came.
struct Carried {
    clicks: Vec<String>,
    at: Instant,
    class: Class,
    /// Whether its events count, answered or not.
    counts: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Says {
    Answers(Class),
    /// Its events count, and the connection is reset before an answer.
    CountsAndResets,
    /// Its events count, and no answer comes.
    CountsAndHangs,
}

#[derive(Default)]
struct Heard {
    requests: Vec<Carried>,
    /// How often each click id is still to be answered in a way of its own.
    script: BTreeMap<String, Vec<Says>>,
    counted: BTreeMap<String, u32>,
    at_once: usize,
    most_at_once: usize,
}

impl Model {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap()
    }

    /// The next requests that carry this click id are answered so, in turn.
    fn script(&self, click: &str, classes: &[Class]) {
        self.says(click, classes.iter().copied().map(Says::Answers));
    }

    fn says(&self, click: &str, turns: impl IntoIterator<Item = Says>) {
        self.heard().script.insert(click.into(), turns.into_iter().collect());
    }

    fn sizes(&self) -> Vec<usize> {
        self.heard().requests.iter().map(|carried| carried.clicks.len()).collect()
    }
}

impl Heard {
    fn says(&mut self, clicks: &[String]) -> Says {
        for click in clicks {
            match click.split('-').next() {
                Some("bad") => return Says::Answers(Class::BadClick),
                Some("silent") => return Says::Answers(Class::Unknown),
                _ => {}
            }
            if let Some(script) = self.script.get_mut(click).filter(|script| !script.is_empty()) {
                return script.remove(0);
            }
        }
        Says::Answers(Class::Accepted)
    }

    /// The requests that carried an event.
    fn carried(&self, click: &str) -> impl Iterator<Item = &Carried> {
        self.requests.iter().filter(move |carried| carried.clicks.iter().any(|sent| sent == click))
    }
}

impl Says {
    fn class(self) -> Class {
        match self {
            Self::Answers(class) => class,
            Self::CountsAndResets | Self::CountsAndHangs => Class::Unknown,
        }
    }

    fn counts(self) -> bool {
        !matches!(self, Self::Answers(class) if class != Class::Accepted)
    }

    fn takes(self) -> Duration {
        match self {
            Self::Answers(Class::Unknown) | Self::CountsAndHangs => SECOND * 15,
            _ => TAKES,
        }
    }
}

impl Wire for Model {
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        let clicks: Vec<_> = request.events.iter().map(|event| event.call.ctwa_clid.clone()).collect();
        Box::pin(async move {
            assert!(!clicks.contains(&"burst".to_owned()), "a fault of ours");
            let says = {
                let mut heard = self.heard();
                heard.at_once += 1;
                heard.most_at_once = heard.most_at_once.max(heard.at_once);
                let says = heard.says(&clicks);
                let (class, counts) = (says.class(), says.counts());
                heard.requests.push(Carried { clicks: clicks.clone(), at: Instant::now(), class, counts });
                says
            };
            sleep(says.takes()).await;
            let mut heard = self.heard();
            heard.at_once -= 1;
            if says.counts() {
                for click in clicks {
                    *heard.counted.entry(click).or_default() += 1;
                }
            }
            answer(says.class(), says.takes())
        })
    }
}

fn answer(class: Class, took: Duration) -> Answer {
    let mut answer = Answer { took, ..Answer::none(class, String::new()) };
    if !matches!(class, Class::Accepted | Class::Dropped | Class::Unknown | Class::NotSent) {
        answer.error = Some(MetaError {
            http_status: 400,
            code: Some(100),
            subcode: None,
            message: class.as_str().into(),
            fbtrace_id: String::new(),
        });
    }
    answer.usage = Usage::default();
    answer
}

/// Businesses named `dataset/waba`; `none` has no channel, `dark` an unreadable token.
#[derive(Clone, Default)]
struct Book(Arc<AtomicBool>);

impl Channels for Book {
    fn route(&self, business_id: &str) -> Option<Route> {
        if business_id == "none" || (business_id == "leaving" && self.0.load(Ordering::SeqCst)) {
            return None;
        }
        let dataset_id = match business_id {
            "moving" if self.0.load(Ordering::SeqCst) => "elsewhere",
            _ => business_id.split('/').next().unwrap(),
        };
        let key = DatasetKey { graph_version: "v26.0".into(), dataset_id: dataset_id.into() };
        let max_concurrency = match business_id {
            "narrow" => Some(1),
            "wide" => Some(1000),
            _ => None,
        };
        Some(Route { key, max_concurrency })
    }

    fn channel(&self, business_id: &str) -> Result<Channel, ChannelFault> {
        if business_id == "dark" {
            return Err(ChannelFault::TokenUnreadable);
        }
        Ok(Channel {
            route: self.route(business_id).ok_or(ChannelFault::Missing)?,
            envelope: Envelope { waba_id: business_id.into(), partner_agent: None, test_event_code: None },
            bearer: Bearer::new("token").unwrap(),
        })
    }
}

/// Events of these tests happened at the epoch, in a world whose clock each test sets.
static CLOCK_MS: AtomicI64 = AtomicI64::new(0);

struct World {
    model: Model,
    book: Book,
    dispatcher: Dispatcher,
    fence: Arc<AtomicBool>,
    vital: Vital,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::new(|| 0))
    }

    fn with(limits: Limits) -> Self {
        let (model, book, vital) = (Model::default(), Book::default(), Vital::default());
        let dispatcher = Dispatcher::new(model.clone(), book.clone(), limits, vital.clone());
        Self { model, book, dispatcher, fence: Arc::new(AtomicBool::new(true)), vital }
    }

    fn send(&self, business: &str, click: &str) -> oneshot::Receiver<Settled> {
        self.send_in(Lane::Live, business, click)
    }

    fn send_in(&self, lane: Lane, business: &str, click: &str) -> oneshot::Receiver<Settled> {
        let permit = self.dispatcher.admit(business, lane, 1000).unwrap();
        self.submit(permit, business, click)
    }

    fn submit(&self, permit: Permit, business: &str, click: &str) -> oneshot::Receiver<Settled> {
        let mut call = Call::blank(CallId::now(), 0);
        call.business_id = business.into();
        call.ctwa_clid = click.into();
        call.event_time = Some(0);
        let (done, report) = oneshot::channel();
        self.dispatcher.submit(
            permit,
            Job {
                event: Arc::new(ConversionEvent { call, lane: Lane::Live, progress: None }),
                start_by: Instant::now() + SECOND * 5,
                may_send: Arc::clone(&self.fence),
                span: tracing::Span::none(),
                done,
            },
        );
        report
    }

    fn many(&self, business: &str, clicks: impl IntoIterator<Item = String>) -> Vec<oneshot::Receiver<Settled>> {
        clicks.into_iter().map(|click| self.send(business, &click)).collect()
    }
}

fn goods(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|at| format!("good-{at}"))
}

async fn all(reports: Vec<oneshot::Receiver<Settled>>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for report in reports {
        names.push(report.await.unwrap().report.as_str());
    }
    names
}

#[tokio::test(start_paused = true)]
async fn a_lone_event_leaves_at_once_and_what_waits_goes_together() {
    let world = World::new();
    let start = Instant::now();
    let settled = world.send("narrow", "good").await.unwrap();
    assert_eq!((settled.report.as_str(), settled.attempts, settled.spent), ("accepted", 1, TAKES));
    assert_eq!(start.elapsed(), TAKES);

    let first = world.send("narrow", "good");
    tokio::task::yield_now().await;
    sleep(Duration::from_millis(1)).await;
    let reports = world.many("narrow", goods(1500));
    first.await.unwrap();
    assert!(all(reports).await.iter().all(|report| *report == "accepted"));
    assert_eq!(world.model.sizes(), [1, 1, 1000, 500]);
    assert_eq!(world.dispatcher.held(), 0);
}

/// Nobody waits for a backfill's events: what comes while a request is under way leaves together, as soon as it fills a
/// request or has waited for as long as Meta takes.
#[tokio::test(start_paused = true)]
async fn a_backfill_s_events_wait_for_company() {
    let world = World::new();
    let start = Instant::now();
    let mut reports = vec![world.send_in(Lane::Backfill, "1", "first")];
    for at in 0..50 {
        sleep(Duration::from_millis(1)).await;
        reports.push(world.send_in(Lane::Backfill, "1", &format!("good-{at}")));
    }
    sleep(Duration::from_millis(1)).await;
    reports.extend((50..1050).map(|at| world.send_in(Lane::Backfill, "1", &format!("good-{at}"))));
    assert!(all(reports).await.iter().all(|report| *report == "accepted"));
    let (sizes, heard) = (world.model.sizes(), world.model.heard());
    let began: Vec<_> = heard.requests.iter().map(|carried| (carried.at - start).as_millis() / 10 * 10).collect();
    assert_eq!((sizes, began), (vec![1, 1000, 50], vec![0, 50, 250]));
}

/// One bad event refuses its whole request. A group test on the best of all sizes takes 0.081 requests an event.
#[tokio::test(start_paused = true)]
async fn one_bad_event_of_a_hundred_costs_a_tenth_of_a_request_an_event() {
    const EVENTS: usize = 20_000;
    let world = World::new();
    let mut reports = Vec::new();
    for at in 0..EVENTS {
        // Spread as chance would, and the same each time.
        let click = if at * 7_919 % 10_007 < 100 { format!("bad-{at}") } else { format!("good-{at}") };
        reports.push(world.send_in(Lane::Backfill, "1", &click));
        if at % 6 == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    let settled = all(reports).await;
    let late = settled.iter().filter(|report| !matches!(**report, "accepted" | "rejected")).count();
    let requests = world.model.sizes().len();
    assert!(late < EVENTS / 100 && requests * 100 < EVENTS * 9, "{requests} requests, {late} late");
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_are_bounded_for_a_dataset_and_for_the_process() {
    let mut limits = Limits::new(|| 0);
    (limits.dataset_requests, limits.process_requests) = (3, 5);
    let world = World::with(limits);
    let mut reports = Vec::new();
    for at in 0..30 {
        reports.push(world.send(&format!("dataset-{}", at % 3), &format!("good-{at}")));
        sleep(Duration::from_millis(1)).await;
    }
    assert!(all(reports).await.iter().all(|report| *report == "accepted"));
    assert_eq!(world.model.heard().most_at_once, 5);
}

#[tokio::test(start_paused = true)]
async fn silent_datasets_hold_the_slots_of_the_process_for_a_moment_only() {
    let mut limits = Limits::new(|| 0);
    (limits.dataset_requests, limits.process_requests) = (2, 4);
    let world = World::with(limits);
    let mut silent = Vec::new();
    for at in 0..4 {
        silent.push(world.send(&format!("dead-{}", at % 2), &format!("silent-{at}")));
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(world.model.heard().requests.len(), 4, "every slot is taken");
    assert_eq!(all(vec![world.send("alive", "good")]).await, ["accepted"], "within the 5 s that its intent lives");
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn no_channel_s_setting_takes_more_than_half_of_the_slots() {
    let world = World::with(Limits { process_requests: 8, ..Limits::new(|| 0) });
    let mut reports = Vec::new();
    for at in 0..20 {
        reports.push(world.send("wide", &format!("good-{at}")));
        sleep(Duration::from_millis(1)).await;
    }
    assert!(all(reports).await.iter().all(|report| *report == "accepted"));
    assert_eq!(world.model.heard().most_at_once, 4);
}

#[tokio::test(start_paused = true)]
async fn bad_events_are_found_and_the_good_ones_are_counted_once() {
    let world = World::new();
    let name = |at| if at % 250 == 3 { format!("bad-{at}") } else { format!("good-{at}") };
    let clicks: Vec<_> = (0..1000).map(name).collect();
    let reports = world.many("1", clicks.clone());
    for (click, report) in clicks.iter().zip(reports) {
        let settled = report.await.unwrap();
        let expected = if click.starts_with("bad") { "rejected" } else { "accepted" };
        assert_eq!(settled.report.as_str(), expected, "{click}");
        assert!(!settled.had_unknown);
    }
    let heard = world.model.heard();
    assert_eq!(heard.counted.len(), 996);
    assert!(heard.counted.values().all(|count| *count == 1));
    for click in clicks.iter().filter(|click| click.starts_with("bad")) {
        assert!(heard.requests.iter().any(|carried| carried.clicks == [click.as_str()]), "{click} went alone");
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_starts_after_an_intent_s_time() {
    let world = World::new();
    // Every request is refused: the search for so many bad events takes longer than the intents live.
    let start = Instant::now();
    let reports = world.many("narrow", (0..200).map(|at| format!("bad-{at}")));
    let reports = all(reports).await;
    assert!(reports.contains(&"rejected") && reports.contains(&"not_started"), "{reports:?}");
    assert!(world.model.heard().requests.iter().all(|carried| carried.at - start <= SECOND * 5));
    assert!(start.elapsed() < SECOND * 6);
}

#[tokio::test(start_paused = true)]
async fn events_of_different_channels_travel_apart() {
    let world = World::new();
    let mut reports = world.many("7/a", goods(3));
    reports.extend(world.many("7/b", goods(2)));
    assert!(all(reports).await.iter().all(|report| *report == "accepted"));
    assert_eq!(world.model.sizes(), [3, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_read_at_the_time_of_sending() {
    let world = World::new();
    assert_eq!(all(vec![world.send("none", "good")]).await, ["no_channel"]);
    assert_eq!(all(vec![world.send("dark", "good")]).await, ["token_unreadable"]);
    let leaving = world.dispatcher.admit("leaving", Lane::Live, 1).unwrap();
    let moving = world.dispatcher.admit("moving", Lane::Live, 1).unwrap();
    world.book.0.store(true, Ordering::SeqCst);
    let reports = vec![world.submit(leaving, "leaving", "good"), world.submit(moving, "moving", "good")];
    assert_eq!(all(reports).await, ["no_channel", "not_started"]);
    assert!(world.model.heard().requests.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fenced_event_does_not_leave() {
    let world = World::new();
    world.fence.store(false, Ordering::SeqCst);
    assert_eq!(all(vec![world.send("1", "good")]).await, ["not_started"]);
    assert!(world.model.heard().requests.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_age_is_checked_before_every_request() {
    let world = World::with(Limits::new(|| CLOCK_MS.load(Ordering::SeqCst)));
    world.model.script("good", &[Class::Transient]);
    let report = world.send("1", "good");
    sleep(TAKES / 2).await;
    CLOCK_MS.store(7 * 24 * 3600 * 1000, Ordering::SeqCst);
    let settled = report.await.unwrap();
    assert_eq!((settled.report, settled.attempts), (Report::TooOld, 1));
    assert_eq!(settled.last_error.unwrap().message, "transient");
}

#[tokio::test(start_paused = true)]
async fn quick_retries_settle_what_was_transient_or_never_left() {
    let world = World::new();
    world.model.script("good", &[Class::Transient, Class::NotSent]);
    let settled = world.send("1", "good").await.unwrap();
    assert_eq!((settled.report.as_str(), settled.attempts, settled.had_unknown), ("accepted", 3, false));
    assert_eq!(settled.spent, TAKES * 3);
}

#[tokio::test(start_paused = true)]
async fn what_stays_transient_goes_to_a_tier_without_a_mark() {
    let world = World::new();
    world.model.script("good", &[Class::Transient; 9]);
    let settled = world.send("1", "good").await.unwrap();
    assert_eq!(settled.report, Report::Retry { class: Class::Transient, after: Duration::ZERO });
    assert!(!settled.had_unknown);
    assert!((2..=5).contains(&settled.attempts), "{}", settled.attempts);
}

#[tokio::test(start_paused = true)]
async fn silence_is_unknown_and_no_retry_starts_after_the_deadline() {
    let world = World::new();
    let settled = world.send("1", "silent").await.unwrap();
    assert_eq!((settled.report, settled.attempts, settled.had_unknown), (Report::Unknown, 1, true));
}

#[tokio::test(start_paused = true)]
async fn a_throttle_closes_the_dataset_and_opens_it_again() {
    let world = World::new();
    world.model.script("good", &[Class::Throttled]);
    let settled = world.send("1", "good").await.unwrap();
    // Meta named no time: the pause of a second fits into the intent's time.
    assert_eq!((settled.report.as_str(), settled.attempts), ("accepted", 2));

    world.model.script("good", &[Class::Blocked]);
    let report = world.send("1", "good").await.unwrap().report;
    let Report::Retry { class: Class::Blocked, after } = report else { panic!("{report:?}") };
    assert!(after >= SECOND * 60);
    let Err(OverShare::Paused { retry_after }) = world.dispatcher.admit("1", Lane::Live, 1) else { panic!("let in") };
    assert!(retry_after <= after);
    sleep(after).await;
    assert_eq!(all(vec![world.send("1", "good")]).await, ["accepted"]);
    assert_eq!(all(vec![world.send("1", "good")]).await, ["accepted"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_dataset_that_closes_is_told_at_once() {
    let world = World::new();
    world.model.script("good", &[Class::Blocked]);
    let first = world.send("narrow", "good");
    sleep(Duration::from_millis(1)).await;
    let waiting = world.send("narrow", "good-2");
    let start = Instant::now();
    assert_eq!(all(vec![first, waiting]).await, ["retry", "retry"]);
    assert!(start.elapsed() <= TAKES);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_quick_retry_at_a_dataset_that_closes_is_told_at_once() {
    let world = World::new();
    world.model.script("good", &[Class::Transient]);
    world.model.script("good-2", &[Class::Blocked]);
    let first = world.send("1", "good");
    sleep(SECOND / 20).await;
    let second = world.send("1", "good-2");
    let closing = Instant::now() + TAKES;
    assert_eq!(all(vec![second, first]).await, ["retry", "retry"]);
    assert!(Instant::now() - closing < SECOND / 20, "{:?} late", Instant::now() - closing);
}

#[tokio::test(start_paused = true)]
async fn a_dead_dataset_delays_no_other() {
    let world = World::new();
    let dead: Vec<_> = (0..2000).map(|at| world.send("dead", &format!("silent-{at}"))).collect();
    for at in 0..50 {
        let start = Instant::now();
        assert_eq!(all(vec![world.send("alive", &format!("good-{at}"))]).await, ["accepted"]);
        assert_eq!(start.elapsed(), TAKES);
    }
    assert!(all(dead).await.iter().all(|report| matches!(*report, "unknown" | "not_started")));
}

#[tokio::test(start_paused = true)]
async fn the_breaker_spares_a_dataset_that_does_not_answer() {
    let world = World::new();
    for at in 0..10 {
        let click = format!("good-{at}");
        world.model.script(&click, &[Class::NotSent; 9]);
        world.send("1", &click).await.unwrap();
    }
    let Err(OverShare::Paused { retry_after }) = world.dispatcher.admit("1", Lane::Live, 1) else { panic!("let in") };
    sleep(retry_after).await;
    let probe = world.send("1", "good");
    assert!(matches!(world.dispatcher.admit("1", Lane::Live, 1), Err(OverShare::Paused { .. })));
    assert_eq!(all(vec![probe]).await, ["accepted"]);
    assert!(world.dispatcher.admit("1", Lane::Live, 1).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_never_leaves_makes_room_for_another() {
    let world = World::new();
    world.model.script("good", &[Class::Blocked]);
    let Report::Retry { after, .. } = world.send("1", "good").await.unwrap().report else { panic!("not blocked") };
    sleep(after).await;
    drop(world.dispatcher.admit("1", Lane::Live, 1).unwrap());
    assert!(world.dispatcher.admit("1", Lane::Live, 1).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_over_a_share_is_not_let_in() {
    let mut limits = Limits::new(|| 0);
    limits.dataset = Room { events: 4, bytes: 1 << 20 };
    limits.process = Room { events: 6, bytes: 1 << 20 };
    let world = World::with(limits);
    let permits: Vec<_> = (0..4).map(|_| world.dispatcher.admit("1", Lane::Live, 1).unwrap()).collect();
    assert!(matches!(world.dispatcher.admit("1", Lane::Live, 1), Err(OverShare::Full)));
    let _other: Vec<_> = (0..2).map(|_| world.dispatcher.admit("2", Lane::Live, 1).unwrap()).collect();
    assert!(matches!(world.dispatcher.admit("3", Lane::Live, 1), Err(OverShare::Full)));
    drop(permits);
    assert_eq!(world.dispatcher.held(), 2);
    // The room that is full must not swallow the one event that may try a closed dataset out.
    world.model.script("good", &[Class::Blocked]);
    let Report::Retry { after, .. } = world.send("1", "good").await.unwrap().report else { panic!("not blocked") };
    sleep(after).await;
    let others: Vec<_> = (0..4).map(|_| world.dispatcher.admit("4", Lane::Live, 1).unwrap()).collect();
    assert!(matches!(world.dispatcher.admit("1", Lane::Live, 1), Err(OverShare::Full)));
    drop(others);
    assert!(world.dispatcher.admit("1", Lane::Live, 1).is_ok());
}

#[tokio::test(start_paused = true)]
async fn live_events_go_before_a_backfill_s() {
    let world = World::new();
    let first = world.send("narrow", "good");
    sleep(Duration::from_millis(1)).await;
    let backfill = world.send_in(Lane::Backfill, "narrow", "good-b");
    let live = world.send_in(Lane::Live, "narrow", "good-l");
    all(vec![first, backfill, live]).await;
    let heard = world.model.heard();
    let order: Vec<_> = heard.requests.iter().map(|carried| carried.clicks[0].as_str()).collect();
    assert_eq!(order, ["good", "good-l", "good-b"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_counted_short_is_accepted_and_the_next_events_go_singly() {
    let world = World::new();
    world.model.script("good-0", &[Class::Dropped, Class::Dropped]);
    let settled: Vec<_> = {
        let mut settled = Vec::new();
        for report in world.many("1", goods(3)) {
            settled.push(report.await.unwrap());
        }
        settled
    };
    assert!(settled.iter().all(|settled| settled.report.as_str() == "counted_short"));
    assert_eq!(all(world.many("1", goods(3))).await, ["dropped", "accepted", "accepted"]);
    assert_eq!(world.model.sizes(), [3, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_dataset_is_forgotten() {
    let world = World::new();
    world.send("1", "good").await.unwrap();
    let permit = world.dispatcher.admit("2", Lane::Live, 1).unwrap();
    sleep(SECOND * 200).await;
    let left: Vec<_> = world.dispatcher.0.registry().keys().map(|key| key.dataset_id.clone()).collect();
    assert_eq!(left, ["2"]);
    assert_eq!(all(vec![world.submit(permit, "2", "good")]).await, ["accepted"]);
    assert_eq!(all(vec![world.send("1", "good")]).await, ["accepted"]);
}

#[test]
fn a_ticket_that_is_lost_reports_what_is_known() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (under_way, waiting) = runtime.block_on(async {
        let world = World::new();
        let under_way = world.send("narrow", "silent");
        sleep(Duration::from_millis(20)).await;
        let waiting = world.send("narrow", "good");
        sleep(Duration::from_millis(20)).await;
        (under_way, waiting)
    });
    drop(runtime);
    let under_way = under_way.blocking_recv().unwrap();
    assert_eq!((under_way.report, under_way.attempts, under_way.had_unknown), (Report::Unknown, 1, true));
    assert_eq!(waiting.blocking_recv().unwrap().report, Report::NotStarted);
}

/// What is reported of an event is true of what Meta did.
fn is_true(heard: &Heard, click: &str, settled: &Settled) {
    let report = settled.report.as_str();
    let requests = || heard.carried(click);
    assert_eq!(settled.attempts, u32::try_from(requests().count()).unwrap(), "{click}: {settled:?}");
    let answered = requests().filter(|carried| carried.class == Class::Accepted).count();
    assert_eq!(answered, usize::from(report == "accepted"), "{click}: {settled:?}");
    // The mark: of every event that an unanswered request carried, alone or in a batch, and of no other.
    let unknown = requests().any(|carried| carried.class == Class::Unknown);
    assert_eq!(settled.had_unknown, unknown, "{click}: {settled:?}");
    assert!(unknown || report != "unknown", "{click}: {settled:?}");
    let counted = requests().filter(|carried| carried.counts).count();
    assert_eq!(heard.counted.get(click).copied().unwrap_or(0), u32::try_from(counted).unwrap(), "{click}");
    let unmarked = usize::from(report == "accepted");
    assert!(settled.had_unknown || counted == unmarked, "{click} counted {counted} times: {settled:?}");
    if let Report::Rejected { answer } = &settled.report {
        // A token's fault that only one request met convicts at most the lone event in it.
        let lone = requests().any(|carried| carried.clicks.len() == 1);
        assert!(lone && (answer.class == Class::Token || click.starts_with("bad")), "{click}: {settled:?}");
        assert_eq!(settled.last_error, answer.error);
    }
}

/// A random world: a tenth of the events is bad, and many requests fail in every way there is, those among them whose
/// events Meta counted. Whatever happens, each event gets one report, and the report is true of what Meta did.
#[tokio::test(start_paused = true)]
async fn every_report_is_true() {
    const FAILURES: [Says; 8] = [
        Says::Answers(Class::Transient),
        Says::Answers(Class::NotSent),
        Says::Answers(Class::Unknown),
        Says::Answers(Class::Throttled),
        Says::Answers(Class::Token),
        Says::Answers(Class::Transient),
        Says::CountsAndResets,
        Says::CountsAndHangs,
    ];
    let mut seed = 11_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut reported = BTreeMap::<&str, usize>::new();
    let (mut marked_and_accepted, mut counted_twice) = (0, 0);
    for _ in 0..40 {
        let world = World::new();
        let mut events = Vec::new();
        for at in 0..random(300) {
            let click = if random(10) == 0 { format!("bad-{at}") } else { format!("good-{at}") };
            if random(40) == 0 {
                let failure = FAILURES[usize::try_from(random(8)).unwrap()];
                world.model.says(&click, [failure]);
            }
            let lane = if random(2) == 0 { Lane::Live } else { Lane::Backfill };
            let Ok(permit) = world.dispatcher.admit("1", lane, 100) else { continue };
            events.push((click.clone(), world.submit(permit, "1", &click)));
            if random(20) == 0 {
                sleep(Duration::from_millis(random(400))).await;
            }
            if random(2000) == 0 {
                world.fence.store(false, Ordering::SeqCst);
            }
        }
        for (click, report) in events {
            let settled = report.await.unwrap();
            let heard = world.model.heard();
            is_true(&heard, &click, &settled);
            *reported.entry(settled.report.as_str()).or_default() += 1;
            marked_and_accepted += usize::from(settled.had_unknown && settled.report.as_str() == "accepted");
            counted_twice += usize::from(heard.counted.get(&click).is_some_and(|times| *times > 1));
        }
        assert_eq!(world.dispatcher.held(), 0);
    }
    for report in ["accepted", "rejected", "unknown", "not_started"] {
        assert!(reported.contains_key(report), "{reported:?}");
    }
    assert!(
        marked_and_accepted > 0 && counted_twice > 0,
        "what the mark is for happened: {marked_and_accepted}, {counted_twice}"
    );
}

/// A good event in a refused batch has nothing to do with the error that the batch drew.
#[tokio::test(start_paused = true)]
async fn another_event_s_error_does_not_stay_with_a_good_one() {
    let world = World::new();
    let mut reports = world.many("1", ["bad".to_owned(), "good".to_owned()]);
    let (good, bad) = (reports.pop().unwrap().await.unwrap(), reports.pop().unwrap().await.unwrap());
    assert_eq!((good.report.as_str(), good.last_error), ("accepted", None));
    assert_eq!((bad.report.as_str(), bad.last_error.unwrap().message.as_str()), ("rejected", "bad_click"));
}

/// Whether Meta counted what it carried is not known, and the dataset goes on.
#[tokio::test(start_paused = true)]
async fn a_request_that_panics_is_unknown_and_costs_nothing_else() {
    let world = World::new();
    assert_eq!(world.send("1", "burst").await.unwrap().report, Report::Unknown);
    assert!(matches!(world.send("1", "good").await.unwrap().report, Report::Accepted { .. }));
    assert_eq!(world.vital.lost(), None);
}

/// Nobody would send for its dataset any more.
#[tokio::test(start_paused = true)]
async fn a_dataset_s_task_that_panics_ends_the_worker() {
    let world = World::with(Limits::new(|| panic!("a fault of ours")));
    assert_eq!(world.send("1", "good").await.unwrap().report, Report::NotStarted);
    assert_eq!(world.vital.lost(), Some("dataset"));
}
