//! How far a backfill is: a bar on a terminal, JSON lines elsewhere; both on stderr.

use std::{
    fmt,
    io::{IsTerminal as _, Write as _, stderr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval_at};

use super::tally::Tally;

/// How often a bar is drawn, and a line written.
const DRAWN: Duration = Duration::from_millis(250);
const WRITTEN: Duration = Duration::from_secs(5);
/// The rate is that of about as long a time.
const WINDOW: Duration = Duration::from_secs(10);

/// How far it is at one moment.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    accepted: u64,
    refused: u64,
    unknown: u64,
    retried: u64,
    /// Answers a second.
    rate: f64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    of_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s  {} accepted, {} refused", self.rate, self.accepted, self.refused)?;
        if self.unknown > 0 {
            write!(f, ", {} unknown", self.unknown)?;
        }
        if self.retried > 0 {
            write!(f, ", {} sent again", self.retried)?;
        }
        if let Some(seconds) = self.seconds_left {
            write!(f, "  {} left", humantime::format_duration(Duration::from_secs(seconds)))?;
        }
        if let Some(trouble) = &self.trouble {
            write!(f, "  {trouble}")?;
        }
        Ok(())
    }
}

/// Takes samples.
pub(crate) struct Meter {
    tally: Arc<Tally>,
    read: Arc<AtomicU64>,
    of_bytes: Option<u64>,
    /// Moments of the window: when, how many answers, how many bytes.
    marks: std::collections::VecDeque<(Instant, u64, u64)>,
}

impl Meter {
    /// Of inputs of so many bytes, which `read` counts.
    pub(crate) fn new(tally: Arc<Tally>, read: Arc<AtomicU64>, of_bytes: Option<u64>) -> Self {
        Self { tally, read, of_bytes, marks: [(Instant::now(), 0, 0)].into() }
    }

    fn sample(&mut self) -> Sample {
        let (now, answers, bytes) = (Instant::now(), self.tally.answered_now(), self.read.load(Ordering::Relaxed));
        while self.marks.len() > 1 && self.marks.front().is_some_and(|(at, ..)| now.duration_since(*at) > WINDOW) {
            self.marks.pop_front();
        }
        let (since, answers_then, bytes_then) = self.marks.front().copied().unwrap_or((now, answers, bytes));
        self.marks.push_back((now, answers, bytes));
        let seconds = now.duration_since(since).as_secs_f64().max(0.001);
        let left = self.of_bytes.map(|all| all.saturating_sub(bytes));
        Sample {
            accepted: self.tally.accepted.get(),
            refused: self.tally.refused.get(),
            unknown: self.tally.unknown.get(),
            retried: self.tally.retried.get(),
            rate: (per_second(answers - answers_then, seconds) * 10.0).round() / 10.0,
            bytes,
            of_bytes: self.of_bytes,
            seconds_left: left.and_then(|left| seconds_for(left, per_second(bytes - bytes_then, seconds))),
            trouble: self.tally.present_trouble(),
        }
    }
}

// Rates for people: no count here comes near 2⁵³.
#[expect(clippy::cast_precision_loss)]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn seconds_for(left: u64, rate: f64) -> Option<u64> {
    (rate > 0.0).then(|| (left as f64 / rate).ceil() as u64)
}

/// Shows how far it is while something is done, and once more at its end.
pub(crate) async fn shown<T>(mut meter: Meter, something: impl Future<Output = T>) -> T {
    let bar = stderr().is_terminal().then(|| bar(meter.of_bytes));
    let period = if bar.is_some() { DRAWN } else { WRITTEN };
    let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut something = std::pin::pin!(something);
    loop {
        let done = tokio::select! { done = &mut something => Some(done), _ = ticks.tick() => None };
        show(&meter.sample(), bar.as_ref());
        if let Some(done) = done {
            bar.inspect(ProgressBar::abandon);
            return done;
        }
    }
}

fn show(sample: &Sample, bar: Option<&ProgressBar>) {
    match bar {
        Some(bar) => {
            bar.set_position(sample.bytes);
            bar.set_message(sample.to_string());
        }
        None => write_line(sample),
    }
}

/// A bar over the bytes of the inputs; of a pipe, whose length nobody knows, something that moves.
fn bar(of_bytes: Option<u64>) -> ProgressBar {
    let template = if of_bytes.is_some() { "{wide_bar} {percent}%\n{msg}" } else { "{spinner} {bytes}  {msg}" };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(of_bytes, ProgressDrawTarget::stderr()).with_style(style)
}

/// One object on a line of stderr.
pub(crate) fn write_line(thing: &impl Serialize) {
    let line = serde_json::to_string(thing).unwrap_or_default();
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_rate_and_time_left() {
        let (tally, read) = (Arc::new(Tally::default()), Arc::new(AtomicU64::new(250)));
        let mut meter = Meter::new(Arc::clone(&tally), read, Some(1000));
        meter.marks = [(Instant::now().checked_sub(Duration::from_secs(5)).unwrap(), 0, 0)].into();
        tally.accepted.add(120);
        tally.before.add(20);
        tally.trouble("no answer in time");
        let sample = meter.sample();
        assert!(sample.rate > 10.0 && sample.rate <= 20.0, "100 in 5 s: {sample:?}");
        assert!(sample.seconds_left.is_some_and(|seconds| (15..30).contains(&seconds)), "{sample:?}");
        let told = sample.to_string();
        assert!(told.contains("120 accepted") && told.ends_with("no answer in time"), "{told}");
    }

    #[test]
    fn where_nothing_moves_no_time_is_promised() {
        let mut meter = Meter::new(Arc::default(), Arc::default(), Some(1000));
        assert_eq!(meter.sample().seconds_left, None);
        assert_eq!(Meter::new(Arc::default(), Arc::default(), None).sample().of_bytes, None);
    }
}
