//! The console over the real pipeline: what a merchant does there, and what it never shows.

use anyhow::{Context as _, ensure};
use e2e::{
    browser::Browser,
    deployment::{Deployment, Plan},
    event::{purchase, with_click},
    merchant::{Merchant, send},
};
use serde_json::Value;

const PASSWORD: &str = "correct horse battery";

/// Two consoles: what one does the other knows.
pub(crate) fn plan() -> Plan {
    Plan { consoles: 2, ..Plan::default() }
}

/// A user of the console, who signs in there.
async fn signed_in(deployment: &Deployment, merchant: &Merchant, console: usize) -> anyhow::Result<Browser> {
    let name = format!("user-{}", &merchant.business[24..]);
    let put = ["user", "put", &name, "--role", "merchant", "--business", &merchant.business];
    let said = deployment.operator.run_reading(PASSWORD, &put).await?;
    ensure!(said.code == 0, "{said:?}");
    deployment.a_change_takes_effect().await;
    let mut browser = Browser::at(deployment, console)?;
    browser.sign_in(&name, PASSWORD).await?;
    Ok(browser)
}

/// A key is made and seen once; a call with it arrives; a rejection is understood, mended and sent again; the key goes.
pub(crate) async fn from_the_first_key_to_its_revocation(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let mut browser = signed_in(deployment, &merchant, 0).await?;
    let pages = format!("/businesses/{}", merchant.business);
    browser.get(&format!("{pages}/integration")).await?.expect(200, &["No call in the last 24 hours"])?;

    let page = browser.post(&format!("{pages}/settings/keys"), &[("name", "backend")]).await?;
    let key = page.expect(201, &["Copy it now"])?.between("data-secret>", "<")?.to_owned();
    deployment.a_change_takes_effect().await;
    ensure!(!browser.get(&format!("{pages}/settings")).await?.body.contains(&key), "the key is shown again");

    let call = |body: Value| {
        merchant.bare(&merchant.url_of(&merchant.business)).header("X-API-KEY", &key).body(body.to_string())
    };
    let rejected = send(call(with_click("sandbox-invalid-clid", "ORD-1"))).await?;
    rejected.expect_error(400, "META_REJECTED")?;
    browser.until(&format!("{pages}/integration"), "ORD-1").await?;
    let page = browser.until(&format!("{pages}/calls?order=ORD-1"), "META_REJECTED").await?;
    ensure!(page.body.contains(&rejected.call.to_string()), "the order has another call: {}", page.body);
    browser.get(&format!("{pages}/calls/{}", rejected.call)).await?.expect(
        200,
        &[
            "“Messaging Event Invalid Ctwa Clid”",
            "Meta does not know this click id",
            "One request carried it",
            "sandbox-invalid-clid",
        ],
    )?;

    let accepted = send(call(purchase("ORD-1"))).await?;
    accepted.expect(200, "forwarded")?;
    let page = browser.until(&format!("{pages}/calls/{}", accepted.call), "Meta has the event.").await?;
    page.expect(200, &["Other calls of this order", &rejected.call.to_string()])?;
    let duplicate = send(call(purchase("ORD-1"))).await?;
    let page = browser.until(&format!("{pages}/calls/{}", duplicate.call), "an order is credited once").await?;
    page.expect(200, &[&format!("{pages}/calls/{}", accepted.call)])?;
    browser.get(&pages).await?.expect(200, &["Meta rejected 33 % of", "“Messaging Event Invalid Ctwa Clid”", "USD"])?;

    let key_id = key.split('_').nth(1).context("a key without an id")?;
    let page = browser.post(&format!("{pages}/settings/keys/{key_id}/revoke"), &[]).await?;
    ensure!(page.status == 303, "{page:?}");
    deployment.a_change_takes_effect().await;
    send(call(purchase("ORD-2"))).await?.expect_error(401, "API_KEY_REVOKED")?;
    browser.get(&format!("{pages}/settings")).await?.expect(200, &["revoked"])?;
    browser.until(&format!("{pages}/calls?stage=authentication"), "API_KEY_REVOKED").await?;
    Ok(())
}

/// Tables and files have the rows of their view.
pub(crate) async fn what_a_view_says_is_what_a_page_says(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    for order in 0..3 {
        merchant.call(&purchase(&format!("ORD-{order}"))).await?;
    }
    let rejected = merchant.call(&with_click("sandbox-invalid-clid", "ORD '\\ 4")).await?.call;
    deployment.analyst.final_row(rejected).await?;
    let mut browser = signed_in(deployment, &merchant, 0).await?;
    let pages = format!("/businesses/{}", merchant.business);
    browser.until(&format!("{pages}/calls?order=ORD+%27%5C+4"), "META_REJECTED").await?;
    for (report, view) in [
        ("conversions-per-ad", "conversions_per_ad"),
        ("revenue-per-ad", "revenue_per_ad"),
        ("revenue-per-campaign", "revenue_per_campaign"),
        ("revenue-per-product", "revenue_per_product"),
        ("failure-rates", "failure_rates"),
        ("view-to-purchase", "view_to_purchase"),
    ] {
        let select =
            format!("SELECT * EXCEPT business_id FROM {view} WHERE business_id = '{}' ORDER BY ALL", merchant.business);
        let mut expected = deployment.analyst.rows(&select).await?;
        let page = browser.get(&format!("{pages}/reports/{report}.json?by=day")).await?;
        let mut rows: Vec<Value> = serde_json::from_str(&page.expect(200, &[])?.body)?;
        let by_text = |rows: &mut Vec<Value>| rows.sort_by_key(Value::to_string);
        by_text(&mut expected);
        by_text(&mut rows);
        ensure!(rows == expected && !rows.is_empty(), "{report}: {rows:?}, not {expected:?}");
        browser.get(&format!("{pages}/reports/{report}")).await?.expect(200, &["<tbody>", &format!("FROM {view}")])?;
        // The statement of the page runs as it stands.
        let page = browser.get(&format!("{pages}/reports/{report}?by=day")).await?;
        let sql = page.between("<pre id=\"sql\" tabindex=\"0\">", "</pre>")?.replace("&#39;", "'");
        let ran = deployment.analyst.rows(&sql).await?;
        ensure!(ran.len() == rows.len(), "{sql} gives {ran:?}");
        let csv = browser.get(&format!("{pages}/reports/{report}.csv?by=day")).await?;
        ensure!(csv.body.lines().count() == rows.len() + 1, "{}", csv.body);
    }
    // Every column that a table sorts by, both ways.
    for sort in ["day", "ad_id", "currency", "orders", "revenue", "credited_revenue"] {
        for dir in ["asc", "desc"] {
            let page = format!("{pages}/reports/revenue-per-ad?by=day&sort={sort}&dir={dir}&ad_id=1202");
            browser.get(&page).await?.expect(200, &["<tbody>", "aria-sort"])?;
        }
    }
    for filter in [
        "status=forwarded",
        "lane=live",
        "ad=120210000000000001",
        "campaign=sendout-42",
        "reason=META_REJECTED",
        "range=30",
    ] {
        browser.get(&format!("{pages}/calls?{filter}")).await?.expect(200, &["<tbody>"])?;
    }
    for range in ["range=today", "range=30", "from=2026-01-01&to=2026-12-31"] {
        browser.get(&format!("{pages}?{range}")).await?.expect(200, &["<svg"])?;
    }
    Ok(())
}

/// Whatever is asked for, nothing of another's is there.
pub(crate) async fn another_merchant_sees_nothing(deployment: &mut Deployment) -> anyhow::Result<()> {
    let (merchant, other) = (Merchant::open(deployment).await?, Merchant::open(deployment).await?);
    let call = merchant.call(&purchase("ORD-SECRET")).await?.call;
    deployment.analyst.final_row(call).await?;
    let mut browser = signed_in(deployment, &merchant, 0).await?;
    let pages = format!("/businesses/{}", merchant.business);
    browser.until(&format!("{pages}/calls"), "ORD-SECRET").await?;
    let mut stranger = signed_in(deployment, &other, 0).await?;
    let call_page = format!("/calls/{call}");
    for page in
        ["", "/calls", "/calls?order=ORD-SECRET", &call_page, "/reports/revenue-per-ad", "/integration", "/settings"]
    {
        let seen = stranger.get(&format!("{pages}{page}")).await?;
        seen.expect(404, &["There is no such page"])?;
        // The same under the stranger's own business: the order and the call are not there.
        let own = stranger.get(&format!("/businesses/{}{page}", other.business)).await?;
        for text in ["ORD-SECRET</", "sendout-42", &merchant.business] {
            ensure!(!seen.body.contains(text) && !own.body.contains(text), "{text} is on {page}");
        }
    }
    stranger.get(&format!("/businesses/{}{call_page}", other.business)).await?.expect(404, &[])?;
    Ok(())
}

/// A sign-out at one console is one at the other.
pub(crate) async fn a_session_ends_everywhere(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let mut browser = signed_in(deployment, &merchant, 0).await?;
    let mut elsewhere = browser.at_another(deployment, 1)?;
    elsewhere.get("/businesses").await?.expect(200, &[])?;
    let page = browser.post("/sign-out", &[]).await?;
    ensure!(page.location == "/sign-in", "{page:?}");
    deployment.a_change_takes_effect().await;
    ensure!(elsewhere.get("/businesses").await?.status == 303, "the session goes on at the other console");
    Ok(())
}
