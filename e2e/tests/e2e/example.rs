//! The endpoint page's example.

use e2e::{analyst::expect, deployment::Deployment, event, merchant::Merchant};
use serde_json::json;

/// The answer, the row with every column, and what Meta counted.
pub(crate) async fn the_page(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let body = event::purchase("ORD-7821");
    let answer = merchant.call(&body).await?;
    answer.expect(200, "forwarded")?;
    let row = deployment.analyst.row(answer.call).await?;
    expect(&row, &json!({"order_id": "ORD-7821"}))
}
