//! Runs the tests: many at once, most of them on one shared deployment, each of the others on its own.

use std::{any::Any, panic::AssertUnwindSafe, process::ExitCode, sync::Arc};

use anyhow::anyhow;
use futures::FutureExt as _;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{
    runtime::Runtime,
    sync::{OnceCell, Semaphore},
};

use crate::{
    cluster::Cluster,
    deployment::{Deployment, Plan},
};

/// Tests at once: they wait far more than they compute.
const AT_ONCE: usize = 8;
/// Deployments at once beside the shared one: these do take memory and processors.
const DEPLOYMENTS: usize = 2;

/// What the tests of one run share.
pub struct Suite {
    runtime: Runtime,
    cluster: Cluster,
    /// What went wrong where it does not start: that is found out once, not by every test.
    shared: OnceCell<Result<Deployment, String>>,
    room: Semaphore,
}

/// Runs the tests that `list` names, and gives the exit code of the run.
#[expect(clippy::print_stderr, reason = "nothing was started: this is the one sentence that says why")]
pub fn main(list: impl FnOnce(&Arc<Suite>) -> anyhow::Result<Vec<Trial>>) -> ExitCode {
    run(list).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(list: impl FnOnce(&Arc<Suite>) -> anyhow::Result<Vec<Trial>>) -> anyhow::Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE));
    let suite = Arc::new(Suite {
        runtime: Runtime::new()?,
        cluster: Cluster::from_env()?,
        shared: OnceCell::new(),
        room: Semaphore::new(DEPLOYMENTS),
    });
    let conclusion = libtest_mimic::run(&arguments, list(&suite)?);
    let shared = Arc::into_inner(suite).and_then(|suite| {
        let _runtime = suite.runtime.enter();
        suite.shared.into_inner().and_then(Result::ok)
    });
    if let Some(shared) = shared.filter(|_| !conclusion.has_failed()) {
        shared.discard()?;
    }
    Ok(conclusion.exit_code())
}

impl Suite {
    /// A test on the shared deployment. It must not disturb others: businesses of its own, and no worker ended.
    pub fn shared<T>(self: &Arc<Self>, name: &str, test: T) -> Trial
    where
        T: AsyncFnOnce(&Deployment) -> anyhow::Result<()> + Send + 'static,
    {
        let suite = Arc::clone(self);
        Trial::test(name, move || {
            suite.runtime.block_on(async {
                let start = async || {
                    let started = Deployment::start(&suite.cluster, "shared", &Plan::default()).await;
                    started.map_err(|error| format!("the shared deployment does not start: {error:#}"))
                };
                let deployment = suite.shared.get_or_init(start).await.as_ref()?;
                outcome(test(deployment)).await.map_err(|error| failed(&error.context(deployment.tails())))
            })
        })
    }

    /// A test that starts all it needs by itself.
    pub fn alone<T>(self: &Arc<Self>, name: &str, test: T) -> Trial
    where
        T: AsyncFnOnce(&Cluster) -> anyhow::Result<()> + Send + 'static,
    {
        let suite = Arc::clone(self);
        Trial::test(name, move || {
            suite.runtime.block_on(async {
                let _room = suite.room.acquire().await?;
                outcome(test(&suite.cluster)).await.map_err(|error| failed(&error))
            })
        })
    }

    /// A test on a deployment of its own.
    pub fn own<T>(self: &Arc<Self>, name: &str, plan: Plan, test: T) -> Trial
    where
        T: AsyncFnOnce(&mut Deployment) -> anyhow::Result<()> + Send + 'static,
    {
        let suite = Arc::clone(self);
        let short = name.rsplit("::").next().unwrap_or(name).to_owned();
        Trial::test(name, move || {
            suite.runtime.block_on(async {
                let _room = suite.room.acquire().await?;
                let mut deployment =
                    Deployment::start(&suite.cluster, &short, &plan).await.map_err(|error| failed(&error))?;
                match outcome(test(&mut deployment)).await {
                    Ok(()) => deployment.discard().map_err(|error| failed(&error)),
                    Err(error) => Err(failed(&error.context(deployment.tails()))),
                }
            })
        })
    }
}

/// A test's end, a panic included.
async fn outcome(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    AssertUnwindSafe(test).catch_unwind().await.unwrap_or_else(|panic| Err(anyhow!(message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// The logs come first and what went wrong last, where it is seen.
fn failed(error: &anyhow::Error) -> Failed {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n").into()
}
