//! That a round was one: a round in which nothing was killed, or nothing came of the load, would be green and say nothing.

use std::collections::BTreeSet;

use anyhow::ensure;
use e2e::{
    checker::{Evidence, Row, Status, Told},
    history::{Deed, Fault},
    instance::Kind,
    stack::Engine,
};
use schemas::Lane;
use uuid::Uuid;

use crate::{
    load::{Form, answers_asked_for},
    schedule::{Blow, Schedule, Trouble},
};

/// What was seen of a round beside the evidence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// What the calls were like.
    pub(crate) forms: BTreeSet<Form>,
    /// What was done to each worker, in turn.
    pub(crate) workers: Vec<(Kind, usize, Vec<Deed>)>,
    /// How Meta's stand-in answered, by the names of its behaviours.
    pub(crate) answers: BTreeSet<String>,
}

/// What a round was to bring about and did not; nothing where it was one.
pub(crate) fn missing(schedule: &Schedule, seen: &Seen, evidence: &Evidence) -> Vec<String> {
    let mut missing: Vec<_> = blows(schedule, seen).chain(deeds(schedule, evidence)).collect();
    let unseen = answers_asked_for().into_iter().filter(|answer| !seen.answers.contains(*answer));
    missing.extend(unseen.map(|answer| format!("nobody got the answer {answer:?}")));
    missing.extend(outcomes(seen, evidence));
    missing
}

fn blows(schedule: &Schedule, seen: &Seen) -> impl Iterator<Item = String> {
    schedule.workers.iter().filter_map(|(kind, number, track)| {
        let of_it = seen.workers.iter().find(|(whose, which, _)| (whose, which) == (kind, number));
        let suffered = of_it.map(|(.., deeds)| deeds.as_slice()).unwrap_or_default();
        let all = suffered.len() == track.len() && track.iter().zip(suffered).all(|((_, blow), deed)| is(*blow, *deed));
        (!all).then(|| format!("{kind:?} {number} was to suffer {track:?}, and did {suffered:?}"))
    })
}

fn is(blow: Blow, deed: Deed) -> bool {
    match blow {
        Blow::Kill(_) => deed == Deed::Killed,
        Blow::Freeze(_) => deed == Deed::Frozen,
        Blow::Drain(_) => matches!(deed, Deed::Drained | Deed::DrainLeftCalls | Deed::DrainRanOut),
    }
}

/// What was to be done to others than workers.
fn deeds(schedule: &Schedule, evidence: &Evidence) -> impl Iterator<Item = String> {
    let kills = |engine| schedule.engines.iter().filter(|(of, _)| *of == engine).map(|(_, track)| track.len()).sum();
    let cuts = schedule.meta.iter().filter(|(_, trouble)| matches!(trouble, Trouble::Cut(_))).count();
    let planned = [
        (Deed::KafkaKilled, kills(Engine::Kafka)),
        (Deed::ClickHouseKilled, kills(Engine::ClickHouse)),
        (Deed::LineCut, cuts),
        (Deed::MetaOutage, schedule.meta.len() - cuts),
    ];
    planned.into_iter().filter_map(|(deed, times)| {
        let done = evidence.faults.iter().filter(|fault| fault.deed == deed).count();
        (done != times).then(|| format!("{deed:?} was to happen {times} times, and did {done}"))
    })
}

/// Some of each end that the load is meant to make.
fn outcomes(seen: &Seen, evidence: &Evidence) -> impl Iterator<Item = String> {
    let row = |is: fn(&Row) -> bool| evidence.rows.iter().any(is);
    let told = |word| evidence.told.iter().any(|told| told.word == word);
    let of_form = |form, word| !seen.forms.contains(&form) || told(word);
    let outcomes = [
        ("marked", row(|row| row.marked)),
        ("counted twice", evidence.counted.values().any(|times| *times > 1)),
        ("a duplicate", row(|row| row.status == Status::Duplicate)),
        ("rejected", row(|row| row.status == Status::Rejected && row.reason == "META_REJECTED")),
        ("dropped", row(|row| row.reason == "META_DROPPED")),
        ("answered forwarded", told("forwarded")),
        ("answered duplicate", told("duplicate")),
        ("answered pending", told("pending")),
        ("too old", !seen.forms.contains(&Form::TooOld) || row(|row| row.reason == "EVENT_TOO_OLD")),
        ("refused for its fields", of_form(Form::WithoutCurrency, "INVALID_FIELDS")),
        ("refused for its key", of_form(Form::WrongKey, "API_KEY_INVALID")),
    ];
    outcomes.into_iter().filter(|(_, happened)| !happened).map(|(what, _)| format!("no call was {what}"))
}

/// A round with all of it is one, and without any part of it is none.
pub(crate) fn too_little() -> anyhow::Result<()> {
    let (schedule, seen, evidence) = whole();
    ensure!(missing(&schedule, &seen, &evidence).is_empty(), "{:?}", missing(&schedule, &seen, &evidence));
    let nothing = missing(&schedule, &Seen::default(), &Evidence::default());
    ensure!(nothing.len() > 15, "of a round without anything it says {nothing:?}");
    let parts: [fn(&mut Seen, &mut Evidence); 9] = [
        |seen, _| drop(seen.workers.pop()),
        |seen, _| seen.workers[0].2.truncate(1),
        |seen, _| seen.workers[0].2.reverse(),
        |_, evidence| drop(evidence.faults.pop()),
        |seen, _| drop(seen.answers.pop_first()),
        |_, evidence| drop(evidence.rows.remove(0)),
        |_, evidence| evidence.rows[0].marked = false,
        |_, evidence| evidence.counted.clear(),
        |_, evidence| drop(evidence.told.pop()),
    ];
    for (number, without) in parts.iter().enumerate() {
        let (mut seen, mut evidence) = (seen.clone(), evidence.clone());
        without(&mut seen, &mut evidence);
        ensure!(missing(&schedule, &seen, &evidence).len() == 1, "part {number} is not missed, or not alone");
    }
    Ok(())
}

/// The least that is a round.
fn whole() -> (Schedule, Seen, Evidence) {
    let soon = std::time::Duration::ZERO;
    let schedule = Schedule {
        workers: vec![
            (Kind::Forwarder, 0, vec![(soon, Blow::Kill(soon)), (soon, Blow::Drain(soon))]),
            (Kind::Recorder, 1, vec![(soon, Blow::Freeze(soon))]),
        ],
        engines: vec![(Engine::Kafka, vec![(soon, soon)]), (Engine::ClickHouse, vec![(soon, soon)])],
        meta: vec![(soon, Trouble::Cut(soon)), (soon, Trouble::Slow(1, soon))],
    };
    let seen = Seen {
        forms: [Form::Sound, Form::TooOld, Form::WithoutCurrency, Form::WrongKey].into(),
        workers: vec![(Kind::Forwarder, 0, vec![Deed::Killed, Deed::Drained]), (Kind::Recorder, 1, vec![Deed::Frozen])],
        answers: answers_asked_for().into_iter().map(str::to_owned).collect(),
    };
    let row = |status, reason: &str, marked| {
        let (call, order, click, reason) = (Uuid::nil(), String::new(), String::new(), reason.to_owned());
        let (lane, too_old, http_status, duplicate_of) = (None, false, 200, None);
        Row { call, order, click, lane, too_old, http_status, status, reason, marked, duplicate_of }
    };
    let words = ["forwarded", "duplicate", "pending", "INVALID_FIELDS", "API_KEY_INVALID"];
    let told = words.map(|word| Told {
        call: Uuid::nil(),
        order: String::new(),
        click: String::new(),
        lane: Lane::Live,
        too_old: false,
        status: 200,
        word: word.to_owned(),
    });
    let fault = |deed| Fault { deed, of: String::new(), from: 0, until: 0 };
    let evidence = Evidence {
        told: told.into(),
        rows: vec![
            row(Status::Forwarded, "", true),
            row(Status::Duplicate, "", false),
            row(Status::Rejected, "META_REJECTED", false),
            row(Status::Rejected, "META_DROPPED", false),
            row(Status::Rejected, "EVENT_TOO_OLD", false),
        ],
        counted: [("an order".to_owned(), 2)].into(),
        faults: [Deed::KafkaKilled, Deed::ClickHouseKilled, Deed::LineCut, Deed::MetaOutage].map(fault).into(),
        ..Evidence::default()
    };
    (schedule, seen, evidence)
}
