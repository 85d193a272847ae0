//! ClickHouse is away, for a while or from the start: calls go on, and the rows come when it is back, once each.

pub(crate) mod kafka;
pub(crate) mod meta;
pub(crate) mod records;

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use e2e::{
    deployment::{Deployment, Plan},
    event::purchase,
    instance::{Instance, Kind},
    line::Line,
    merchant::Merchant,
    port, wait,
};
use serde_json::Value;

/// Without a recorder: the test starts one behind a line that it can cut. Callers wait for as long as a busy machine takes.
pub(crate) fn plan() -> Plan {
    Plan { recorders: 0, ..Plan::default() }.set("CAPI_VERDICT_WAIT", "1m")
}

/// Where a recorder looks for ClickHouse, and where ClickHouse is: a line may lie between them.
struct Between {
    address: SocketAddr,
    clickhouse: String,
}

impl Between {
    fn of(deployment: &Deployment) -> anyhow::Result<Self> {
        let clickhouse = deployment.setting("CAPI_CLICKHOUSE_URL").and_then(|url| url.strip_prefix("http://"));
        let clickhouse = clickhouse.context("ClickHouse speaks HTTP here")?.to_owned();
        Ok(Self { address: port::free()?, clickhouse })
    }

    async fn line(&self) -> anyhow::Result<Line> {
        Line::open(self.address, self.clickhouse.clone()).await
    }

    /// Starts the recorder.
    fn record(&self, deployment: &mut Deployment) -> anyhow::Result<()> {
        let mut environment = deployment.environment().to_vec();
        environment.push(("CAPI_CLICKHOUSE_URL".into(), format!("http://{}", self.address)));
        let (program, directory, http) =
            (deployment.program(Kind::Recorder)?, deployment.directory(), deployment.http.clone());
        let recorder = Instance::start(program, "behind-a-line", environment, directory, http)?;
        deployment.recorders.push(recorder);
        Ok(())
    }
}

pub(crate) async fn clickhouse_comes_and_goes(deployment: &mut Deployment) -> anyhow::Result<()> {
    let between = Between::of(deployment)?;
    between.record(deployment)?;
    let merchant = Merchant::open(deployment).await?;

    // Away from the start.
    report(&merchant, 0..20).await?;
    let recorder = &deployment.recorders[0];
    let (alive, _) = wait::until("the admin address", async || Ok(recorder.admin_page("/livez").await.ok())).await?;
    let (ready, says) = recorder.admin_page("/readyz").await?;
    ensure!((alive, ready) == (200, 503) && says.contains("clickhouse"), "{alive}, {ready}: {says}");

    let line = between.line().await?;
    rows(deployment, &merchant, 20).await?;
    deployment.recorders[0].ready().await?;

    // Cut in the middle of the work, and mended.
    line.cut().await;
    report(&merchant, 20..60).await?;
    let _line = between.line().await?;
    rows(deployment, &merchant, 60).await?;
    deployment.recorders[0].ready().await
}

async fn report(merchant: &Merchant, orders: std::ops::Range<usize>) -> anyhow::Result<()> {
    for order in orders {
        merchant.call(&purchase(&format!("ORD-{order}"))).await?.expect(200, "forwarded")?;
    }
    Ok(())
}

/// Waits until each of the calls has its row, and none has two.
async fn rows(deployment: &Deployment, merchant: &Merchant, calls: u64) -> anyhow::Result<()> {
    let select = format!(
        "SELECT count() AS rows, uniqExact(call_id) AS calls FROM calls WHERE business_id = '{}'",
        merchant.business
    );
    let all = |rows: &[Value]| rows.first().is_some_and(|row| row["calls"].as_u64() >= Some(calls));
    let found = deployment.analyst.rows_when(&select, all).await?;
    ensure!(found[0]["rows"] == calls && found[0]["calls"] == calls, "{found:?}");
    Ok(())
}
