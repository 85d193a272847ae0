//! Each behaviour, asked for by click id.

use serde_json::{Value, json};

use crate::harness::{CLICK_ID, Harness, TOKEN, purchase};

#[tokio::test]
async fn a_usual_click_id_is_counted() {
    let sandbox = Harness::start().await;
    let (status, body) = sandbox.ask(CLICK_ID).await;
    assert_eq!((status, &body["events_received"], &body["messages"]), (200, &json!(1), &json!([])));
    assert!(body["fbtrace_id"].as_str().unwrap().starts_with('A'));
    let credited: Value = sandbox.get("/sandbox/credited").await;
    let event = &credited["credited"][0];
    assert_eq!(event["ctwa_clid"], CLICK_ID);
    assert_eq!(event["value"].to_string(), "99.97");
    assert_eq!((&event["currency"], &event["dataset"]), (&json!("USD"), &json!("1")));
    assert_eq!(event["whatsapp_business_account_id"], "102290129340398");
    assert_eq!(event["token_fingerprint"].as_str().unwrap().len(), 12);
    assert!(!credited.to_string().contains(TOKEN));
}

/// Click id, HTTP status, code, subcode.
const REFUSALS: &[(&str, u16, i64, Option<i64>)] = &[
    ("throttle", 400, 80004, Some(2_446_079)),
    ("throttle-429", 429, 9002, None),
    ("code4", 400, 4, None),
    ("code17", 400, 17, None),
    ("code32", 400, 32, None),
    ("code341", 400, 341, None),
    ("code613", 400, 613, None),
    ("code80000", 400, 80000, None),
    ("code80004", 400, 80004, None),
    ("code80014", 400, 80014, None),
    ("subcode-2446079", 400, 100, Some(2_446_079)),
    ("subcode-4841013", 400, 200, Some(4_841_013)),
    ("code1", 500, 1, None),
    ("code1-http400", 400, 1, None),
    ("code2", 500, 2, None),
    ("transient-flag", 400, 9003, None),
    ("graph-500", 500, 9004, None),
    ("graph-503", 503, 9005, None),
    ("code368", 400, 368, None),
    ("token-expired", 400, 190, Some(463)),
    ("token-401", 401, 190, None),
    ("code102", 400, 102, None),
    ("code3", 400, 3, None),
    ("code10", 403, 10, None),
    ("code200", 403, 200, None),
    ("code299", 403, 299, None),
    ("object-missing", 400, 100, Some(33)),
    ("appsecret-proof", 400, 100, None),
    ("subcode-2804065", 400, 100, Some(2_804_065)),
    ("subcode-2804116", 400, 100, Some(2_804_116)),
    ("subcode-2804118", 400, 100, Some(2_804_118)),
    ("subcode-2804131", 400, 100, Some(2_804_131)),
    ("waba-mismatch", 400, 100, Some(2_804_132)),
    ("invalid-clid", 400, 100, Some(2_804_087)),
    ("missing-clid", 400, 100, Some(2_804_071)),
    ("event-type", 400, 100, Some(2_804_066)),
    ("too-old", 400, 100, Some(2_804_003)),
    ("in-future", 400, 100, Some(2_804_004)),
    ("bad-contents", 400, 100, Some(2_804_008)),
    ("no-value", 400, 100, Some(2_804_009)),
    ("no-currency", 400, 100, Some(2_804_010)),
    ("bad-currency", 400, 100, Some(2_804_011)),
    ("subcode-2804019", 400, 100, Some(2_804_019)),
    ("subcode-2804023", 400, 100, Some(2_804_023)),
    ("subcode-2804081", 400, 100, Some(2_804_081)),
    ("no-channel", 400, 100, Some(2_804_063)),
    ("bad-channel", 400, 100, Some(2_804_064)),
    ("old-version", 400, 2635, None),
    ("unknown-code", 400, 9999, Some(1_234_567)),
    ("no-such-thing", 400, 100, None),
];

#[tokio::test]
async fn each_refusal_has_its_code_and_counts_nothing() {
    let sandbox = Harness::start().await;
    for (name, status, code, subcode) in REFUSALS {
        let (got, body) = sandbox.ask(&format!("sandbox-{name}-order-1")).await;
        let error = &body["error"];
        let found = (got, error["code"].as_i64().unwrap(), error.get("error_subcode").and_then(Value::as_i64));
        assert_eq!(found, (*status, *code, *subcode), "{name}: {body}");
        assert!(error["fbtrace_id"].is_string(), "{name}");
    }
    assert_eq!(sandbox.statistics().await.all.credited, 0);
}

#[tokio::test]
async fn an_event_fault_speaks_through_its_title() {
    let sandbox = Harness::start().await;
    let titles = [
        ("", "Messaging Event Invalid Ctwa Clid"),
        ("-fr", "Ctwa Clid non valide pour l’évènement de messagerie"),
        ("-pt", "Ctwa Clid inválido no evento de mensagem"),
        ("-es", "Ctwa Clid no válido en el evento de mensajería"),
        ("-it", "Ctwa Clid non valido per l'evento di messaggistica"),
    ];
    for (language, title) in titles {
        let (_, body) = sandbox.ask(&format!("sandbox-invalid-clid{language}")).await;
        assert_eq!(body["error"]["message"], "Invalid parameter");
        assert_eq!(body["error"]["error_user_title"], title);
    }
}

#[tokio::test]
async fn error_data_is_an_object_or_a_string_of_json() {
    let sandbox = Harness::start().await;
    let (_, body) = sandbox.ask("sandbox-error-data-object").await;
    assert!(body["error"]["error_data"].is_object());
    let (_, body) = sandbox.ask("sandbox-error-data-text").await;
    let data: Value = serde_json::from_str(body["error"]["error_data"].as_str().unwrap()).unwrap();
    assert!(data.is_object());
}

#[tokio::test]
async fn an_echo_gives_click_id_and_token_away() {
    let (_, body) = Harness::start().await.ask("sandbox-echo-7").await;
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("sandbox-echo-7") && message.contains(TOKEN));
}

#[tokio::test]
async fn a_throttle_says_when_to_return() {
    let sandbox = Harness::start().await;
    for (click_id, minutes) in [("sandbox-throttle", 1), ("sandbox-throttle-17", 17)] {
        let response = sandbox.send(&[purchase(click_id, "1")]).await.unwrap();
        let header =
            |name: &str| -> Value { serde_json::from_str(response.headers()[name].to_str().unwrap()).unwrap() };
        assert_eq!(header("x-business-use-case-usage")["1"][0]["estimated_time_to_regain_access"], minutes);
        assert_eq!(header("x-app-usage")["call_count"], 100);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["is_transient"], true);
    }
}

#[tokio::test]
async fn pages_of_a_proxy_and_wrong_json_are_not_graph_answers() {
    let sandbox = Harness::start().await;
    let pages = [
        ("html-502", 502, "<!DOCTYPE html>"),
        ("html-503", 503, "<!DOCTYPE html>"),
        ("html-200", 200, "<!DOCTYPE html>"),
        ("wrong-json", 200, r#"{"success":true}"#),
        ("wrong-type", 200, r#"{"events_received":"one""#),
        ("wrong-json-500", 500, r#"{"status""#),
        ("truncated", 200, r#"{"events_received":1,"#),
        ("empty-200", 200, ""),
    ];
    for (name, status, start) in pages {
        for suffix in ["", "-counted"] {
            let event = purchase(&format!("sandbox-{name}{suffix}"), &format!("{name}{suffix}"));
            let response = sandbox.send(&[event]).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{name}");
            assert_eq!(
                response.headers()["content-type"].to_str().unwrap().starts_with("text/html"),
                name.starts_with("html")
            );
            assert!(response.text().await.unwrap().starts_with(start), "{name}");
        }
    }
    let counted: Vec<String> = pages.iter().map(|(name, ..)| format!("{name}-counted")).collect();
    assert_eq!(sandbox.credited().await, counted);
}

#[tokio::test]
async fn a_huge_body_is_huge() {
    let sandbox = Harness::start().await;
    for (name, status) in [("huge-200", 200), ("huge-400", 400), ("huge-502", 502)] {
        let response = sandbox.send(&[purchase(&format!("sandbox-{name}"), "1")]).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert!(response.bytes().await.unwrap().len() > 32 << 20);
    }
}

#[tokio::test]
async fn a_drop_counts_fewer() {
    let sandbox = Harness::start().await;
    let (status, body) = sandbox.ask("sandbox-drop").await;
    assert_eq!((status, &body["events_received"]), (200, &json!(0)));
    assert!(sandbox.credited().await.is_empty());
}

#[tokio::test]
async fn first_n_times_then_the_usual_answer() {
    let sandbox = Harness::start().await;
    for (name, status, times) in [("throttle-once", 400, 1), ("code2-twice", 500, 2), ("html-502-x3", 502, 3)] {
        let event = [purchase(&format!("sandbox-{name}-tag"), name)];
        for _ in 0..times {
            assert_eq!(sandbox.send(&event).await.unwrap().status().as_u16(), status, "{name}");
        }
        assert_eq!(sandbox.send(&event).await.unwrap().status().as_u16(), 200, "{name}");
    }
    assert_eq!(sandbox.credited().await, ["throttle-once", "code2-twice", "html-502-x3"]);
    assert_eq!(sandbox.ask("sandbox-throttle-once-other").await.0, 400, "another click id has its own times");
}
