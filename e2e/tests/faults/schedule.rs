//! What is done to a deployment, and when: chosen by the seed alone.

use std::time::Duration;

use e2e::{instance::Kind, stack::Engine};
use rand::{Rng as _, rngs::StdRng, seq::SliceRandom as _};

/// What is done to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// `kill -9`, and a restart after this.
    Kill(Duration),
    /// SIGSTOP for this long: past the session of a group's member.
    Freeze(Duration),
    /// SIGTERM, and another in its place after this.
    Drain(Duration),
}

/// What is done to Meta's stand-in, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Connections break and are refused.
    Cut(Duration),
    /// Every request gets this behaviour.
    Behaves(&'static str, Duration),
    /// Every answer takes this many milliseconds.
    Slow(u64, Duration),
}

/// Blows to one target, each with its pause before it: one follows the other.
pub(crate) type Track<T> = Vec<(Duration, T)>;

/// The whole schedule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// To each instance of each worker.
    pub(crate) workers: Vec<(Kind, usize, Track<Blow>)>,
    /// `kill -9` of each engine, and a restart after this.
    pub(crate) engines: Vec<(Engine, Track<Duration>)>,
    /// To Meta's stand-in.
    pub(crate) meta: Track<Trouble>,
}

/// Every kind of fault, at other times and in another order with every seed.
pub(crate) fn plan(random: &mut StdRng, instances: usize) -> Schedule {
    let mut workers = Vec::new();
    for kind in [Kind::Forwarder, Kind::Ingest, Kind::Recorder] {
        let mut blows = vec![Blow::Kill(span(random, 0, 3000)), Blow::Freeze(span(random, 7000, 10_000))];
        blows.extend([Blow::Drain(span(random, 0, 2000)), Blow::Kill(span(random, 0, 1000))]);
        blows.shuffle(random);
        for instance in 0..instances {
            let own: Vec<_> = blows.iter().copied().skip(instance).step_by(instances).collect();
            workers.push((kind, instance, track(random, own)));
        }
    }
    let kafka = vec![(span(random, 6000, 28_000), span(random, 0, 3000))];
    let twice = [span(random, 0, 3000), span(random, 0, 6000)];
    let clickhouse = track(random, twice.to_vec());
    let mut meta = vec![
        Trouble::Cut(span(random, 500, 4000)),
        Trouble::Behaves("silence", span(random, 1000, 4000)),
        Trouble::Behaves("silence-counted", span(random, 500, 2000)),
        Trouble::Behaves(
            ["graph-503", "html-502", "code2", "reset"][random.random_range(0..4)],
            span(random, 1000, 5000),
        ),
    ];
    meta.push(Trouble::Slow(random.random_range(300..1500), span(random, 1000, 4000)));
    meta.shuffle(random);
    Schedule {
        workers,
        engines: vec![(Engine::Kafka, kafka), (Engine::ClickHouse, clickhouse)],
        meta: track(random, meta),
    }
}

fn track<T>(random: &mut StdRng, blows: Vec<T>) -> Track<T> {
    blows.into_iter().map(|blow| (span(random, 1500, 9000), blow)).collect()
}

fn span(random: &mut StdRng, from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_millis(random.random_range(from_ms..to_ms))
}
