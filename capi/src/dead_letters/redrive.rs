//! The way back of dead letters.

use std::{collections::BTreeSet, fmt, time::Duration};

use clap::Args;
use schemas::Topics;
use serde::Serialize;
use worker::{
    producer::{Outgoing, Producer},
    settings::KafkaSettings,
};

use super::{
    letter::{Letter, Note, mark},
    log::{Log, unknown},
};
use crate::{failure::Failure, kafka, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Redrive {
    /// The letters' numbers, as `list` prints them [default: every letter that was not redriven yet]
    n: Vec<i64>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    kafka: KafkaSettings,
}

/// What became of one letter.
#[derive(Debug, Serialize)]
struct Redriven {
    n: i64,
    topic: Option<String>,
    partition: Option<i32>,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Redriven,
    /// By an earlier command: nothing was sent.
    AlreadyRedriven,
    /// A dry run.
    WouldRedrive,
    /// Its labels name no topic of this deployment and no partition: nothing was sent.
    NoAddress,
}

impl Redrive {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let log = Log::open(&self.kafka)?;
        let (mut letters, done) = self.chosen(&log).await?;
        if let Some(missing) = self.n.iter().find(|n| !letters.contains(n)) {
            return Err(unknown(*missing));
        }
        if self.n.is_empty() {
            letters.retain(|n| !done.contains(n));
        }
        let (post, mut lost) = (Post::open(&self.kafka)?, false);
        for n in letters {
            // One at a time: letters are few, and a payload may be large.
            let letter = log.letter(n).await?;
            let outcome = self.redrive(&letter, done.contains(&n), &post).await?;
            lost |= outcome == Outcome::NoAddress;
            let (topic, partition) = (letter.topic, letter.partition);
            output.print(&Redriven { n, topic, partition, outcome })?;
        }
        if lost { Err(Failure::Data("some letters name no place in this deployment".into())) } else { Ok(()) }
    }

    /// The numbers of the chosen letters that exist, and of the letters that were redriven.
    async fn chosen(&self, log: &Log) -> Result<(BTreeSet<i64>, BTreeSet<i64>), Failure> {
        let (mut letters, mut redriven) = (BTreeSet::new(), BTreeSet::new());
        log.read(|note| {
            match note {
                Note::Letter(letter) if self.n.is_empty() || self.n.contains(&letter.n) => letters.insert(letter.n),
                Note::Letter(_) => false,
                Note::Redriven(n) => redriven.insert(n),
            };
            Ok(())
        })
        .await?;
        Ok((letters, redriven))
    }

    async fn redrive(&self, letter: &Letter, already: bool, post: &Post) -> Result<Outcome, Failure> {
        let Some(address) = post.address(letter) else { return Ok(Outcome::NoAddress) };
        if already {
            return Ok(Outcome::AlreadyRedriven);
        }
        if self.dry_run {
            return Ok(Outcome::WouldRedrive);
        }
        post.send_back(letter, address).await?;
        Ok(Outcome::Redriven)
    }
}

/// The way back into a deployment's topics.
struct Post {
    producer: Producer,
    topics: Topics,
}

/// A topic of the deployment, and a partition of it.
#[derive(Clone, Copy)]
struct Address<'a> {
    topic: &'a str,
    partition: i32,
}

impl Post {
    fn open(settings: &KafkaSettings) -> Result<Self, Failure> {
        Ok(Self { producer: kafka::producer(settings.client()?, Duration::ZERO)?, topics: settings.topics() })
    }

    /// Where a letter came from; `None` where that is no topic of this deployment.
    fn address<'a>(&self, letter: &'a Letter) -> Option<Address<'a>> {
        let (topic, partition) = (letter.topic.as_deref()?, letter.partition?);
        let ours = self.topics.specs(Duration::ZERO).iter().any(|spec| spec.name == topic);
        (ours && topic != self.topics.dead_letters()).then_some(Address { topic, partition })
    }

    /// Sends a letter back, and marks it once it has arrived.
    async fn send_back(&self, letter: &Letter, Address { topic, partition }: Address<'_>) -> Result<(), Failure> {
        let (key, payload, headers) = (letter.key.as_slice(), letter.payload.as_slice(), letter.headers.clone());
        let message = Outgoing { topic, partition, key, payload, headers };
        self.producer.send(message).await.map_err(kafka::not_written)?;
        let dead_letters = self.topics.dead_letters();
        let mark = Outgoing { topic: &dead_letters, partition: 0, key, payload: &[], headers: mark(letter.n) };
        self.producer.send(mark).await.map_err(kafka::not_written)?;
        Ok(())
    }
}

impl fmt::Display for Redriven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = self.topic.as_deref().unwrap_or("?");
        match (self.outcome, self.partition) {
            (Outcome::Redriven, Some(partition)) => write!(f, "{}  redriven to {topic}[{partition}]", self.n),
            (Outcome::AlreadyRedriven, _) => write!(f, "{}  was redriven before: nothing sent", self.n),
            (Outcome::WouldRedrive, Some(partition)) => write!(f, "{}  would go to {topic}[{partition}]", self.n),
            _ => write!(f, "{}  names no place in this deployment: nothing sent", self.n),
        }
    }
}
