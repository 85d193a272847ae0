//! Carries a schedule out: each target's blows one after the other, all targets at once.

use std::{sync::Mutex, time::Duration};

use anyhow::Context as _;
use e2e::{
    deployment::Deployment,
    history::{Deed, Fault, now_ms},
    instance::Instance,
    line::Line,
    sandbox::Sandbox,
    stack::{Engine, Stack},
};
use futures::{
    FutureExt as _,
    future::{LocalBoxFuture, try_join_all},
};
use tokio::time::sleep;

use crate::schedule::{Blow, Schedule, Track, Trouble};

/// Meta takes this long for an answer, so that there is always something on its way.
pub(crate) const USUAL_LATENCY: &str = "40ms";

/// The line to Meta's stand-in, and how it is laid anew.
pub(crate) struct ToMeta {
    pub(crate) near: std::net::SocketAddr,
    pub(crate) far: String,
    pub(crate) line: Option<Line>,
}

/// Does all of it, and notes in `done` what was done to others than workers, which keep their own history.
pub(crate) async fn perform(
    schedule: &Schedule,
    deployment: &mut Deployment,
    stack: &Stack,
    to_meta: &mut ToMeta,
    done: &Mutex<Vec<Fault>>,
) -> anyhow::Result<()> {
    let sandbox = deployment.sandbox.clone();
    let mut tracks: Vec<LocalBoxFuture<'_, anyhow::Result<()>>> = Vec::new();
    for (kind, number, instance) in deployment.numbered() {
        let of = schedule.workers.iter().find(|(whose, which, _)| (*whose, *which) == (kind, number));
        tracks.extend(of.map(|(.., track)| blows(track, instance).boxed_local()));
    }
    for (engine, track) in &schedule.engines {
        tracks.push(kills(*engine, track, stack, done).boxed_local());
    }
    tracks.push(troubles(&schedule.meta, &sandbox, to_meta, done).boxed_local());
    try_join_all(tracks).await.map(|_| ())
}

async fn blows(track: &Track<Blow>, instance: &mut Instance) -> anyhow::Result<()> {
    for (pause, blow) in track {
        sleep(*pause).await;
        strike(*blow, instance).await.with_context(|| format!("{blow:?} of {}", instance.log().display()))?;
    }
    Ok(())
}

async fn strike(blow: Blow, instance: &mut Instance) -> anyhow::Result<()> {
    match blow {
        Blow::Freeze(lasts) => {
            instance.freeze().await?;
            sleep(lasts).await;
            return instance.thaw().await;
        }
        Blow::Kill(down) => {
            instance.kill().await?;
            sleep(down).await;
        }
        Blow::Drain(down) => {
            instance.drain().await?;
            sleep(down).await;
        }
    }
    instance.restart().await
}

async fn kills(engine: Engine, track: &Track<Duration>, stack: &Stack, done: &Mutex<Vec<Fault>>) -> anyhow::Result<()> {
    for (pause, down) in track {
        sleep(*pause).await;
        if engine == Engine::ClickHouse {
            stack.an_insert_runs().await;
        }
        let from = now_ms();
        stack.kill(engine).await?;
        sleep(*down).await;
        stack.restart(engine).await?;
        let deed = if engine == Engine::Kafka { Deed::KafkaKilled } else { Deed::ClickHouseKilled };
        note(done, deed, engine.name(), from);
    }
    Ok(())
}

async fn troubles(
    track: &Track<Trouble>,
    sandbox: &Sandbox,
    to_meta: &mut ToMeta,
    done: &Mutex<Vec<Fault>>,
) -> anyhow::Result<()> {
    for (pause, trouble) in track {
        sleep(*pause).await;
        let from = now_ms();
        match trouble {
            Trouble::Cut(lasts) => {
                if let Some(line) = to_meta.line.take() {
                    line.cut().await;
                }
                note(done, Deed::LineCut, "the line to Meta", from);
                sleep(*lasts).await;
                to_meta.line = Some(Line::open(to_meta.near, to_meta.far.clone()).await?);
            }
            Trouble::Behaves(behaviour, lasts) => {
                sandbox.put(&format!("outage?behaviour={behaviour}")).await?;
                sleep(*lasts).await;
                sandbox.clear_outage().await?;
                note(done, Deed::MetaOutage, behaviour, from);
            }
            Trouble::Slow(millis, lasts) => {
                sandbox.put(&format!("latency?latency={millis}ms")).await?;
                sleep(*lasts).await;
                sandbox.put(&format!("latency?latency={USUAL_LATENCY}")).await?;
                note(done, Deed::MetaOutage, &format!("{millis} ms"), from);
            }
        }
    }
    Ok(())
}

fn note(done: &Mutex<Vec<Fault>>, deed: Deed, of: &str, from: i64) {
    let fault = Fault { deed, of: of.to_owned(), from, until: now_ms() };
    done.lock().unwrap().push(fault);
}
