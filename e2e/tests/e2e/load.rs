//! Calls in number, while workers come and go, and what must be true of them afterwards.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{bail, ensure};
use e2e::{answer::Answer, deployment::Deployment, event::purchase, merchant::Merchant, wait};
use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio::time::sleep;

/// Calls at once.
const AT_ONCE: usize = 24;

/// Calls of one merchant, each for an order of its own.
pub(crate) struct Load {
    merchant: Merchant,
    calls: usize,
    sent: AtomicUsize,
}

/// What became of the calls, as far as their callers know: by order, the answers that promise something.
pub(crate) struct Answered {
    pub(crate) acknowledged: HashMap<String, Answer>,
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
        let mut answered = Answered { acknowledged: HashMap::new(), unanswered: Vec::new() };
        for (order, answer) in answers {
            match answer {
                Some(answer) if answer.status == 200 => {
                    answered.acknowledged.insert(order, answer);
                }
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
            self.acknowledged.insert(order, answer);
        }
        Ok(())
    }
}

/// Every acknowledged call ends with exactly one row, which is a success; every order is counted once, or its calls say
/// that it may have been counted more often.
pub(crate) async fn holds(deployment: &Deployment, merchant: &Merchant, answered: &Answered) -> anyhow::Result<Ended> {
    let select = format!(
        "SELECT toString(call_id) AS call, order_id, conversion_status, possibly_duplicate FROM calls \
         WHERE business_id = '{}'",
        merchant.business
    );
    let acknowledged = &answered.acknowledged;
    let calls: HashSet<_> = acknowledged.values().map(|answer| answer.call.to_string()).collect();
    let all_final = |rows: &[Value]| {
        let there = rows.iter().filter(|row| row["call"].as_str().is_some_and(|call| calls.contains(call))).count();
        there >= calls.len() && rows.iter().all(|row| row["conversion_status"] != "pending")
    };
    let rows = deployment.analyst.rows_when(&select, all_final).await?;
    let mut credited: BTreeMap<String, usize> = BTreeMap::new();
    for event in deployment.sandbox.credited(&merchant.dataset).await? {
        *credited.entry(event["event_id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    check(acknowledged, &rows, &credited)
}

/// The checker itself, on what was found.
fn check(
    acknowledged: &HashMap<String, Answer>,
    rows: &[Value],
    credited: &BTreeMap<String, usize>,
) -> anyhow::Result<Ended> {
    let mut by_call = HashMap::new();
    let mut marked_orders: HashMap<&str, bool> = HashMap::new();
    for row in rows {
        let (call, order) = (row["call"].as_str().unwrap_or_default(), row["order_id"].as_str().unwrap_or_default());
        ensure!(by_call.insert(call, row).is_none(), "two rows of call {call}");
        let success = ["forwarded", "duplicate"].map(Value::from).contains(&row["conversion_status"]);
        ensure!(success, "{row}");
        *marked_orders.entry(order).or_default() |= row["possibly_duplicate"] == true;
    }
    for (order, answer) in acknowledged {
        ensure!(by_call.contains_key(answer.call.to_string().as_str()), "call {} of {order} has no row", answer.call);
    }
    for (order, is_marked) in &marked_orders {
        match credited.get(*order).copied().unwrap_or(0) {
            0 => bail!("{order} is forwarded by its rows, and Meta has not counted it"),
            times if times == 1 || *is_marked => {}
            times => bail!("{order} was counted {times} times without a mark"),
        }
    }
    let without_row = credited.keys().find(|order| !marked_orders.contains_key(order.as_str()));
    ensure!(without_row.is_none(), "{without_row:?} was counted and has no row");
    Ok(Ended { marked: rows.iter().filter(|row| row["possibly_duplicate"] == true).count() })
}

/// The checker finds each fault that it is there for.
pub(crate) fn the_checker_is_not_blind() -> anyhow::Result<()> {
    let row = |call: &str, order: &str, status: &str, marked: bool| serde_json::json!({"call": call, "order_id": order, "conversion_status": status, "possibly_duplicate": marked});
    let counted = |times: usize| BTreeMap::from([("A".to_owned(), times)]);
    let none = HashMap::new();
    let sound = [row("1", "A", "forwarded", false)];
    ensure!(check(&none, &sound, &counted(1)).is_ok(), "a sound end is refused");
    ensure!(check(&none, &[row("1", "A", "forwarded", true)], &counted(2)).is_ok(), "a marked double is refused");
    let lost =
        Answer { status: 200, headers: reqwest::header::HeaderMap::new(), body: Value::Null, call: uuid::Uuid::nil() };
    let faults = [
        ("an unmarked double", check(&none, &sound, &counted(2))),
        ("a call that Meta never counted", check(&none, &sound, &BTreeMap::new())),
        ("a count without a row", check(&none, &[], &counted(1))),
        ("two rows of one call", check(&none, &[sound[0].clone(), sound[0].clone()], &counted(1))),
        ("a rejected call", check(&none, &[row("1", "A", "rejected", false)], &counted(1))),
        ("a lost call", check(&HashMap::from([("B".to_owned(), lost)]), &sound, &counted(1))),
    ];
    for (fault, found) in faults {
        ensure!(found.is_err(), "{fault} is not found");
    }
    Ok(())
}
