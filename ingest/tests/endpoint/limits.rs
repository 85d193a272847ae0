//! Who calls too often.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use tokio::time::advance;

use crate::harness::{EXAMPLE, Fixture, Got, Setup, rate};

#[tokio::test(start_paused = true)]
async fn a_business_over_its_rate_is_told_when_to_come_back() {
    let fixture = Fixture::with(Setup { change: |entry| entry.rate_limit = rate(2), ..Setup::default() });
    for _ in 0..2 {
        assert_eq!(fixture.post(EXAMPLE).await.http, 200);
    }
    let got = fixture.post(EXAMPLE).await;
    assert_eq!((got.http, got.reason(), &got.body["code"]), (429, "RATE_LIMITED", &8.into()));
    assert_eq!((got.header("retry-after"), &got.body["details"][1]["retry_delay"]), ("1", &"1s".into()));
    assert!(fixture.records().is_empty(), "no record");
    advance(Duration::from_secs(1)).await;
    assert_eq!(fixture.post(EXAMPLE).await.http, 200);
}

#[tokio::test]
async fn the_rate_is_checked_after_the_business_and_before_the_channel() {
    let change = |entry: &mut directory::BusinessEntry| (entry.rate_limit, entry.channel) = (rate(1), None);
    let fixture = Fixture::with(Setup { change, ..Setup::default() });
    assert_eq!(fixture.post(EXAMPLE).await.reason(), "WHATSAPP_CHANNEL_NOT_CONFIGURED");
    assert_eq!(fixture.post(EXAMPLE).await.reason(), "RATE_LIMITED");
    let change = |entry: &mut directory::BusinessEntry| (entry.rate_limit, entry.enabled) = (rate(1), false);
    let fixture = Fixture::with(Setup { change, ..Setup::default() });
    for _ in 0..3 {
        assert_eq!(fixture.post(EXAMPLE).await.reason(), "BUSINESS_NOT_FOUND");
    }
}

async fn fail(fixture: &Fixture, peer: &str, forwarded_for: &str) -> Got {
    let request = Request::post(fixture.path()).header("x-forwarded-for", forwarded_for);
    fixture.send_from(peer, request.body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn an_address_that_goes_on_failing_leaves_no_more_records() {
    let fixture = Fixture::new();
    for _ in 0..60 {
        assert_eq!(fail(&fixture, "203.0.113.9", "").await.http, 401);
    }
    let got = fail(&fixture, "203.0.113.9", "").await;
    assert_eq!((got.http, got.reason(), got.header("retry-after")), (429, "RATE_LIMITED", "60"));
    assert_eq!(fixture.records().len(), 60);
    assert_eq!(fixture.post(EXAMPLE).await.http, 200, "a valid key is never held up");
    assert_eq!(fail(&fixture, "203.0.113.10", "").await.http, 401, "nor is another address");
    advance(Duration::from_mins(1)).await;
    assert_eq!(fail(&fixture, "203.0.113.9", "").await.http, 401);
}

#[tokio::test(start_paused = true)]
async fn only_trusted_proxies_say_who_calls() {
    let fixture = Fixture::new();
    for attempt in 0..60 {
        fail(&fixture, "203.0.113.9", &format!("198.51.100.{attempt}")).await;
        fail(&fixture, "10.0.0.1", "198.51.100.200").await;
    }
    assert_eq!(fail(&fixture, "203.0.113.9", "198.51.100.250").await.http, 429, "a stranger is not believed");
    assert_eq!(fail(&fixture, "10.0.0.1", "198.51.100.200").await.http, 429);
    assert_eq!(fail(&fixture, "10.0.0.1", "198.51.100.201").await.http, 401);
}
