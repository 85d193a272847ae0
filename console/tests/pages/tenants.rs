//! No page shows one merchant another's data, and no question is asked about it.

use crate::{
    door::pages,
    fixture::{Fixture, OTHER, SHOP, id, url},
};

#[tokio::test]
async fn a_merchant_finds_nothing_of_another() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    fixture.clickhouse.asked();
    let unknown = merchant.get(&format!("{}/calls", url(0x1))).await;
    for page in pages(OTHER) {
        let got = merchant.get(&page).await;
        got.says(404, &["There is no such page, or you may not see it."]).lacks(&["Rival"]);
        assert_eq!(got.body, unknown.body, "{page} tells that the business exists");
    }
    for other in [
        url(OTHER).to_uppercase().replace("/BUSINESSES", "/businesses"),
        "/businesses/x".into(),
        format!("{}%20", url(OTHER)),
    ] {
        merchant.get(&format!("{other}/calls")).await.says(404, &[]);
    }
    for form in ["/settings/keys", "/settings/keys/abc/revoke", "/settings/channel"] {
        let got = merchant
            .post(&format!("{}{form}", url(OTHER)), &[("name", "x"), ("waba_id", "1"), ("dataset_id", "2")])
            .await;
        got.says(404, &[]).lacks(&["Rival"]);
    }
    assert!(fixture.clickhouse.asked().is_empty(), "nothing was asked about another's business");
}

#[tokio::test]
async fn every_question_is_about_the_business_of_the_page() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    for page in pages(SHOP) {
        for query in ["", "?business_id=x&business=x&order=1' OR 1=1 --&ad_id=') OR 1=1 --&range=30"] {
            merchant.get(&format!("{page}{}", query.replace(' ', "%20"))).await;
        }
    }
    let asked = fixture.clickhouse.asked();
    assert!(asked.len() > 20, "{}", asked.len());
    for question in asked {
        let (_, conditions) = question.sql.split_once("WHERE ").unwrap();
        assert!(conditions.starts_with("(business_id = {business:String})"), "{}", question.sql);
        assert_eq!(question.value("business"), id(SHOP).to_string(), "{}", question.sql);
        assert_eq!(
            (question.settings["readonly"].as_str(), question.settings.contains_key("max_execution_time")),
            ("2", true)
        );
        assert!(!question.sql.contains("OR 1=1"), "a text of the request is in {}", question.sql);
    }
}

#[tokio::test]
async fn a_merchant_with_one_business_goes_straight_there_and_an_operator_chooses() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    assert_eq!(merchant.get("/").await.location(), url(SHOP));
    merchant.get("/businesses").await.says(200, &["Corner Shop"]).lacks(&["Rival"]);
    let mut operator = fixture.visitor("operator").await;
    assert_eq!(operator.get("/").await.location(), "/businesses");
    operator.get("/businesses").await.says(200, &["Corner Shop", "Secret Rival"]);
    operator.get("/businesses?find=RIVAL").await.says(200, &["Secret Rival"]).lacks(&["Corner"]);
    operator.get("/businesses?find=%3Cb%3E").await.says(200, &["Nothing by that name", "&#60;b&#62;"]);
    operator.get(&format!("{}/calls", url(OTHER))).await.says(200, &["Secret Rival"]);
}
