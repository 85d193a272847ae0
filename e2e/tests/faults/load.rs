//! What merchants do meanwhile: chosen by the seed alone. Orders come once, again later, and several times at once from
//! both lanes and through both ingests, some by an id that looks like a call's; clicks are good, bad, and such that Meta
//! throttles, drops, counts without an answer or does not answer; events are new, or too old for Meta. What was not
//! answered is sent again, as a merchant does.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, bail};
use e2e::{
    answer::Answer,
    checker::Told,
    event::{now, purchase, with, without},
    gather::order_key,
    merchant::{Merchant, send},
};
use futures::future::try_join_all;
use rand::{
    Rng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use schemas::Lane;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

/// How long calls come.
const LASTS_MS: u64 = 38_000;
/// How long a merchant tries until it has an answer.
const PERSISTENCE: Duration = Duration::from_mins(4);
/// Of an event that Meta would not take any more, in seconds: a day over the seven that it takes.
const TOO_OLD: i64 = 8 * 24 * 60 * 60;

/// Click ids that the sandbox does something about; each ends as its name says, alone or in a batch.
const CLICKS: [&str; 18] = [
    "sandbox-invalid-clid",
    "sandbox-invalid-clid",
    "sandbox-bad-currency",
    "sandbox-drop",
    "sandbox-throttle-0-once",
    "sandbox-throttle-429-once",
    "sandbox-code4-once",
    "sandbox-code1-once",
    "sandbox-code2-twice",
    "sandbox-code2-x6",
    "sandbox-graph-503-once",
    "sandbox-reset-once",
    "sandbox-reset-counted-once",
    "sandbox-reset-counted-twice",
    "sandbox-html-502-counted-once",
    "sandbox-cut-short-counted-once",
    "sandbox-empty-200-once",
    "sandbox-silence-counted-once",
];

/// How the caller wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefer {
    Nothing,
    Wait(u8),
    Async,
}

/// Whether the call gets as far as Meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Sound,
    TooOld,
    WithoutCurrency,
    WrongKey,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    at: Duration,
    merchant: usize,
    ingest: usize,
    event_name: &'static str,
    /// Empty where the call names none.
    order: String,
    click: String,
    prefer: Prefer,
    pub(crate) form: Form,
}

/// The calls of `merchants` merchants through two ingests.
pub(crate) fn plan(random: &mut StdRng, merchants: usize) -> Vec<Planned> {
    let mut calls: Vec<Planned> = Vec::new();
    // Each in its turn: a round without one of them would say nothing of it.
    let mut clicks = CLICKS;
    clicks.shuffle(random);
    let mut clicks = clicks.into_iter().cycle();
    let mut at = 0;
    while at < LASTS_MS {
        let number = calls.len();
        let first = match calls.choose(random).filter(|earlier| !earlier.order.is_empty()).cloned() {
            // The same order again, later, perhaps with a better click.
            Some(earlier) if random.random_ratio(1, 5) => Planned {
                click: click(random, &mut clicks, number),
                prefer: prefer(random),
                at: Duration::from_millis(at),
                ..earlier
            },
            _ => anew(random, &mut clicks, number, at, merchants),
        };
        let together = if random.random_ratio(1, 8) && !first.order.is_empty() { random.random_range(1..4) } else { 0 };
        calls.push(first.clone());
        for _ in 0..together {
            calls.push(Planned { ingest: random.random_range(0..2), prefer: prefer(random), ..first.clone() });
        }
        at += random.random_range(20..150);
    }
    calls
}

fn anew(
    random: &mut StdRng,
    clicks: &mut impl Iterator<Item = &'static str>,
    number: usize,
    at: u64,
    merchants: usize,
) -> Planned {
    let order = match random.random_range(0..12) {
        0 => String::new(),
        1 => Uuid::from_u128(random.random()).to_string(),
        _ => format!("ORD-{number}"),
    };
    Planned {
        at: Duration::from_millis(at),
        merchant: random.random_range(0..merchants),
        ingest: random.random_range(0..2),
        event_name: if random.random_ratio(1, 8) { "ViewContent" } else { "Purchase" },
        order,
        click: click(random, clicks, number),
        prefer: prefer(random),
        form: match random.random_range(0..50) {
            0 => Form::WithoutCurrency,
            1 => Form::WrongKey,
            2..=3 => Form::TooOld,
            _ => Form::Sound,
        },
    }
}

fn click(random: &mut StdRng, clicks: &mut impl Iterator<Item = &'static str>, number: usize) -> String {
    let bad = if random.random_ratio(1, 4) { clicks.next() } else { None };
    bad.map_or_else(|| format!("ARAkLkA8rmlFeiCk-{number}"), |click| format!("{click}-c{number}"))
}

/// What the sandbox calls the answers that the click ids ask for.
pub(crate) fn answers_asked_for() -> BTreeSet<&'static str> {
    // Minutes to wait are no part of the name, nor is how often.
    const TIMES: [&str; 4] = ["-0-once", "-once", "-twice", "-x6"];
    let name = |click: &'static str| {
        let wish = click.trim_start_matches("sandbox-");
        TIMES.iter().find_map(|times| wish.strip_suffix(times)).unwrap_or(wish)
    };
    CLICKS.into_iter().map(name).collect()
}

fn prefer(random: &mut StdRng) -> Prefer {
    match random.random_range(0..10) {
        0..=3 => Prefer::Nothing,
        4..=5 => Prefer::Wait(random.random_range(0..4)),
        _ => Prefer::Async,
    }
}

/// Whether it has a call with each click id, of each form, with each kind of order id, and answered in each way.
pub(crate) fn is_whole(calls: &[Planned]) -> bool {
    let clicks = CLICKS.iter().all(|click| calls.iter().any(|call| call.click.starts_with(click)));
    let forms = [Form::Sound, Form::TooOld, Form::WithoutCurrency, Form::WrongKey];
    let forms = forms.iter().all(|form| calls.iter().any(|call| call.form == *form));
    let preferences: [fn(Prefer) -> bool; 3] = [
        |prefer| prefer == Prefer::Nothing,
        |prefer| prefer == Prefer::Async,
        |prefer| matches!(prefer, Prefer::Wait(_)),
    ];
    let orders: [fn(&str) -> bool; 3] =
        [str::is_empty, |order| order.parse::<Uuid>().is_ok(), |order| order.starts_with("ORD-")];
    let orders = orders.iter().all(|is| calls.iter().any(|call| is(&call.order)));
    clicks && forms && orders && preferences.iter().all(|is| calls.iter().any(|call| is(call.prefer)))
}

/// Makes all the calls, each at its time, and gives all the answers.
pub(crate) async fn run(calls: &[Planned], merchants: &[Merchant], ingests: &[String]) -> anyhow::Result<Vec<Told>> {
    let start = Instant::now();
    let made = calls.iter().map(|call| async move {
        sleep_until(start + call.at).await;
        insist(call, &merchants[call.merchant], ingests).await.with_context(|| format!("{call:?}"))
    });
    try_join_all(made).await
}

/// Calls until there is an answer that promises something: through the other ingest each time, after a little while.
async fn insist(call: &Planned, merchant: &Merchant, ingests: &[String]) -> anyhow::Result<Told> {
    let end = Instant::now() + PERSISTENCE;
    for attempt in 0.. {
        let ingest = &ingests[(call.ingest + attempt) % ingests.len()];
        let answer = request(call, &merchant.at(ingest.clone())).await;
        match answer {
            Ok(answer) if ![429, 503].contains(&answer.status) => return told(call, merchant, &answer),
            _ if Instant::now() > end => bail!("no answer but {answer:?}"),
            _ => sleep(Duration::from_millis(250 + 50 * call.merchant as u64)).await,
        }
    }
    bail!("unreachable: attempts are endless")
}

async fn request(call: &Planned, merchant: &Merchant) -> anyhow::Result<Answer> {
    let request = match call.form {
        Form::WrongKey => merchant.bare(&merchant.url_of(&merchant.business)).header("X-API-KEY", "no-key-of-ours"),
        Form::Sound | Form::TooOld | Form::WithoutCurrency => merchant.request(),
    };
    let request = match call.prefer {
        Prefer::Nothing => request,
        Prefer::Wait(seconds) => request.header("Prefer", format!("wait={seconds}")),
        Prefer::Async => request.header("Prefer", "respond-async"),
    };
    send(request.timeout(Duration::from_secs(25)).body(body(call).to_string())).await
}

fn body(call: &Planned) -> Value {
    let body = with(&purchase(&call.order), "/attribution/meta_ctwa/ctwa_clid", json!(call.click));
    let body = with(&body, "/event_name", json!(call.event_name));
    let body = if call.order.is_empty() { without(&body, "/payload/order_id") } else { body };
    match call.form {
        Form::Sound | Form::WrongKey => body,
        Form::TooOld => with(&body, "/payload/event_time", json!(now() - TOO_OLD)),
        Form::WithoutCurrency => without(&body, "/payload/currency"),
    }
}

fn told(call: &Planned, merchant: &Merchant, answer: &Answer) -> anyhow::Result<Told> {
    let word = if answer.status < 300 { answer.conversion_status() } else { answer.reason()? };
    Ok(Told {
        call: answer.call,
        order: order_key(&merchant.business, call.event_name, &call.order, &answer.call.to_string()),
        click: call.click.clone(),
        lane: if call.prefer == Prefer::Async { Lane::Backfill } else { Lane::Live },
        too_old: call.form == Form::TooOld,
        status: answer.status,
        word: word.to_owned(),
    })
}
