//! Keys and channels, over a topic of a mock cluster.

use directory::authenticate;

use crate::fixture::{Fixture, OTHER, SHOP, TOKEN, id, url};

#[tokio::test]
async fn a_key_is_shown_once_and_revoked_for_good() {
    let fixture = Fixture::changing().await;
    let mut merchant = fixture.visitor("merchant").await;
    let settings = format!("{}/settings", url(SHOP));
    merchant
        .get(&settings)
        .await
        .says(200, &["There is no key yet.", "No scopes selected — key will have full access."]);
    let got =
        merchant.post(&format!("{settings}/keys"), &[("name", "till <1>"), ("scopes", ""), ("expires", "")]).await;
    got.says(201, &["till &#60;1&#62;", "Copy it now"]);
    assert_eq!(got.header("cache-control"), "no-store");
    let plaintext = got.body.split_once("data-secret>").unwrap().1.split_once('<').unwrap().0.to_owned();
    fixture.until(|snapshot| authenticate([plaintext.as_bytes()], 1, snapshot).is_ok()).await;
    let key_id = plaintext.split('_').nth(1).unwrap();
    let page = merchant.get(&settings).await;
    page.says(200, &[key_id, "live", "not in 90 days"]).lacks(&[&plaintext]);
    let got = merchant.post(&format!("{settings}/keys/{key_id}/revoke"), &[]).await;
    assert_eq!((got.status, got.location()), (303, format!("{settings}?done=key-revoked#keys").as_str()));
    fixture.until(|snapshot| authenticate([plaintext.as_bytes()], 1, snapshot).is_err()).await;
    merchant.get(&format!("{settings}?done=key-revoked")).await.says(200, &["The key is revoked.", "revoked"]);
    merchant.get(&format!("{settings}?done=%3Ci%3E")).await.says(400, &[]).lacks(&["<i>"]);
    merchant.post(&format!("{settings}/keys/unknown/revoke"), &[]).await.says(404, &[]);
}

#[tokio::test]
async fn a_channel_is_put_and_its_token_never_shown() {
    let fixture = Fixture::changing().await;
    let mut merchant = fixture.visitor("merchant").await;
    let settings = format!("{}/settings", url(SHOP));
    let path = format!("{settings}/channel");
    merchant
        .post(&path, &[("waba_id", "1"), ("dataset_id", "2")])
        .await
        .says(400, &["<b>access_token</b> is required"]);
    let wrong = [("waba_id", "x"), ("dataset_id", "2"), ("access_token", "two words")];
    merchant.post(&path, &wrong).await.says(400, &["waba_id", "value=\"x\""]).lacks(&["two words"]);
    let got = merchant.post(&path, &[("waba_id", "1"), ("dataset_id", "2"), ("access_token", TOKEN)]).await;
    assert_eq!((got.status, got.location()), (303, format!("{settings}?done=channel-saved#channel").as_str()));
    let channel = |snapshot: &directory::Snapshot| snapshot.business(&id(SHOP).to_string()).unwrap().channel.clone();
    fixture.until(|snapshot| channel(snapshot).is_some()).await;
    let sealed = channel(&fixture.directory.snapshot()).unwrap().access_token;
    merchant.get(&settings).await.says(200, &["stored; empty keeps it"]).lacks(&[TOKEN]);
    // Without a token the one that is stored stays.
    merchant.post(&path, &[("waba_id", "3"), ("dataset_id", "2"), ("access_token", "")]).await;
    fixture.until(|snapshot| channel(snapshot).unwrap().waba_id == "3").await;
    assert_eq!(channel(&fixture.directory.snapshot()).unwrap().access_token, sealed);
}

#[tokio::test]
async fn a_form_of_elsewhere_changes_nothing() {
    let fixture = Fixture::changing().await;
    let mut merchant = fixture.visitor("merchant").await;
    let form = format!("{}/settings/keys", url(SHOP));
    for (token, site) in [("", "same-origin"), ("x", "same-origin"), (&*merchant.form_token.clone(), "cross-site")] {
        merchant.post_with(&form, token, site, &[("name", "till")]).await.says(403, &["Not from here"]);
    }
    // Nor does a form for another's business.
    merchant.post(&format!("{}/settings/keys", url(OTHER)), &[("name", "till")]).await.says(404, &[]);
    let listing = fixture.store.list().await.unwrap();
    assert!(listing.businesses.iter().all(|entry| entry.keys.is_empty()));
}

#[tokio::test]
async fn every_field_is_told_when_it_is_wrong() {
    let fixture = Fixture::changing().await;
    let mut merchant = fixture.visitor("merchant").await;
    let settings = format!("{}/settings", url(SHOP));
    for fields in [
        &[("name", "")][..],
        &[("name", "a\nb")],
        &[("name", "x"), ("expires", "2020-01-01")],
        &[("name", "x"), ("expires", "soon")],
    ] {
        merchant.post(&format!("{settings}/keys"), fields).await.says(400, &["role=\"alert\""]);
    }
    let long = "x".repeat(300);
    merchant.post(&format!("{settings}/keys"), &[("name", &long)]).await.says(400, &["role=\"alert\""]);
}

#[tokio::test]
async fn a_connection_is_checked_without_a_credit() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    let path = format!("{}/settings/channel/check", url(SHOP));
    for (answer, told) in [
        (
            r#"{"error":{"code":100,"error_subcode":2804003,"message":"Invalid parameter","error_user_title":"Event Timestamp Too Old"}}"#,
            "It works.",
        ),
        (
            r#"{"error":{"code":190,"message":"Error validating access token","fbtrace_id":"AbC"}}"#,
            "The token is dead.",
        ),
        (
            r#"{"error":{"code":100,"error_subcode":33,"message":"Unsupported post request"}}"#,
            "The dataset is not shared with the token.",
        ),
        (
            r#"{"error":{"code":100,"error_subcode":2804132,"message":"Invalid parameter"}}"#,
            "Dataset and WhatsApp account do not belong together.",
        ),
        ("<html>", "Meta did not say."),
    ] {
        fixture.clickhouse.refuses_path("/meta", answer);
        merchant.post(&path, &[]).await.says(200, &[told]).lacks(&[TOKEN, "<html>"]);
    }
    let sent = fixture.clickhouse.asked();
    let event: serde_json::Value =
        serde_json::from_str(&sent.iter().find(|asked| asked.sql.contains("\"data\"")).unwrap().sql).unwrap();
    assert_eq!(event["data"][0]["action_source"], "business_messaging");
    merchant.post(&path, &[]).await.says(429, &["too many attempts"]);
    merchant.post_with(&path, "", "same-origin", &[]).await.says(403, &[]);
}
