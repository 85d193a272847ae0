//! What was counted: exact counts of every order without a limit, details of the last events.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::rfc3339;

/// How many of the orders that were counted more than once are kept by name. Their number is exact beyond it.
const REPEATED_KEPT: usize = 10_000;

/// One counted event.
pub(crate) struct Credit {
    pub(crate) request: u64,
    pub(crate) at: SystemTime,
    pub(crate) dataset: Arc<str>,
    pub(crate) token: Arc<str>,
    pub(crate) waba: Box<str>,
    pub(crate) event_name: Box<str>,
    pub(crate) event_id: Box<str>,
    pub(crate) event_time: i64,
    pub(crate) click_id: Box<str>,
    pub(crate) value: Option<Box<RawValue>>,
    pub(crate) currency: Option<Box<str>>,
}

/// One counted event, as `GET /sandbox/credited` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreditedEvent {
    /// Number of the request that carried it.
    pub request: u64,
    /// When it was counted, RFC 3339.
    pub at: String,
    /// The dataset that it counts for.
    pub dataset: String,
    /// The start of the SHA-256 of the token that it came with, in hex.
    pub token_fingerprint: String,
    /// `user_data.whatsapp_business_account_id`.
    pub whatsapp_business_account_id: String,
    /// As sent.
    pub event_name: String,
    /// As sent; empty where none was.
    pub event_id: String,
    /// Unix seconds, as sent.
    pub event_time: i64,
    /// As sent.
    pub ctwa_clid: String,
    /// As sent, digit for digit.
    pub value: Option<Box<RawValue>>,
    /// As sent.
    pub currency: Option<String>,
}

/// An order and how often it was counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderCount {
    /// The dataset that it counts for.
    pub dataset: String,
    /// As sent.
    pub event_name: String,
    /// As sent.
    pub event_id: String,
    /// How often it was counted; exact.
    pub times: u32,
}

/// Which events or orders are asked for; what is absent matches all.
#[derive(Debug, Default, Deserialize)]
pub struct Filter {
    /// The dataset.
    pub dataset: Option<String>,
    /// The `event_id`.
    pub event_id: Option<String>,
    /// The `event_name`.
    pub event_name: Option<String>,
    /// The click id.
    pub ctwa_clid: Option<String>,
}

/// The counted events.
pub(crate) struct Credited {
    hasher: RandomState,
    kept_at_most: usize,
    events: u64,
    latest: VecDeque<Credit>,
    /// How often each order was counted, by the hash of its identity: 12 bytes where the identity takes 100. At ten
    /// million orders, two share a hash with a chance of 3 in a million.
    times: HashMap<u64, u32>,
    repeated: u64,
    repeated_by_name: BTreeMap<u64, OrderCount>,
}

impl Credited {
    pub(crate) fn new(kept_at_most: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            kept_at_most,
            events: 0,
            latest: VecDeque::new(),
            times: HashMap::new(),
            repeated: 0,
            repeated_by_name: BTreeMap::new(),
        }
    }

    pub(crate) fn kept_at_most(&self) -> usize {
        self.kept_at_most
    }

    pub(crate) fn add(&mut self, credit: Credit) {
        self.events += 1;
        self.count_order(&credit);
        if self.latest.len() >= self.kept_at_most {
            self.latest.pop_front();
        }
        if self.kept_at_most > 0 {
            self.latest.push_back(credit);
        }
    }

    fn count_order(&mut self, credit: &Credit) {
        if credit.event_id.is_empty() {
            return;
        }
        let key = self.key(credit);
        let times = self.times.entry(key).or_default();
        *times += 1;
        let times = *times;
        if times == 2 {
            self.repeated += 1;
        }
        if times >= 2 && (self.repeated_by_name.len() < REPEATED_KEPT || self.repeated_by_name.contains_key(&key)) {
            self.repeated_by_name.insert(key, credit.order(times));
        }
    }

    fn key(&self, credit: &Credit) -> u64 {
        self.hasher.hash_one((&credit.dataset, &credit.event_name, &credit.event_id))
    }

    /// Events counted, orders counted, orders counted more than once. All exact.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        (self.events, self.times.len() as u64, self.repeated)
    }

    /// The details of the matching events, the newest first, and how many match among those whose details are kept.
    pub(crate) fn latest(&self, filter: &Filter, limit: usize) -> (usize, Vec<CreditedEvent>) {
        let matching = || self.latest.iter().rev().filter(|credit| filter.takes(credit));
        (matching().count(), matching().take(limit).map(Credit::show).collect())
    }

    /// The matching orders whose details are kept, with how often they were counted.
    pub(crate) fn orders(&self, filter: &Filter, limit: usize) -> Vec<OrderCount> {
        let mut orders = BTreeMap::new();
        for credit in self.latest.iter().rev().filter(|credit| filter.takes(credit)) {
            let key = self.key(credit);
            if let Some(times) = self.times.get(&key) {
                orders.entry(key).or_insert_with(|| credit.order(*times));
            }
            if orders.len() == limit {
                break;
            }
        }
        sorted(orders.into_values())
    }

    /// The matching orders that were counted more than once, whether or not their details are still kept.
    pub(crate) fn repeated(&self, filter: &Filter, limit: usize) -> Vec<OrderCount> {
        let matching = self.repeated_by_name.values().filter(|order| filter.takes_order(order));
        sorted(matching.take(limit).cloned())
    }
}

fn sorted(orders: impl Iterator<Item = OrderCount>) -> Vec<OrderCount> {
    let mut orders: Vec<_> = orders.collect();
    orders.sort_unstable();
    orders
}

impl Credit {
    fn show(&self) -> CreditedEvent {
        CreditedEvent {
            request: self.request,
            at: rfc3339(self.at),
            dataset: self.dataset.to_string(),
            token_fingerprint: self.token.to_string(),
            whatsapp_business_account_id: self.waba.to_string(),
            event_name: self.event_name.to_string(),
            event_id: self.event_id.to_string(),
            event_time: self.event_time,
            ctwa_clid: self.click_id.to_string(),
            value: self.value.clone(),
            currency: self.currency.as_deref().map(str::to_owned),
        }
    }

    fn order(&self, times: u32) -> OrderCount {
        OrderCount {
            dataset: self.dataset.to_string(),
            event_name: self.event_name.to_string(),
            event_id: self.event_id.to_string(),
            times,
        }
    }
}

impl Filter {
    fn takes(&self, credit: &Credit) -> bool {
        matches(self.dataset.as_deref(), &credit.dataset)
            && matches(self.event_id.as_deref(), &credit.event_id)
            && matches(self.event_name.as_deref(), &credit.event_name)
            && matches(self.ctwa_clid.as_deref(), &credit.click_id)
    }

    fn takes_order(&self, order: &OrderCount) -> bool {
        matches(self.dataset.as_deref(), &order.dataset)
            && matches(self.event_id.as_deref(), &order.event_id)
            && matches(self.event_name.as_deref(), &order.event_name)
    }
}

fn matches(asked: Option<&str>, found: &str) -> bool {
    asked.is_none_or(|asked| asked == found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credit(dataset: &str, event_name: &str, event_id: &str) -> Credit {
        Credit {
            request: 1,
            at: SystemTime::UNIX_EPOCH,
            dataset: dataset.into(),
            token: "cafe".into(),
            waba: "9".into(),
            event_name: event_name.into(),
            event_id: event_id.into(),
            event_time: 0,
            click_id: "clid".into(),
            value: None,
            currency: None,
        }
    }

    fn repeated(credited: &Credited) -> Vec<(String, u32)> {
        credited.repeated(&Filter::default(), 10).into_iter().map(|order| (order.event_id, order.times)).collect()
    }

    #[test]
    fn an_order_is_dataset_name_and_id() {
        let mut credited = Credited::new(10);
        for (dataset, name, id) in [("1", "Purchase", "a"), ("2", "Purchase", "a"), ("1", "ViewContent", "a")] {
            credited.add(credit(dataset, name, id));
        }
        assert_eq!(credited.totals(), (3, 3, 0));
        credited.add(credit("2", "Purchase", "a"));
        assert_eq!(credited.totals(), (4, 3, 1));
        assert_eq!(repeated(&credited), [("a".to_owned(), 2)]);
    }

    #[test]
    fn counts_outlive_the_details() {
        let mut credited = Credited::new(2);
        for id in ["a", "a", "b", "c", "d", "a"] {
            credited.add(credit("1", "Purchase", id));
        }
        let (kept, shown) = credited.latest(&Filter::default(), 10);
        assert_eq!((kept, shown.len()), (2, 2));
        assert_eq!(credited.totals(), (6, 4, 1));
        assert_eq!(repeated(&credited), [("a".to_owned(), 3)]);
        let orders = credited.orders(&Filter { event_id: Some("a".into()), ..Filter::default() }, 10);
        assert_eq!(orders.iter().map(|order| order.times).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn events_without_an_id_are_no_order() {
        let mut credited = Credited::new(10);
        credited.add(credit("1", "Purchase", ""));
        credited.add(credit("1", "Purchase", ""));
        assert_eq!(credited.totals(), (2, 0, 0));
    }
}
