//! The views, with numbers worked out by hand.
//!
//! One merchant's calls, in USD where nothing else is said, on the days D1 (yesterday) and D2 (the day before):
//!
//! | order | ad | sendout | day | value | contents | what becomes of it |
//! |---|---|---|---|---|---|---|
//! | O1 | a1 | s1 | D1 | 100.10 | 2 x at 10.05, 1 y at 80 | forwarded, and once more: duplicate |
//! | O2 | a1 | s2 | D1 | 50 | x at 50, no quantity | rejected |
//! | O3 | a1 | s1 | D1 | BRL 30.5 | 3 x, no price | forwarded |
//! | O4 | a2 | s1 | D2 | 20 | 1 z at 20, 2 z at 0 | pending |
//! | O5 | a1 | s1 | D1 | 7 | | rejected, then corrected: forwarded |
//! | O6 | a2 | s2 | D1 | 9, then 11 | | rejected twice: the last represents it |
//! | none | a2 | s2 | D1 | 1.000001, twice | | forwarded: an order each |
//! | views | a1 | s1 | D1 | three | | forwarded |
//! | views | a2 | s1 | D2 | one | | forwarded |
//! | views | a4 | s1 | D1 | one | | forwarded |
//! | O7 | a1 | s1 | D1 | of an unknown currency | | refused, twice |
//! | O8 | a1 | s1 | D1 | for an unknown business | | refused |
//!
//! 19 authenticated calls, and one with a wrong key that is nobody's.

use anyhow::ensure;
use e2e::{deployment::Deployment, event::now, merchant::Merchant, merchant::send};
use serde_json::{Value, json};

const DAY: i64 = 24 * 3600;

/// The bodies of one merchant.
struct Shop {
    d1: i64,
    d2: i64,
}

impl Shop {
    fn purchase(&self, order: &str, ad: &str, sendout: &str, value: &Value) -> Value {
        json!({
            "cnct_tracking_id": "t", "event_name": "Purchase", "sendout_id": sendout,
            "attribution": {"meta_ctwa": {"ctwa_clid": format!("click-{order}"), "ad_id": ad}},
            "payload": {"currency": "USD", "value": value, "order_id": order, "event_time": self.d1},
        })
    }

    fn view(ad: &str, time: i64) -> Value {
        json!({
            "cnct_tracking_id": "t", "event_name": "ViewContent", "sendout_id": "s1",
            "attribution": {"meta_ctwa": {"ctwa_clid": "click", "ad_id": ad}},
            "payload": {"event_time": time},
        })
    }
}

fn rejected(mut body: Value) -> Value {
    body["attribution"]["meta_ctwa"]["ctwa_clid"] = json!("sandbox-invalid-clid");
    body
}

fn with_contents(mut body: Value, contents: Value) -> Value {
    body["payload"]["contents"] = contents;
    body
}

/// Every view over the calls of the table above.
pub(crate) async fn by_hand(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let (shop, calls) = (Shop { d1: now() - DAY, d2: now() - 2 * DAY }, 19);
    sell(&merchant, &shop).await?;
    let refused = refuse(&merchant, &shop).await?;
    let of_this = format!("business_id = '{}'", merchant.business);
    let select = format!("SELECT call_id FROM calls WHERE {of_this} AND failure_stage != 'authentication'");
    deployment.analyst.rows_when(&select, |rows| rows.len() == calls).await?;

    let day = |time: i64| format!("toString(toDate({time}, 'UTC'))");
    let days = deployment.analyst.one(&format!("SELECT {} AS d1, {} AS d2", day(shop.d1), day(shop.d2))).await?;
    let received = format!("SELECT toString(toDate(min(received_at))) AS day FROM calls WHERE {of_this}");
    let today = deployment.analyst.one(&received).await?["day"].clone();
    for (view, columns, rows) in expected(&days["d1"], &days["d2"], &today, &refused) {
        let select = format!("SELECT {columns} FROM {view} WHERE {of_this} ORDER BY ALL");
        let found = deployment.analyst.rows(&select).await?;
        ensure!(json!(found) == rows, "{view} holds {}, not {rows}", json!(found));
    }
    holds_every_column(deployment).await
}

async fn sell(merchant: &Merchant, shop: &Shop) -> anyhow::Result<()> {
    let o1 = shop.purchase("O1", "a1", "s1", &json!(100.10));
    let o1 = with_contents(
        o1,
        json!([{"id": "x", "quantity": 2, "item_price": 10.05}, {"id": "y", "quantity": 1, "item_price": 80}]),
    );
    merchant.call(&o1).await?.expect(200, "forwarded")?;
    merchant.call(&o1).await?.expect(200, "duplicate")?;
    let o2 = with_contents(shop.purchase("O2", "a1", "s2", &json!(50)), json!([{"id": "x", "item_price": 50}]));
    merchant.call(&rejected(o2)).await?.expect_error(400, "META_REJECTED")?;
    let mut o3 = with_contents(shop.purchase("O3", "a1", "s1", &json!(30.5)), json!([{"id": "x", "quantity": 3}]));
    o3["payload"]["currency"] = json!("brl");
    merchant.call(&o3).await?.expect(200, "forwarded")?;
    let o5 = shop.purchase("O5", "a1", "s1", &json!(7));
    merchant.call(&rejected(o5.clone())).await?.expect_error(400, "META_REJECTED")?;
    merchant.call(&o5).await?.expect(200, "forwarded")?;
    for value in [9, 11] {
        let o6 = shop.purchase("O6", "a2", "s2", &json!(value));
        merchant.call(&rejected(o6)).await?.expect_error(400, "META_REJECTED")?;
    }
    for _ in 0..2 {
        merchant.call(&shop.purchase("", "a2", "s2", &json!(1.000_001))).await?.expect(200, "forwarded")?;
    }
    for (ad, time) in [("a1", shop.d1), ("a1", shop.d1), ("a1", shop.d1), ("a2", shop.d2), ("a4", shop.d1)] {
        merchant.call(&Shop::view(ad, time)).await?.expect(200, "forwarded")?;
    }
    // Meta has it throttled until further notice.
    let o4 = shop.purchase("O4", "a2", "s1", &json!(20));
    let lines = json!([{"id": "z", "quantity": 1, "item_price": 20}, {"id": "z", "quantity": 2, "item_price": 0}]);
    let mut o4 = with_contents(o4, lines);
    o4["payload"]["event_time"] = json!(shop.d2);
    o4["attribution"]["meta_ctwa"]["ctwa_clid"] = json!("sandbox-throttle-60");
    merchant.prefer("wait=0", &o4).await?.expect(200, "pending")?;
    Ok(())
}

/// The message of the refused payload.
async fn refuse(merchant: &Merchant, shop: &Shop) -> anyhow::Result<Value> {
    let mut o7 = shop.purchase("O7", "a1", "s1", &json!(1));
    o7["payload"]["currency"] = json!("XXX");
    merchant.call(&o7).await?.expect_error(400, "INVALID_FIELDS")?;
    let refused = merchant.call(&o7).await?;
    let o8 = shop.purchase("O8", "a1", "s1", &json!(1)).to_string();
    let elsewhere = merchant.url_of("00000000-0000-7000-8000-000000000000");
    let request = merchant.bare(&elsewhere).header("X-API-KEY", &merchant.key).body(o8.clone());
    send(request).await?.expect_error(404, "BUSINESS_NOT_FOUND")?;
    let request = merchant.bare(&merchant.url_of(&merchant.business)).header("X-API-KEY", "wrong").body(o8);
    send(request).await?.expect_error(401, "API_KEY_INVALID")?;
    Ok(refused.expect_error(400, "INVALID_FIELDS")?.body["message"].clone())
}

/// View, the columns beside the business, and the rows.
fn expected(d1: &Value, d2: &Value, today: &Value, refused: &Value) -> Vec<(&'static str, &'static str, Value)> {
    let conversions = |ad: &str, event: &str, day: &Value, counts: [u32; 4]| {
        json!({
            "ad_id": ad, "event_name": event, "day": day, "conversions": counts[0], "events_received": counts[1],
            "rejected": counts[2], "pending": counts[3],
        })
    };
    let revenue = |key: &str, id: &str, currency: &str, day: &Value, orders: u32, revenue: &str, credited: &str| {
        json!({
            key: id, "currency": currency, "day": day, "orders": orders, "revenue": revenue,
            "credited_revenue": credited,
        })
    };
    let product = |id: &str, currency: &str, day: &Value, orders: u32, units: u32, revenue: &str| {
        json!({
            "product_id": id, "currency": currency, "day": day, "orders": orders, "units": units, "revenue": revenue,
        })
    };
    let failures = |stage: &str, failures: u32, error: &Value| {
        json!({
            "day": today, "failure_stage": stage, "calls": 19, "failures": failures,
            "failure_rate": f64::from(failures) / 19.0, "top_error": error,
        })
    };
    let shown = |ad: &str, day: &Value, views: u32, purchases: u32, rate: Value| json!({"ad_id": ad, "day": day, "views": views, "purchases": purchases, "rate": rate});
    vec![
        (
            "conversions_per_ad",
            "ad_id, event_name, day, conversions, events_received, rejected, pending",
            json!([
                conversions("a1", "Purchase", d1, [4, 3, 1, 0]),
                conversions("a1", "ViewContent", d1, [3, 3, 0, 0]),
                conversions("a2", "Purchase", d2, [1, 0, 0, 1]),
                conversions("a2", "Purchase", d1, [3, 2, 1, 0]),
                conversions("a2", "ViewContent", d2, [1, 1, 0, 0]),
                conversions("a4", "ViewContent", d1, [1, 1, 0, 0]),
            ]),
        ),
        (
            "revenue_per_ad",
            "ad_id, currency, day, orders, revenue, credited_revenue",
            json!([
                revenue("ad_id", "a1", "BRL", d1, 1, "30.5", "30.5"),
                revenue("ad_id", "a1", "USD", d1, 3, "157.1", "107.1"),
                revenue("ad_id", "a2", "USD", d2, 1, "20", "0"),
                revenue("ad_id", "a2", "USD", d1, 3, "13.000002", "2.000002"),
            ]),
        ),
        (
            "revenue_per_campaign",
            "sendout_id, currency, day, orders, revenue, credited_revenue",
            json!([
                revenue("sendout_id", "s1", "BRL", d1, 1, "30.5", "30.5"),
                revenue("sendout_id", "s1", "USD", d2, 1, "20", "0"),
                revenue("sendout_id", "s1", "USD", d1, 2, "107.1", "107.1"),
                revenue("sendout_id", "s2", "USD", d1, 4, "63.000002", "2.000002"),
            ]),
        ),
        (
            "revenue_per_product",
            "product_id, currency, day, orders, units, revenue",
            json!([
                product("x", "BRL", d1, 1, 3, "0"),
                product("x", "USD", d1, 2, 3, "70.1"),
                product("y", "USD", d1, 1, 1, "80"),
                product("z", "USD", d2, 1, 3, "20"),
            ]),
        ),
        (
            "failure_rates",
            "day, failure_stage, calls, failures, failure_rate, top_error",
            json!([
                failures("business_lookup", 1, &json!("Business not found: 00000000-0000-7000-8000-000000000000")),
                failures("meta_forward", 4, &json!("Messaging Event Invalid Ctwa Clid")),
                failures("payload_mapping", 2, refused),
            ]),
        ),
        (
            "view_to_purchase",
            "ad_id, day, views, purchases, rate",
            json!([
                shown("a1", d1, 3, 4, json!(4.0 / 3.0)),
                shown("a2", d2, 1, 1, json!(1)),
                shown("a2", d1, 0, 3, json!(null)),
                shown("a4", d1, 1, 0, json!(0)),
            ]),
        ),
    ]
}

/// The views have the columns that dashboards lean on, in their order.
async fn holds_every_column(deployment: &Deployment) -> anyhow::Result<()> {
    for (view, columns) in [
        ("conversions_per_ad", "business_id,ad_id,event_name,day,conversions,events_received,rejected,pending"),
        ("revenue_per_ad", "business_id,ad_id,currency,day,orders,revenue,credited_revenue"),
        ("revenue_per_campaign", "business_id,sendout_id,currency,day,orders,revenue,credited_revenue"),
        ("revenue_per_product", "business_id,product_id,currency,day,orders,units,revenue"),
        ("failure_rates", "business_id,day,failure_stage,calls,failures,failure_rate,top_error"),
        ("view_to_purchase", "business_id,ad_id,day,views,purchases,rate"),
    ] {
        let select = format!(
            "SELECT arrayStringConcat(groupArray(name), ',') AS names FROM (SELECT name FROM system.columns \
             WHERE database = currentDatabase() AND table = '{view}' ORDER BY position)"
        );
        let found = deployment.analyst.one(&select).await?;
        ensure!(found["names"] == columns, "{view} has {}", found["names"]);
    }
    Ok(())
}
