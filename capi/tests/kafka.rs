//! The binary over librdkafka's mock cluster. What needs a real broker or ClickHouse is tested in `e2e`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: also what is not inside a test function")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Write as _},
    ops::RangeInclusive,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
    mocking::MockCluster,
    producer::DefaultProducerContext,
};
use schemas::Topics;
use serde_json::{Value, json};
use worker::{
    dead_letters::{DeadLetters, Letter},
    health::Health,
    producer::{Patience, Producer},
};

const BUSINESS: &str = "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10";
const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    topics: Topics,
}

impl Cluster {
    fn start() -> Self {
        let mock = MockCluster::new(1).unwrap();
        let topics = Topics::new("capi");
        for (topic, partitions) in [(topics.directory(), 1), (topics.dead_letters(), 1), (topics.events_live(), 4)] {
            mock.create_topic(&topic, partitions, 1).unwrap();
        }
        Self { mock, topics }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.mock.bootstrap_servers());
        config
    }

    /// Runs `capi --json` without stopping the mock cluster, which lives on threads of its own.
    fn capi(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// The same with these keys, and no other.
    fn capi_with(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
        self.command().env_remove("CAPI_SECRET_KEY").envs(settings.iter().copied()).args(arguments).output().unwrap()
    }

    fn put_channel(&self, business: &str) {
        let token = tempfile::NamedTempFile::new().unwrap();
        fs::write(token.path(), "EAAGsecret\n").unwrap();
        let file = token.path().to_str().unwrap();
        self.lines(&["business", "put", business, "--name", "Shop"]);
        self.lines(&["channel", "put", business, "--waba-id", "1", "--dataset-id", "2", "--access-token-file", file]);
    }

    /// Runs `capi --json` with something to read.
    fn capi_reading(&self, input: &str, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that fails before it reads closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What a command that succeeds prints.
    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.capi(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn bury(&self, topic: &str, partition: i32) {
        self.bury_each(topic, partition, &[17]).await;
    }

    /// Buries a message for each offset.
    async fn bury_each(&self, topic: &str, partition: i32, offsets: &[i64]) {
        let health = Health::default().dependency("kafka");
        let patience = Patience::Bounded(Duration::from_secs(10));
        let producer = Producer::new(self.config(), Duration::ZERO, patience, health).unwrap();
        let dead_letters = DeadLetters::new(producer, &self.topics);
        for offset in offsets {
            let letter = Letter {
                topic,
                partition,
                offset: *offset,
                key: b"order",
                payload: b"\x00\xff",
                headers: OwnedHeaders::new().insert(Header { key: "verdict-partition", value: Some("3") }),
                reason: "not Avro",
            };
            dead_letters.bury(letter).await.unwrap();
        }
    }

    /// Every message of a partition.
    async fn messages(&self, topic: &str, partition: i32) -> Vec<OwnedMessage> {
        let mut config = self.config();
        config.set("group.id", "test").set("enable.partition.eof", "true");
        let consumer: StreamConsumer = config.create().unwrap();
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        consumer.assign(&start).unwrap();
        let mut messages = Vec::new();
        loop {
            match consumer.recv().await {
                Ok(message) => messages.push(message.detach()),
                Err(KafkaError::PartitionEOF(_)) => return messages,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Starts a redrive of all letters, which is read line by line.
    fn redrive(&self) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut command = self.command();
        command.args(["dead-letters", "redrive"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_capi"));
        command.env_clear().env("CAPI_KAFKA_BROKERS", self.mock.bootstrap_servers()).env("CAPI_SECRET_KEY", SECRET_KEY);
        command.arg("--json");
        command
    }

    /// All letters are marked, nothing is left to do, and so many messages came back.
    async fn all_are_back(&self, topic: &str, letters: usize, messages: RangeInclusive<usize>) {
        assert!(self.lines(&["dead-letters", "redrive"]).is_empty());
        let listed = self.lines(&["dead-letters", "list"]);
        assert_eq!(listed.iter().filter(|letter| letter["redriven"] == true).count(), letters);
        let back = self.messages(topic, 2).await.len();
        assert!(messages.contains(&back), "{back} messages of {messages:?}");
    }
}

#[test]
fn a_business_gets_a_channel_and_keys_and_no_command_shows_a_secret() {
    let cluster = Cluster::start();
    let put = cluster.lines(&["business", "put", &BUSINESS.to_uppercase(), "--name", "Shop", "--rate-limit", "5"]);
    assert_eq!(put[0]["business_id"], BUSINESS);
    assert_eq!((&put[0]["rate_limit"], &put[0]["enabled"]), (&json!(5), &json!(true)));

    let token = tempfile::NamedTempFile::new().unwrap();
    fs::write(token.path(), "EAAGsecret\n").unwrap();
    let file = token.path().to_str().unwrap();
    let channel = ["--waba-id", "12", "--dataset-id", "34", "--access-token-file", file, "--max-concurrency", "2"];
    cluster.lines(&[&["channel", "put", BUSINESS][..], &channel].concat());

    let created = cluster.lines(&["key", "create", BUSINESS, "--name", "test", "--expires-at", "2030-01-01T00:00:00Z"]);
    let (key_id, key) = (created[0]["key_id"].as_str().unwrap(), created[0]["key"].as_str().unwrap());
    assert!(key.starts_with(&format!("capi_{key_id}_")));
    let secret = key.rsplit('_').next().unwrap();

    for arguments in [&["business", "show", BUSINESS][..], &["business", "list"], &["key", "list", BUSINESS]] {
        let shown = cluster.lines(arguments)[0].to_string();
        assert!(shown.contains(key_id), "{shown}");
        for hidden in [secret, "EAAGsecret", "digest", "access_token"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }
    let shown = &cluster.lines(&["business", "show", BUSINESS])[0];
    assert_eq!(shown["channel"]["dataset_id"], "34");
    assert_eq!(shown["keys"][0]["expires_at"], "2030-01-01T00:00:00Z");

    let revoked = cluster.lines(&["key", "revoke", BUSINESS, key_id]);
    assert!(revoked[0]["revoked_at"].is_string());
    assert_eq!(cluster.lines(&["key", "revoke", BUSINESS, key_id]), revoked);
    assert_eq!(cluster.lines(&["channel", "remove", BUSINESS])[0]["channel"], Value::Null);
}

#[test]
fn a_user_is_put_listed_signed_out_and_removed_and_no_command_shows_a_hash() {
    let cluster = Cluster::start();
    cluster.lines(&["business", "put", BUSINESS, "--name", "Shop"]);
    let put = |password: &str, arguments: &[&str]| {
        let output = cluster.capi_reading(password, &[&["user", "put"], arguments].concat());
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, told) =
        put("correct horse battery\n", &["Ada", "--role", "merchant", "--business", &BUSINESS.to_uppercase()]);
    assert_eq!(code, 0, "{told}");
    let made: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&made["name"], &made["role"], &made["businesses"]),
        (&json!("ada"), &json!("merchant"), &json!([BUSINESS]))
    );
    assert_eq!(put("correct horse battery", &["bob", "--role", "operator"]).0, 0);
    for wrong in [
        &["eve", "--role", "merchant"][..],
        &["eve", "--role", "operator", "--business", BUSINESS],
        &["eve", "--role", "merchant", "--business", "00000000-0000-0000-0000-000000000000"],
    ] {
        assert_eq!(put("correct horse battery", wrong).0, 65, "{wrong:?}");
    }

    let listed = cluster.capi(&["user", "list"]);
    let shown = String::from_utf8([listed.stdout, listed.stderr].concat()).unwrap() + &told;
    for hidden in ["argon2", "password", "correct horse"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
    let names = || cluster.lines(&["user", "list"]).iter().map(|user| user["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(), ["ada", "bob"]);

    let ended = cluster.lines(&["user", "end-sessions", "ADA"]).remove(0);
    assert_ne!(ended["sessions_from"], made["sessions_from"]);
    assert_eq!(cluster.lines(&["user", "remove", "ada"]), [json!({"removed": "ada"})]);
    assert_eq!(names(), ["bob"]);
    for unknown in [["user", "remove", "ada"], ["user", "end-sessions", "ada"]] {
        assert_eq!(cluster.capi(&unknown).status.code(), Some(65), "{unknown:?}");
    }
    assert_eq!(cluster.lines(&["business", "list"]).len(), 1);
}

#[test]
fn tokens_are_reencrypted_once_and_what_cannot_be_read_is_told() {
    let cluster = Cluster::start();
    let others = ["6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f11", "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f12"];
    cluster.put_channel(BUSINESS);
    cluster.put_channel(others[0]);
    cluster.lines(&["business", "put", others[1], "--name", "Without a channel"]);

    let rotating = [("CAPI_SECRET_KEY", NEW_KEY), ("CAPI_SECRET_KEY_PREVIOUS", SECRET_KEY)];
    let reencrypt = |settings: &[(&str, &str)], businesses: &[&str]| {
        let output = cluster.capi_with(settings, &[&["channel", "reencrypt"], businesses].concat());
        let counted = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), counted, String::from_utf8(output.stderr).unwrap())
    };
    let counts = |reencrypted: usize, already_new: usize, unreadable: usize| json!({"reencrypted": reencrypted, "already_new": already_new, "unreadable": unreadable});
    // Without the previous key nothing can be read, and nothing is changed.
    let (code, counted, told) = reencrypt(&rotating[..1], &[]);
    assert_eq!((code, counted), (Some(65), counts(0, 0, 2)), "{told}");
    assert!(told.contains(BUSINESS) && told.contains("CAPI_SECRET_KEY_PREVIOUS") && !told.contains("EAAG"), "{told}");

    assert_eq!(reencrypt(&rotating, &[others[0]]), (Some(0), counts(1, 0, 0), String::new()));
    assert_eq!(reencrypt(&rotating, &[]), (Some(0), counts(1, 1, 0), String::new()));
    assert_eq!(reencrypt(&rotating[..1], &[]), (Some(0), counts(0, 2, 0), String::new()));
    assert_eq!(reencrypt(&rotating, &[others[1]]).0, Some(65));
    assert_eq!(reencrypt(&rotating, &["00000000-0000-0000-0000-000000000000"]).0, Some(65));
    assert_eq!(reencrypt(&[], &[]).0, Some(64));
}

#[test]
fn what_is_unknown_is_65() {
    let cluster = Cluster::start();
    let unknown = ["00000000-0000-0000-0000-000000000000", "shop"];
    for id in unknown {
        for arguments in [&["business", "show", id][..], &["key", "list", id], &["channel", "remove", id]] {
            assert_eq!(cluster.capi(arguments).status.code(), Some(65), "{arguments:?}");
        }
    }
    cluster.lines(&["business", "put", BUSINESS, "--name", "Shop"]);
    assert_eq!(cluster.capi(&["key", "revoke", BUSINESS, "nokey"]).status.code(), Some(65));
    assert_eq!(cluster.capi(&["dead-letters", "show", "0"]).status.code(), Some(65));
    assert_eq!(cluster.capi(&["dead-letters", "redrive", "0"]).status.code(), Some(65));
}

#[test]
fn what_was_not_set_up_is_69_and_says_so() {
    let cluster = Cluster::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_capi"));
    command.env("CAPI_KAFKA_BROKERS", cluster.mock.bootstrap_servers()).env("CAPI_TOPIC_PREFIX", "other");
    let output = command.args(["dead-letters", "list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8(output.stderr).unwrap().contains("`capi setup`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_goes_back_once_with_its_key_and_headers() {
    let cluster = Cluster::start();
    let live = cluster.topics.events_live();
    cluster.bury(&live, 2).await;

    let letter = cluster.lines(&["dead-letters", "show", "0"]).remove(0);
    assert_eq!((&letter["topic"], &letter["partition"], &letter["offset"]), (&json!(live), &json!(2), &json!(17)));
    assert_eq!((&letter["reason"], &letter["payload"]), (&json!("not Avro"), &json!("AP8=")));
    let outcome = |arguments: &[&str]| cluster.lines(arguments)[0]["outcome"].as_str().unwrap().to_owned();
    assert_eq!(outcome(&["dead-letters", "redrive", "--dry-run"]), "would_redrive");
    assert_eq!(outcome(&["dead-letters", "redrive"]), "redriven");
    assert_eq!(outcome(&["dead-letters", "redrive", "0"]), "already_redriven");
    assert!(cluster.lines(&["dead-letters", "redrive"]).is_empty());

    let mut back = cluster.messages(&live, 2).await;
    assert_eq!(back.len(), 1);
    let back = back.remove(0);
    assert_eq!((back.key(), back.payload(), back.offset()), (Some(&b"order"[..]), Some(&b"\x00\xff"[..]), 0));
    let headers: Vec<_> = back.headers().unwrap().iter().map(|header| header.key.to_owned()).collect();
    assert_eq!(headers, ["verdict-partition"]);

    let listed = cluster.lines(&["dead-letters", "list"]);
    assert_eq!((listed.len(), &listed[0]["redriven"]), (1, &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_another_deployment_goes_nowhere() {
    let cluster = Cluster::start();
    cluster.bury("other.events.live", 0).await;
    let output = cluster.capi(&["dead-letters", "redrive"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8(output.stdout).unwrap().contains("no_address"));
    assert_eq!(cluster.lines(&["dead-letters", "list"])[0]["redriven"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_partition_that_is_not_there_holds_up_no_other() {
    let cluster = Cluster::start();
    let live = cluster.topics.events_live();
    cluster.bury(&live, 4).await;
    cluster.bury(&live, 2).await;
    let output = cluster.capi(&["dead-letters", "redrive"]);
    assert_eq!(output.status.code(), Some(65));
    let outcomes = String::from_utf8(output.stdout).unwrap();
    assert!(outcomes.contains("no_address") && outcomes.contains(r#""redriven""#), "{outcomes}");
    assert_eq!(cluster.messages(&live, 2).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_two_groups_buried_goes_back_once() {
    let cluster = Cluster::start();
    let live = cluster.topics.events_live();
    cluster.bury_each(&live, 2, &[17, 17]).await;
    let outcomes = |arguments: &[&str]| {
        let lines = cluster.lines(arguments);
        lines.iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&["dead-letters", "redrive", "0", "1"]), ["redriven", "already_redriven"]);
    cluster.all_are_back(&live, 2, 1..=1).await;
}

/// A minute of the machine's worst is far from this many round trips.
const SLOW: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_killed_half_way_is_finished_by_the_next() {
    let cluster = Cluster::start();
    let live = cluster.topics.events_live();
    cluster.bury_each(&live, 2, &[0, 1, 2, 3, 4, 5]).await;
    cluster.mock.broker_round_trip_time(1, SLOW).unwrap();
    let (mut child, mut lines) = cluster.redrive();
    lines.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lines.count() < 5, "it was finished before it was killed");
    cluster.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    let listed = cluster.lines(&["dead-letters", "list"]);
    assert!(listed.iter().any(|letter| letter["redriven"] == true), "what was told was not done: {listed:?}");
    cluster.lines(&["dead-letters", "redrive"]);
    // The one that was sent and not marked comes twice.
    cluster.all_are_back(&live, 6, 6..=7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_that_goes_away_half_way_is_69_and_nothing_is_told_that_was_not_done() {
    let cluster = Cluster::start();
    let live = cluster.topics.events_live();
    cluster.bury_each(&live, 2, &[0, 1, 2, 3, 4, 5]).await;
    cluster.mock.broker_round_trip_time(1, SLOW).unwrap();
    let (mut child, mut lines) = cluster.redrive();
    let mut told = vec![lines.next().unwrap().unwrap()];
    cluster.mock.broker_down(1).unwrap();
    told.extend(lines.map(Result::unwrap));
    assert!(told.len() < 6, "it was finished before Kafka went away");
    assert_eq!(child.wait().unwrap().code(), Some(69));
    cluster.mock.broker_up(1).unwrap();
    cluster.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    let listed = cluster.lines(&["dead-letters", "list"]);
    let done: Vec<_> = listed.iter().filter(|letter| letter["redriven"] == true).map(|letter| &letter["n"]).collect();
    for line in &told {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(done.contains(&&line["n"]), "{line} was told, of {done:?} that were done");
    }
    cluster.lines(&["dead-letters", "redrive"]);
    cluster.all_are_back(&live, 6, 6..=7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_redrives_at_once_lose_no_letter() {
    let cluster = Cluster::start();
    let live = cluster.topics.events_live();
    cluster.bury_each(&live, 2, &[0, 1, 2, 3]).await;
    cluster.mock.broker_round_trip_time(1, SLOW).unwrap();
    for (mut child, lines) in [cluster.redrive(), cluster.redrive()] {
        assert!(lines.map(Result::unwrap).all(|line| line.contains("redriven")));
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    cluster.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    cluster.all_are_back(&live, 4, 4..=8).await;
}
