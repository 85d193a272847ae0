//! Calls in number, while workers come and go, and what must be true of them afterwards.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::ensure;
use e2e::{
    answer::Answer,
    checker::{Told, check},
    deployment::Deployment,
    event::purchase,
    gather::{self, order_key},
    merchant::Merchant,
    wait,
};
use futures::{StreamExt as _, stream};
use schemas::Lane;
use tokio::time::sleep;

/// Calls at once.
const AT_ONCE: usize = 24;

/// Calls of one merchant, each for an order of its own.
pub(crate) struct Load {
    merchant: Merchant,
    calls: usize,
    sent: AtomicUsize,
}

/// What became of the calls, as far as their callers know: the answers that promise something, and the orders without one.
pub(crate) struct Answered {
    pub(crate) told: Vec<Told>,
    pub(crate) unanswered: Vec<String>,
}

/// What is true of a merchant's calls in the end.
pub(crate) struct Ended {
    /// Calls on their order's list.
    pub(crate) marked: usize,
}

impl Load {
    pub(crate) fn new(merchant: &Merchant, calls: usize) -> Self {
        Self { merchant: merchant.clone(), calls, sent: AtomicUsize::new(0) }
    }

    /// Calls, one after the other has ended, so many at once; does not mind where no answer comes.
    pub(crate) async fn run(&self) -> Answered {
        let call = async |at: usize| {
            let order = format!("ORD-{at}");
            let answer = self.merchant.prefer("wait=2", &purchase(&order)).await;
            self.sent.fetch_add(1, Ordering::Relaxed);
            (order, answer.ok())
        };
        let answers: Vec<_> = stream::iter(0..self.calls).map(call).buffer_unordered(AT_ONCE).collect().await;
        let mut answered = Answered { told: Vec::new(), unanswered: Vec::new() };
        for (order, answer) in answers {
            match answer {
                Some(answer) if answer.status == 200 => answered.told.push(told(&self.merchant, &order, &answer)),
                _ => answered.unanswered.push(order),
            }
        }
        answered
    }

    /// Waits until this share of the calls has been answered.
    pub(crate) async fn reaches(&self, share: f64) {
        // The number of calls is small.
        #[expect(clippy::cast_precision_loss)]
        while (self.sent.load(Ordering::Relaxed) as f64) < share * self.calls as f64 {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Answered {
    /// Sends the calls again that were not answered, as a merchant does.
    pub(crate) async fn send_again(&mut self, merchant: &Merchant) -> anyhow::Result<()> {
        for order in self.unanswered.drain(..) {
            let body = purchase(&order);
            let again = async || Ok(merchant.call(&body).await.ok().filter(|answer| answer.status == 200));
            let answer = wait::until("an answer", again).await?;
            self.told.push(told(merchant, &order, &answer));
        }
        Ok(())
    }
}

/// What a caller knows of a call of its own, which reported the example's purchase.
pub(crate) fn told(merchant: &Merchant, order: &str, answer: &Answer) -> Told {
    let deferred = answer.header("preference-applied") == "respond-async";
    let click = &purchase(order)["attribution"]["meta_ctwa"]["ctwa_clid"];
    Told {
        call: answer.call,
        order: order_key(&merchant.business, "Purchase", order, ""),
        click: click.as_str().unwrap_or_default().to_owned(),
        lane: if deferred { Lane::Backfill } else { Lane::Live },
        too_old: false,
        status: answer.status,
        word: answer.conversion_status().to_owned(),
    }
}

/// Holds what is left against all that must be true in the end: every order credited, once or with a mark that has a cause,
/// a row for every call, nothing left to do.
pub(crate) async fn holds(
    deployment: &mut Deployment,
    merchant: &Merchant,
    answered: Answered,
) -> anyhow::Result<Ended> {
    let evidence = gather::evidence(deployment, std::slice::from_ref(merchant), answered.told, Vec::new()).await?;
    let findings: Vec<_> = check(&evidence).iter().map(ToString::to_string).collect();
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(Ended { marked: evidence.rows.iter().filter(|row| row.marked).count() })
}
