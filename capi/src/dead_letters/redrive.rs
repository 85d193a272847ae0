//! The way back of dead letters.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use clap::Args;
use schemas::Topics;
use serde::Serialize;
use worker::{
    producer::{Outgoing, Producer},
    settings::KafkaSettings,
    topics::partition_counts,
};

use super::{
    letter::{Letter, Note, mark},
    log::{Log, unknown},
    register::Register,
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
    /// Its labels name no topic of this deployment, or no partition that it has: nothing was sent.
    NoAddress,
    /// It is only the beginning of a message that was too large to be kept: nothing was sent.
    Cut,
}

impl Redrive {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let log = Log::open(&self.kafka)?;
        let mut register = log.register().await?;
        let mut chosen = self.chosen(&register)?;
        let (post, mut lost) = (Post::open(&self.kafka).await?, false);
        let Some(first) = chosen.first() else { return Ok(()) };
        let mut reading = log.from(*first)?;
        // What was chosen is all there is to do: a message that comes back as a letter is not sent in a circle.
        while !chosen.is_empty()
            && let Some(note) = reading.next().await?
        {
            let Note::Letter(letter) = note else { continue };
            if chosen.remove(&letter.n) {
                let redriven = self.redrive(letter, &mut register, &post).await?;
                lost |= matches!(redriven.outcome, Outcome::NoAddress | Outcome::Cut);
                output.print(&redriven)?;
            }
        }
        if let Some(gone) = chosen.first() {
            return Err(unknown(*gone));
        }
        if lost { Err(Failure::Data("some letters cannot be sent back: see their outcome".into())) } else { Ok(()) }
    }

    /// The letters to redrive: those that were asked for, and all of them must be there; else those that wait.
    fn chosen(&self, register: &Register) -> Result<BTreeSet<i64>, Failure> {
        if self.n.is_empty() {
            return Ok(register.waiting());
        }
        match self.n.iter().find(|n| !register.has(**n)) {
            Some(missing) => Err(unknown(*missing)),
            None => Ok(self.n.iter().copied().collect()),
        }
    }

    async fn redrive(&self, letter: Letter, register: &mut Register, post: &Post) -> Result<Redriven, Failure> {
        let outcome = match post.address(&letter) {
            None => Outcome::NoAddress,
            Some(_) if letter.is_cut => Outcome::Cut,
            Some(_) if register.is_redriven(letter.n) => Outcome::AlreadyRedriven,
            Some(_) if self.dry_run => Outcome::WouldRedrive,
            Some(address) => {
                post.send_back(&letter, address).await?;
                register.mark(letter.n);
                Outcome::Redriven
            }
        };
        Ok(Redriven { n: letter.n, topic: letter.topic, partition: letter.partition, outcome })
    }
}

/// The way back into a deployment's topics.
struct Post {
    producer: Producer,
    topics: Topics,
    /// How many partitions each topic of the cluster has.
    partitions: BTreeMap<String, i32>,
}

/// A topic of the deployment, and a partition of it.
#[derive(Clone, Copy)]
struct Address<'a> {
    topic: &'a str,
    partition: i32,
}

impl Post {
    async fn open(settings: &KafkaSettings) -> Result<Self, Failure> {
        let partitions = partition_counts(&settings.client()?).await?;
        let producer = kafka::producer(settings.client()?, Duration::ZERO)?;
        Ok(Self { producer, topics: settings.topics(), partitions })
    }

    /// Where a letter came from; `None` where that is no topic of this deployment, or no partition that it has.
    fn address<'a>(&self, letter: &'a Letter) -> Option<Address<'a>> {
        let (topic, partition) = (letter.topic.as_deref()?, letter.partition?);
        let ours = self.topics.specs(Duration::ZERO).iter().any(|spec| spec.name == topic);
        let there = self.partitions.get(topic).is_some_and(|count| (0..*count).contains(&partition));
        (ours && there && topic != self.topics.dead_letters()).then_some(Address { topic, partition })
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
            (Outcome::Cut, _) => write!(f, "{}  is only the beginning of its message: nothing sent", self.n),
            _ => write!(f, "{}  names no place in this deployment: nothing sent", self.n),
        }
    }
}
