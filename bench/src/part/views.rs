//! The six views, a look-up by id, and what a call takes on disk.

use anyhow::Context as _;
use e2e::{
    analyst::Analyst,
    deployment::{Deployment, Plan},
};
use tokio::time::Instant;

use super::{Ground, ingest::plan};
use crate::{
    sample::{Sample, number},
    table::{Line, grouped},
};

/// The views that people ask.
const VIEWS: [&str; 6] = [
    "conversions_per_ad",
    "revenue_per_ad",
    "revenue_per_campaign",
    "revenue_per_product",
    "failure_rates",
    "view_to_purchase",
];
/// Fills the table with calls.
const CALLS: &str = include_str!("calls.sql");
/// Calls of one insert.
const AT_ONCE: u64 = 1_000_000;
/// Questions of one kind, of which the middle one counts.
const TIMES: usize = 3;

/// Which part of the calls a question is about, and how soon it is to be answered.
struct Scope {
    name: &'static str,
    of: String,
    goal: f64,
}

/// What a question took.
struct Asked {
    took: f64,
    rows: u64,
    bytes: u64,
}

/// A table of calls.
pub(super) struct Library {
    deployment: Deployment,
    calls: u64,
    /// So many fill the sixty days.
    all: u64,
}

impl Library {
    pub(super) async fn start(ground: &Ground<'_>, name: &str, all: u64) -> anyhow::Result<Self> {
        let none = Plan { ingests: 0, forwarders: 0, recorders: 0, ..plan() };
        Ok(Self { deployment: Deployment::start(ground.cluster, name, &none).await?, calls: 0, all })
    }

    fn analyst(&self) -> &Analyst {
        &self.deployment.analyst
    }

    /// Fills the table up to so many calls of the last sixty days.
    pub(super) async fn fill(&mut self, calls: u64) -> anyhow::Result<()> {
        while self.calls < calls {
            let more = AT_ONCE.min(calls - self.calls);
            let numbers = [("{from}", self.calls), ("{calls}", more), ("{all}", self.all)];
            let insert = |text: String, (place, number): (&str, u64)| text.replace(place, &number.to_string());
            self.analyst().run(&numbers.into_iter().fold(CALLS.to_owned(), insert)).await?;
            self.calls += more;
        }
        Ok(())
    }

    async fn ask(&self, statement: &str) -> anyhow::Result<Asked> {
        let before = self.read().await?;
        let mut took = Vec::new();
        for _ in 0..TIMES {
            let began = Instant::now();
            self.analyst().run(&format!("{statement} FORMAT Null")).await?;
            took.push(began.elapsed().as_secs_f64());
        }
        let after = self.read().await?;
        let each = |at: usize| (after[at] - before[at]) / TIMES as u64;
        Ok(Asked { took: Sample::new(took).median(), rows: each(0), bytes: each(1) })
    }

    /// Rows and bytes that the engine has read since its start. Nobody else asks it anything, and an engine that runs as a
    /// library keeps no log of its queries.
    async fn read(&self) -> anyhow::Result<[u64; 2]> {
        let select = "SELECT sumIf(value, event = 'SelectedRows') AS selected, \
                      sumIf(value, event = 'SelectedBytes') AS bytes FROM system.events";
        let row = self.analyst().one(select).await?;
        let count = |name: &str| row[name].as_u64().context("a count of ClickHouse");
        Ok([count("selected")?, count("bytes")?])
    }

    /// Seconds that the slowest view takes over all calls.
    pub(super) async fn over_all(&self) -> anyhow::Result<f64> {
        let mut slowest = 0.0_f64;
        for view in VIEWS {
            slowest = slowest.max(self.ask(&format!("SELECT * FROM {view}")).await?.took);
        }
        Ok(slowest)
    }

    async fn bytes_of_a_call(&self) -> anyhow::Result<[f64; 3]> {
        let select = "SELECT sum(bytes_on_disk) AS whole, sum(rows) AS held FROM system.parts \
                      WHERE database = currentDatabase() AND table = 'call_records' AND active";
        let whole = self.analyst().one(select).await?;
        let select = "SELECT sum(column_data_compressed_bytes) AS packed, sum(column_data_uncompressed_bytes) AS whole \
                      FROM system.parts_columns WHERE database = currentDatabase() AND table = 'call_records' AND active \
                      AND column = 'body'";
        let body = self.analyst().one(select).await?;
        let count = |value: &serde_json::Value| value.as_u64().map(number).context("a count of ClickHouse");
        let rows = count(&whole["held"])?;
        Ok([count(&whole["whole"])? / rows, count(&body["packed"])? / rows, count(&body["whole"])? / rows])
    }

    pub(super) fn discard(self) -> anyhow::Result<()> {
        self.deployment.discard()
    }
}

/// The business with this number.
fn business(number: u32) -> String {
    format!("business_id = '6f1c1b1e-0d6c-4b7e-9a44-{number:012}'")
}

impl Scope {
    fn all() -> [Self; 3] {
        let month = "day >= today() - 30";
        [
            Self { name: "one business, 30 days", of: format!("WHERE {} AND {month}", business(7)), goal: 0.3 },
            Self { name: "a business with a twentieth of all", of: format!("WHERE {}", business(0)), goal: 2.0 },
            Self { name: "all", of: String::new(), goal: 10.0 },
        ]
    }

    /// Beside the view, the same calls plainly counted and summed, each row taken as it lies there.
    async fn line(&self, library: &Library, view: &str) -> anyhow::Result<Line> {
        let asked = library.ask(&format!("SELECT * FROM {view} {}", self.of)).await?;
        let plainly = format!(
            "SELECT business_id, ad_id, day, count(), sum(value) FROM call_records {} GROUP BY business_id, ad_id, day",
            self.of
        );
        let plain = library.ask(&plainly).await?;
        let measured =
            format!("{:.2} s, {} rows, {:.1} MB", asked.took, grouped(number(asked.rows)), number(asked.bytes) / 1e6);
        Ok(Line::new(format!("{view}, {}", self.name), measured)
            .beside(format!("{:.2} s, {} rows", plain.took, grouped(number(plain.rows))), asked.took / plain.took)
            .goal(format!("< {} s", self.goal), asked.took < self.goal))
    }
}

pub(super) async fn run(ground: &Ground<'_>) -> anyhow::Result<Vec<Line>> {
    let calls = ground.settings.pick(1_000_000, 20_000_000);
    let mut library = Library::start(ground, "bench-views", calls).await?;
    library.fill(calls).await?;
    let mut lines = Vec::new();
    for scope in Scope::all() {
        for view in VIEWS {
            lines.push(scope.line(&library, view).await?);
        }
    }
    lines.push(look_up(&library).await?);
    let [whole, packed, body] = library.bytes_of_a_call().await?;
    lines.push(Line::new(
        format!("disk of one of {} calls", grouped(number(calls))),
        format!("{whole:.0} bytes, of them {packed:.0} for a body of {body:.0}"),
    ));
    library.discard()?;
    Ok(lines)
}

/// A call out of the middle, by its id alone.
async fn look_up(library: &Library) -> anyhow::Result<Line> {
    let one = "SELECT toString(call_id) AS id FROM call_records WHERE version % 2 = 0 LIMIT 1";
    let id = library.analyst().one(one).await?["id"].as_str().context("an id")?.to_owned();
    let asked = library.ask(&format!("SELECT * FROM calls WHERE call_id = '{id}'")).await?;
    let plain = library.ask(&format!("SELECT * FROM call_records WHERE {} LIMIT 1", business(7))).await?;
    let measured = format!("{:.3} s, {} rows", asked.took, grouped(number(asked.rows)));
    Ok(Line::new("a call by its id", measured)
        .beside(format!("{:.3} s for any row of a business", plain.took), asked.took / plain.took))
}
