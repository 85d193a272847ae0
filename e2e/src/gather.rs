//! Collects what the checker judges: waits until nothing moves any more, then asks everyone.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use forwarder::{inputs::Input, owner};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use schemas::{Lane, LedgerRecord, Topics};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    checker::{Committed, Evidence, LogRecord, Request, Row, Status, Told, fold},
    deployment::Deployment,
    history::Fault,
    merchant::Merchant,
};

/// How long a deployment may take to come to rest: breakers that opened, tiers, holds and the machine's other work.
const PATIENCE: Duration = Duration::from_mins(4);
/// How often it is looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one request to Kafka may take.
const KAFKA: Duration = Duration::from_secs(20);
/// Requests that the sandbox keeps: with so many it may have forgotten some, and then it is no evidence.
const REQUESTS_KEPT: usize = 20_000;
/// The deduplication window that every deployment of these tests has.
const WINDOW: Duration = Duration::from_hours(24 * 28);

/// All that can be seen of a deployment, once nothing moves any more or patience is over: what is not at rest then, the
/// checker names. `faults` are those that were not done to workers.
///
/// # Errors
/// Where somebody does not answer.
pub async fn evidence(
    deployment: &mut Deployment,
    merchants: &[Merchant],
    told: Vec<Told>,
    faults: Vec<Fault>,
) -> anyhow::Result<Evidence> {
    let offsets = come_to_rest(deployment).await?;
    let business: HashMap<_, _> =
        merchants.iter().map(|merchant| (merchant.dataset.clone(), merchant.business.clone())).collect();
    let reported: HashSet<_> = told.iter().map(|told| told.order.clone()).collect();
    let of = |dataset: &Value, event: &Value| order_at_meta(&business, &reported, dataset, event);
    let (mut rows, requests) = (rows(deployment).await?, requests(deployment, &of).await?);
    rows.sort_by_key(|row| row.call);
    let counted = deployment.sandbox.get("credited/orders?limit=1000000").await?;
    let counted = counted["orders"].as_array().context("no orders")?.iter();
    let counted =
        counted.map(|order| Some((of(&order["dataset"], order)?, usize::try_from(order["times"].as_u64()?).ok()?)));
    let counted = counted.collect::<Option<_>>().context("an order that is no merchant's")?;
    let (ledger, dead_letters) = from_kafka(deployment, |kafka| Ok((kafka.ledger()?, kafka.dead_letters()?))).await?;
    let meta_timeout = deployment.setting("CAPI_META_TIMEOUT").context("no time-out")?;
    let meta_timeout = humantime::parse_duration(meta_timeout)?;
    let mut all_faults = faults;
    let mut ended = Vec::new();
    for instance in deployment.instances() {
        all_faults.extend(instance.history().iter().cloned());
        ended.extend(instance.ended_by_itself()?);
    }
    Ok(Evidence {
        told,
        rows,
        requests,
        counted,
        ledger: fold(&ledger, WINDOW),
        offsets,
        dead_letters,
        faults: all_faults,
        ended,
        meta_timeout_ms: i64::try_from(meta_timeout.as_millis())?,
        hold_ms: i64::try_from(owner::hold(meta_timeout).as_millis())?,
    })
}

/// The key of an order: of the merchant's own id, or the call's where it has none.
pub fn order_key(business: &str, event_name: &str, order_id: &str, call: &str) -> String {
    if order_id.is_empty() { call.to_owned() } else { format!("{business}:{event_name}:{order_id}") }
}

/// Meta knows datasets and event ids, and an event without an order has its call's. An order id may look like that of a
/// call: it is one where somebody reported that order.
fn order_at_meta(
    business: &HashMap<String, String>,
    reported: &HashSet<String>,
    dataset: &Value,
    event: &Value,
) -> Option<String> {
    let (id, name) = (event["event_id"].as_str()?, event["event_name"].as_str()?);
    let named = order_key(business.get(dataset.as_str()?)?, name, id, id);
    let is_of_call = id.parse::<Uuid>().is_ok() && !reported.contains(&named);
    Some(if is_of_call { id.to_owned() } else { named })
}

/// How far every group has read each of its inputs.
///
/// # Errors
/// Where Kafka does not answer.
pub async fn offsets(deployment: &Deployment) -> anyhow::Result<Vec<Committed>> {
    from_kafka(deployment, Kafka::offsets).await
}

/// Waits until every group has committed all that there is, and no row is pending.
async fn come_to_rest(deployment: &Deployment) -> anyhow::Result<Vec<Committed>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let offsets = offsets(deployment).await?;
        let pending =
            deployment.analyst.one("SELECT countIf(conversion_status = 'pending') AS calls FROM calls").await?;
        let behind = offsets.iter().filter(|committed| committed.committed < committed.end).count();
        if (behind == 0 && pending["calls"] == 0) || Instant::now() > end {
            return Ok(offsets);
        }
        sleep(PAUSE).await;
    }
}

async fn rows(deployment: &Deployment) -> anyhow::Result<Vec<Row>> {
    let select = "SELECT toString(call_id) AS call, business_id, event_name, order_id, ctwa_clid, lane, http_status, \
         ifNull(event_time < now() - INTERVAL 7 DAY, false) AS too_old, conversion_status, reason, possibly_duplicate, \
         toString(duplicate_of) AS duplicate_of FROM calls";
    deployment
        .analyst
        .rows(select)
        .await?
        .iter()
        .map(|row| read_row(row).with_context(|| format!("the row {row}")))
        .collect()
}

fn read_row(row: &Value) -> Option<Row> {
    let text = |name: &str| row[name].as_str();
    Some(Row {
        call: text("call")?.parse().ok()?,
        order: order_key(text("business_id")?, text("event_name")?, text("order_id")?, text("call")?),
        click: text("ctwa_clid")?.to_owned(),
        lane: match text("lane")? {
            "" => None,
            lane => Some([Lane::Live, Lane::Backfill].into_iter().find(|known| known.as_str() == lane)?),
        },
        too_old: row["too_old"].as_bool().or_else(|| Some(row["too_old"].as_u64()? == 1))?,
        http_status: u16::try_from(row["http_status"].as_u64()?).ok()?,
        status: Status::read(text("conversion_status")?)?,
        reason: text("reason")?.to_owned(),
        marked: row["possibly_duplicate"].as_bool()?,
        duplicate_of: text("duplicate_of").and_then(|call| call.parse().ok()),
    })
}

/// The whole log of Meta's stand-in.
async fn requests(
    deployment: &Deployment,
    order: &impl Fn(&Value, &Value) -> Option<String>,
) -> anyhow::Result<Vec<Request>> {
    let behaviours = deployment.sandbox.get("behaviours.json").await?;
    let behaviours = behaviours.as_array().context("no behaviours")?.iter();
    let unknown: Vec<_> =
        behaviours.filter(|row| row["class"] == "unknown_outcome").filter_map(|row| row["name"].as_str()).collect();
    let seen = deployment.sandbox.get("requests?limit=1000000").await?;
    let seen = seen.as_array().context("no requests")?;
    ensure!(seen.len() < REQUESTS_KEPT, "the sandbox has forgotten requests");
    let read = |request: &Value| {
        let outcome = request["outcome"].as_str()?;
        let carried = request["carried"].as_array()?.iter();
        Some(Request {
            at: unix_ms(request["at"].as_str()?)?,
            orders: carried.map(|event| order(&request["dataset"], event)).collect::<Option<_>>()?,
            unknown: request["answered"] == false
                || unknown.contains(&outcome.strip_suffix("-counted").unwrap_or(outcome)),
            counted: request["credited"].as_u64()? > 0,
        })
    };
    seen.iter().map(|request| read(request).with_context(|| format!("the request {request}"))).collect()
}

/// A moment as the stand-in writes it.
fn unix_ms(rfc3339: &str) -> Option<i64> {
    let since = humantime::parse_rfc3339(rfc3339).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// Asks Kafka, which blocks.
async fn from_kafka<T: Send + 'static>(
    deployment: &Deployment,
    ask: impl FnOnce(&Kafka) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let kafka = Kafka { brokers: deployment.brokers.clone(), topics: Topics::new(deployment.prefix.clone()) };
    tokio::task::spawn_blocking(move || ask(&kafka)).await?
}

/// Kafka, for one who belongs to no group.
struct Kafka {
    brokers: String,
    topics: Topics,
}

impl Kafka {
    fn consumer(&self, group: &str) -> anyhow::Result<BaseConsumer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("group.id", group).set("enable.auto.commit", "false");
        Ok(config.create()?)
    }

    /// Every input of both groups.
    fn offsets(&self) -> anyhow::Result<Vec<Committed>> {
        let lanes: Vec<_> = Input::all().map(|input| input.topic(&self.topics)).collect();
        let forwarder = self.offsets_of("forwarder", &lanes)?;
        let recorder = self.offsets_of("recorder", &[self.topics.records(), self.topics.events_backfill()])?;
        Ok([forwarder, recorder].concat())
    }

    fn offsets_of(&self, worker: &str, topics: &[String]) -> anyhow::Result<Vec<Committed>> {
        let group = self.topics.group(worker);
        let consumer = self.consumer(&group)?;
        let mut asked = TopicPartitionList::new();
        for topic in topics {
            asked.add_partition_range(topic, 0, partitions(&consumer, topic)? - 1);
        }
        let known = consumer.committed_offsets(asked, KAFKA)?;
        let elements = known.elements();
        let committed = elements.iter().map(|element| {
            let (topic, partition) = (element.topic().to_owned(), element.partition());
            let (_, end) = consumer.fetch_watermarks(&topic, partition, KAFKA)?;
            let committed = if let Offset::Offset(at) = element.offset() { at } else { 0 };
            Ok(Committed { group: group.clone(), topic, partition, committed, end })
        });
        committed.collect()
    }

    fn dead_letters(&self) -> anyhow::Result<i64> {
        let (first, end) = self.consumer("checker")?.fetch_watermarks(&self.topics.dead_letters(), 0, KAFKA)?;
        Ok(end - first)
    }

    /// The log of the order ledger, from its beginning to its end.
    fn ledger(&self) -> anyhow::Result<Vec<LogRecord>> {
        let (consumer, topic) = (self.consumer("checker")?, self.topics.orders());
        let mut log = Vec::new();
        for partition in 0..partitions(&consumer, &topic)? {
            let (first, end) = consumer.fetch_watermarks(&topic, partition, KAFKA)?;
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(&topic, partition, Offset::Offset(first))?;
            consumer.assign(&from)?;
            for _ in first..end {
                let message = consumer.poll(KAFKA).context("the ledger cannot be read")??;
                log.push(LogRecord {
                    partition,
                    offset: message.offset(),
                    stamp: message.timestamp().to_millis().context("a record without a stamp")?,
                    key: String::from_utf8(message.key().unwrap_or_default().to_vec())?,
                    record: LedgerRecord::decode(message.payload().unwrap_or_default())?,
                });
            }
        }
        Ok(log)
    }
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), KAFKA)?;
    let topic = metadata.topics().first().context("no such topic")?;
    Ok(i32::try_from(topic.partitions().len())?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_id_that_looks_like_a_call_s_is_an_order_where_it_was_reported() {
        let (id, dataset) = (Uuid::now_v7().to_string(), json!("12"));
        let business = HashMap::from([("12".to_owned(), "b".to_owned())]);
        let event = |id: &str| json!({"event_id": id, "event_name": "Purchase"});
        let key = order_key("b", "Purchase", &id, "");
        let reported = HashSet::from([key.clone()]);
        assert_eq!(order_at_meta(&business, &reported, &dataset, &event(&id)), Some(key));
        let of_call = order_at_meta(&business, &HashSet::new(), &dataset, &event(&id));
        assert_eq!(of_call, Some(id));
        let named = order_at_meta(&business, &HashSet::new(), &dataset, &event("ORD-1"));
        assert_eq!(named.as_deref(), Some("b:Purchase:ORD-1"));
        assert_eq!(order_at_meta(&business, &reported, &json!("13"), &event("ORD-1")), None);
    }
}
