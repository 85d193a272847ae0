//! Signing in and out, and what an answer carries.

use axum::{
    body::Body,
    http::{Request, header},
};

use crate::fixture::{Fixture, PASSWORD, SHOP, url};

/// Every page that is asked for by GET.
pub fn pages(business: u128) -> Vec<String> {
    let of_business = [
        "",
        "/calls",
        "/calls/01a2078b-dd1f-750b-8eb2-96b9bf05f3e1",
        "/reports/conversions-per-ad",
        "/reports/revenue-per-ad",
        "/reports/view-to-purchase",
        "/reports/revenue-per-campaign",
        "/reports/revenue-per-product",
        "/reports/failure-rates",
        "/reports/failure-rates.csv",
        "/reports/failure-rates.json",
        "/integration",
        "/settings",
    ];
    of_business.iter().map(|page| format!("{}{page}", url(business))).collect()
}

#[tokio::test]
async fn who_has_not_signed_in_is_led_to_the_door_and_back() {
    let fixture = Fixture::new().await;
    let mut stranger = fixture.stranger().await;
    for page in pages(SHOP).into_iter().chain(["/".into(), "/businesses".into(), "/nowhere".into()]) {
        let got = stranger.get(&page).await;
        assert_eq!(got.status, 303, "{page}");
        let back: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
        assert_eq!(got.location(), format!("/sign-in?to={back}"));
    }
    assert!(fixture.clickhouse.asked().is_empty());
    let got =
        stranger.post("/sign-in", &[("name", "Merchant "), ("password", PASSWORD), ("to", &pages(SHOP)[1])]).await;
    assert_eq!((got.status, got.location()), (303, pages(SHOP)[1].as_str()));
    stranger.get(&pages(SHOP)[1]).await.says(200, &["Corner Shop"]);
    assert_eq!(stranger.get("/sign-in?to=/businesses").await.location(), "/businesses");
}

#[tokio::test]
async fn name_and_password_belong_together() {
    let fixture = Fixture::new().await;
    let mut stranger = fixture.stranger().await;
    for (name, password) in [
        ("merchant", "wrong horse battery"),
        ("merchant", ""),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("a b\"><b>", PASSWORD),
    ] {
        let got = stranger.sign_in(name, password).await;
        got.says(403, &["Name and password do not belong together."]).lacks(&[PASSWORD, "<b>"]);
        assert_eq!(stranger.get("/businesses").await.status, 303);
    }
}

#[tokio::test]
async fn a_form_of_elsewhere_signs_nobody_in_or_out() {
    let fixture = Fixture::new().await;
    let fields = [("name", "merchant"), ("password", PASSWORD)];
    let mut stranger = fixture.stranger().await;
    let token = stranger.form_token.clone();
    stranger.post_with("/sign-in", "", "same-origin", &fields).await.says(403, &["Send it once more"]);
    stranger.post_with("/sign-in", &token, "cross-site", &fields).await.says(403, &["Not from here"]);
    // The token of another browser.
    let mut other = fixture.stranger().await;
    other.post_with("/sign-in", &token, "same-origin", &fields).await.says(403, &["Send it once more"]);
    let mut merchant = fixture.visitor("merchant").await;
    let session = merchant.form_token.clone();
    for (token, site) in [("", "same-origin"), (&*token, "same-origin"), (&*session, "cross-site")] {
        merchant.post_with("/sign-out", token, site, &[]).await.says(403, &["Not from here"]);
    }
    merchant.get("/businesses").await.says(200, &[]);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_limited_by_address_and_by_name() {
    let fixture = Fixture::new().await;
    let mut stranger = fixture.stranger().await;
    for _ in 0..15 {
        stranger.sign_in("merchant", "wrong").await.says(403, &[]);
    }
    let got = stranger.sign_in("merchant", PASSWORD).await;
    got.says(429, &["Try again in 15 minutes"]);
    assert_eq!(got.header("retry-after"), "901");
    // Another name is free, until the address is used up.
    for _ in 0..14 {
        stranger.sign_in("nobody", "wrong").await.says(403, &[]);
    }
    stranger.sign_in("operator", PASSWORD).await.says(429, &[]);
    tokio::time::advance(std::time::Duration::from_mins(15)).await;
    assert_eq!(stranger.sign_in("merchant", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_session_ends_with_its_sign_out_wherever_its_cookie_is() {
    let fixture = Fixture::changing().await;
    let mut merchant = fixture.visitor("merchant").await;
    let kept = merchant.cookies.clone();
    let mut elsewhere = fixture.visitor("merchant").await;
    let got = merchant.post("/sign-out", &[]).await;
    assert_eq!((got.status, got.location()), (303, "/sign-in"));
    assert!(got.header("set-cookie").contains("Max-Age=0"), "{got:?}");
    merchant.cookies = kept;
    let mut is_over = false;
    for _ in 0..500 {
        is_over = merchant.get("/businesses").await.status == 303;
        if is_over {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(is_over, "the cookie still opens the pages");
    elsewhere.get("/businesses").await.says(200, &[]);
    fixture.store.end_sessions(&"merchant".parse().unwrap(), 2).await.unwrap();
    fixture.until(|snapshot| snapshot.user(&"merchant".parse().unwrap()).unwrap().sessions_from > 1).await;
    assert_eq!(elsewhere.get("/businesses").await.status, 303);
}

#[tokio::test]
async fn a_user_who_is_gone_sees_nothing_any_more() {
    let fixture = Fixture::changing().await;
    let mut merchant = fixture.visitor("merchant").await;
    fixture.store.remove_user(&"merchant".parse().unwrap()).await.unwrap();
    fixture.until(|snapshot| snapshot.user(&"merchant".parse().unwrap()).is_none()).await;
    assert_eq!(merchant.get("/businesses").await.status, 303);
}

#[tokio::test]
async fn no_page_lets_anything_in_from_elsewhere() {
    let fixture = Fixture::new().await;
    let mut operator = fixture.visitor("operator").await;
    for page in pages(SHOP).into_iter().chain(["/businesses".into(), "/nowhere".into(), "/sign-in?to=//x".into()]) {
        let got = operator.get(&page).await;
        let policy = got.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(
            (got.header("x-frame-options"), got.header("x-content-type-options")),
            ("DENY", "nosniff"),
            "{page}"
        );
        assert_eq!(got.header("cache-control"), "no-store", "{page}");
        got.lacks(&[" style=", "<script>", "javascript:", " onclick", "http://", "src=\"//"]);
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_and_need_no_sign_in() {
    let fixture = Fixture::new().await;
    let mut stranger = fixture.stranger().await;
    let page = stranger.get("/sign-in").await;
    let assets: Vec<_> = page.body.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(assets.len(), 3, "{}", page.body);
    for asset in assets {
        let got = stranger.get(asset).await;
        assert_eq!((got.status, got.header("cache-control")), (200, "public, max-age=31536000, immutable"), "{asset}");
    }
    assert_eq!(stranger.get("/assets/console.css").await.status, 404);
}

#[tokio::test]
async fn a_form_that_is_too_large_is_not_read() {
    let fixture = Fixture::new().await;
    let merchant = fixture.visitor("merchant").await;
    let request = Request::post("/sign-out")
        .header(header::COOKIE, merchant.cookies.join("; "))
        .body(Body::from("a=".to_owned() + &"x".repeat(40_000)))
        .unwrap();
    fixture.send(request).await.says(413, &["larger than any form"]);
    let got = fixture.send(Request::put("/sign-out").body(Body::empty()).unwrap()).await;
    got.says(405, &["not asked for in this way"]);
}
