//! Each class of Meta's answers, from the sandbox's behaviours to answer, row and count.

use anyhow::{Context as _, ensure};
use e2e::{
    analyst::expect,
    answer::Answer,
    deployment::Deployment,
    event::{purchase, with_click},
    merchant::Merchant,
    wait,
};
use futures::{future::try_join_all, try_join};
use serde_json::{Value, json};

const INVALID: &str = "Messaging Event Invalid Ctwa Clid";
const UNSUPPORTED: &str = "Unsupported post request. Object with ID '{dataset}' does not exist, cannot be loaded due to \
    missing permissions, or does not support this operation. Please read the Graph API documentation at \
    https://developers.facebook.com/docs/graph-api";

/// Behaviour, HTTP status, code, subcode, and Meta's words.
pub(crate) type Rejection = (&'static str, u16, i32, Option<i32>, &'static str);

/// Bad clicks and bad events, in whatever language and with whatever `error_data` Meta says so.
pub(crate) const OF_THE_EVENT: [Rejection; 20] = [
    ("invalid-clid", 400, 100, Some(2_804_087), INVALID),
    ("invalid-clid-fr", 400, 100, Some(2_804_087), "Ctwa Clid non valide pour l’évènement de messagerie"),
    ("invalid-clid-pt", 400, 100, Some(2_804_087), "Ctwa Clid inválido no evento de mensagem"),
    ("invalid-clid-es", 400, 100, Some(2_804_087), "Ctwa Clid no válido en el evento de mensajería"),
    ("invalid-clid-it", 400, 100, Some(2_804_087), "Ctwa Clid non valido per l'evento di messaggistica"),
    ("error-data-object", 400, 100, Some(2_804_087), INVALID),
    ("error-data-text", 400, 100, Some(2_804_087), INVALID),
    ("echo", 400, 100, Some(2_804_087), INVALID),
    ("missing-clid", 400, 100, Some(2_804_071), "Missing CTWA clid"),
    ("event-type", 400, 100, Some(2_804_066), "Messaging Event Invalid Event Type"),
    ("too-old", 400, 100, Some(2_804_003), "Event Timestamp Too Old"),
    ("in-future", 400, 100, Some(2_804_004), "Event Timestamp In The Future"),
    ("bad-contents", 400, 100, Some(2_804_008), "Invalid Contents Parameter"),
    ("no-value", 400, 100, Some(2_804_009), "Missing Value for Purchase Event"),
    ("no-currency", 400, 100, Some(2_804_010), "Missing Currency for Purchase Event"),
    ("bad-currency", 400, 100, Some(2_804_011), "Invalid Currency For Purchase Event"),
    ("subcode-2804019", 400, 100, Some(2_804_019), "Invalid Event Parameter"),
    ("subcode-2804023", 400, 100, Some(2_804_023), "Invalid Event Parameter"),
    ("subcode-2804081", 400, 100, Some(2_804_081), "Invalid Messaging Event"),
    ("unknown-code", 400, 9999, Some(1_234_567), "Something New"),
];

/// Token, permission, wiring, envelope and version.
pub(crate) const OF_THE_REQUEST: [Rejection; 18] = [
    (
        "token-expired",
        400,
        190,
        Some(463),
        "Error validating access token: Session has expired on Monday, 16-Nov-26 09:00:00 PST.",
    ),
    ("token-401", 401, 190, None, "Invalid OAuth access token - Cannot parse access token"),
    ("code102", 400, 102, None, "(#102) Session key invalid or no longer valid"),
    ("code3", 400, 3, None, "(#3) Application does not have the capability to make this API call."),
    ("code10", 403, 10, None, "(#10) Application does not have permission for this action"),
    ("code200", 403, 200, None, "(#200) Permissions error"),
    ("code299", 403, 299, None, "(#299) Requires extended permission"),
    ("object-missing", 400, 100, Some(33), UNSUPPORTED),
    ("appsecret-proof", 400, 100, None, "API calls from the server require an appsecret_proof argument"),
    ("subcode-2804065", 400, 100, Some(2_804_065), "Messaging Event Invalid Page ID"),
    ("subcode-2804116", 400, 100, Some(2_804_116), "Messaging Event Invalid WhatsApp Business Account ID"),
    ("subcode-2804118", 400, 100, Some(2_804_118), "Dataset Is Not Connected"),
    ("subcode-2804131", 400, 100, Some(2_804_131), "Messaging Event Has Page ID and WhatsApp Business Account ID"),
    ("waba-mismatch", 400, 100, Some(2_804_132), "Mismatching WhatsApp Business Account ID"),
    ("no-channel", 400, 100, Some(2_804_063), "Missing messaging channel parameter"),
    ("bad-channel", 400, 100, Some(2_804_064), "Invalid messaging channel parameter"),
    (
        "old-version",
        400,
        2635,
        None,
        "(#2635) You are calling a deprecated version of the API. Please update to the latest version: v26.0.",
    ),
    ("too-large", 413, 100, None, "(#100) The request is too large"),
];

/// A definite rejection is answered at once, with Meta's words and numbers as they came, and is not counted.
pub(crate) async fn rejections_of_the_event(deployment: &Deployment) -> anyhow::Result<()> {
    rejections(deployment, &OF_THE_EVENT).await
}

/// The same for what all events of a request share.
pub(crate) async fn rejections_of_the_request(deployment: &Deployment) -> anyhow::Result<()> {
    rejections(deployment, &OF_THE_REQUEST).await
}

async fn rejections(deployment: &Deployment, table: &[Rejection]) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    for rejection in table {
        let click = format!("sandbox-{}", rejection.0);
        let answer = merchant.call(&with_click(&click, rejection.0)).await?;
        is_rejected(deployment, &merchant, &answer, *rejection).await.with_context(|| rejection.0)?;
    }
    ensure!(deployment.sandbox.credited(&merchant.dataset).await?.is_empty(), "a rejected event was counted");
    // A rejected order is not remembered: it may be corrected and sent again.
    merchant.call(&purchase(table[0].0)).await?.expect(200, "forwarded")?;
    Ok(())
}

async fn is_rejected(
    deployment: &Deployment,
    merchant: &Merchant,
    answer: &Answer,
    (_, http, code, subcode, words): Rejection,
) -> anyhow::Result<()> {
    let words = words.replace("{dataset}", &merchant.dataset);
    let trace = answer.expect_error(400, "META_REJECTED")?.metadata()?["fbtrace_id"].clone();
    ensure!(trace.as_str().is_some_and(|trace| trace.starts_with('A')), "{}", answer.body);
    let mut metadata = json!({
        "failure_stage": "meta_forward", "meta_error": words, "meta_code": code.to_string(), "fbtrace_id": trace,
        "call_id": answer.call.to_string(), "retryable": "false",
    });
    if let Some(subcode) = subcode {
        metadata["meta_error_subcode"] = json!(subcode.to_string());
    }
    let body = json!({
        "code": 3, "status": "INVALID_ARGUMENT", "message": format!("Meta rejected the event: {words}"),
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "META_REJECTED", "domain": "capi",
            "metadata": metadata,
        }],
    });
    ensure!(answer.body == body, "{}, not {body}", answer.body);
    let row = deployment.analyst.row(answer.call).await?;
    expect(
        &row,
        &json!({
            "http_status": 400, "conversion_status": "rejected", "success": false, "failure_stage": "meta_forward",
            "reason": "META_REJECTED", "error": words, "events_received": null, "forward_reference_id": trace,
            "meta_http_status": http, "meta_code": code, "meta_error_subcode": subcode, "meta_error": words,
            "duplicate_of": null, "lane": "live", "possibly_duplicate": false, "forward_attempts": 1,
        }),
    )
}

/// A 200 that does not count a single event is final.
pub(crate) async fn a_single_drop(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let answer = merchant.call(&with_click("sandbox-drop", "ORD-1")).await?;
    answer.expect_error(400, "META_DROPPED")?;
    ensure!(answer.metadata()?["failure_stage"] == "meta_forward", "{}", answer.body);
    let row = deployment.analyst.row(answer.call).await?;
    expect(
        &row,
        &json!({
            "conversion_status": "rejected", "success": false, "failure_stage": "meta_forward", "http_status": 400,
            "reason": "META_DROPPED", "error": answer.body["message"], "events_received": null, "meta_http_status": 200,
            "meta_code": null, "forward_attempts": 1, "possibly_duplicate": false,
        }),
    )?;
    // All that an operator has to ask Meta about it.
    ensure!(row["forward_reference_id"].as_str().is_some_and(|id| id.starts_with('A')), "{row}");
    ensure!(deployment.sandbox.credited(&merchant.dataset).await?.is_empty(), "a dropped event was counted");
    Ok(())
}

/// What is retried ends forwarded, counted once and without a mark where Meta answered each request.
pub(crate) async fn throttles_and_transient_errors(deployment: &Deployment) -> anyhow::Result<()> {
    let clicks = [
        "sandbox-throttle-0-once",
        "sandbox-throttle-429-once",
        "sandbox-code4-once",
        "sandbox-code17-once",
        "sandbox-code32-once",
        "sandbox-code341-once",
        "sandbox-code613-once",
        "sandbox-code80000-once",
        "sandbox-code80014-once",
        "sandbox-subcode-2446079-once",
        "sandbox-subcode-4841013-once",
        "sandbox-code1-once",
        "sandbox-code1-http400-twice",
        "sandbox-transient-flag-once",
        "sandbox-graph-500-once",
        "sandbox-graph-503-once",
        // More often than it is retried within the process: through the delay tiers.
        "sandbox-code2-x7",
    ];
    let tries = clicks.map(|click| ends_forwarded(deployment, click, false, 1));
    try_join!(try_join_all(tries), a_backfill_through_the_tiers(deployment)).map(|_| ())
}

/// Its last row tells of the lane and of the answer that it came with, however often it waited.
async fn a_backfill_through_the_tiers(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let answer = merchant.prefer("respond-async", &with_click("sandbox-code2-x7-backfill", "ORD-1")).await?;
    answer.expect(202, "pending")?;
    let row = deployment.analyst.final_row(answer.call).await?;
    let columns = json!({
        "conversion_status": "forwarded", "http_status": 202, "lane": "backfill", "possibly_duplicate": false,
    });
    expect(&row, &columns)?;
    ensure!(row["forward_attempts"].as_i64().is_some_and(|attempts| attempts > 5), "it met no tier: {row}");
    Ok(())
}

/// An unknown outcome is sent again and marked, whether or not Meta had counted it.
pub(crate) async fn unknown_outcomes(deployment: &Deployment) -> anyhow::Result<()> {
    let behaviours = [
        "reset",
        "silence",
        "html-502",
        "html-503",
        "html-200",
        "wrong-json",
        "wrong-type",
        "wrong-json-500",
        "truncated",
        "empty-200",
        "cut-short",
        "huge-200",
        "huge-502",
    ];
    let clicks: Vec<_> = behaviours
        .iter()
        .flat_map(|name| [(format!("sandbox-{name}-once"), 1), (format!("sandbox-{name}-counted-once"), 2)])
        .collect();
    let tries = clicks.iter().map(|(click, counted)| ends_forwarded(deployment, click, true, *counted));
    try_join_all(tries).await.map(|_| ())
}

/// A call with this click id ends `forwarded` by itself, whatever its caller was told meanwhile.
async fn ends_forwarded(deployment: &Deployment, click: &str, is_marked: bool, counted: usize) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let answer = merchant.call(&with_click(click, "ORD-1")).await?;
    ensure!(answer.status == 200, "{} {} to {click}", answer.status, answer.body);
    let row = deployment.analyst.final_row(answer.call).await?;
    let columns = json!({
        "conversion_status": "forwarded", "success": true, "http_status": 200, "reason": "", "failure_stage": "",
        "events_received": 1, "meta_http_status": 200, "meta_code": null, "possibly_duplicate": is_marked, "lane": "live",
    });
    expect(&row, &columns).with_context(|| click.to_owned())?;
    ensure!(row["forward_attempts"].as_i64().is_some_and(|attempts| attempts >= 2), "{click}: {row}");
    let times = deployment.sandbox.times_credited(&merchant.dataset, "ORD-1").await?;
    ensure!(times == counted, "{click}: counted {times} times, not {counted}");
    Ok(())
}

/// Code 368 and a throttle of minutes: the call stays pending with Meta's last words, and its dataset is left alone.
pub(crate) async fn a_block_and_a_long_throttle(deployment: &Deployment) -> anyhow::Result<()> {
    let words = "(#368) The action attempted has been deemed abusive or is otherwise disallowed";
    let throttled = "(#80004) There have been too many calls to this ad-account. Wait a bit and try again.";
    for (click, code, words) in [("sandbox-code368-once", 368, words), ("sandbox-throttle-5-once", 80_004, throttled)] {
        let merchant = Merchant::open(deployment).await?;
        let answer = merchant.prefer("wait=0", &with_click(click, "ORD-1")).await?;
        answer.expect(200, "pending")?;
        let row = deployment.analyst.row_when(answer.call, |row| row["meta_code"] == code).await?;
        let columns = json!({
            "conversion_status": "pending", "success": false, "failure_stage": "", "reason": "", "error": "",
            "meta_http_status": 400, "meta_error": words, "forward_attempts": 1, "possibly_duplicate": false,
        });
        expect(&row, &columns)?;
        let next = merchant.prefer("wait=0", &purchase("ORD-2")).await?;
        next.expect(200, "pending")?;
        deployment.analyst.row_when(next.call, |row| row["conversion_status"] == "pending").await?;
        ensure!(deployment.sandbox.requests(&merchant.dataset).await? == 1, "the dataset was not left alone");
    }
    Ok(())
}

/// Meta cannot be reached for a while, for one merchant: nothing is lost, and others do not notice.
pub(crate) async fn an_outage_of_one_dataset(deployment: &Deployment) -> anyhow::Result<()> {
    let (broken, sound) = (Merchant::open(deployment).await?, Merchant::open(deployment).await?);
    deployment.sandbox.put(&format!("outage?behaviour=graph-503&dataset={}", broken.dataset)).await?;
    let bodies: Vec<_> = (0..20).map(|order| purchase(&format!("ORD-{order}"))).collect();
    let answers = try_join_all(bodies.iter().map(|body| broken.prefer("wait=0", body))).await?;
    for body in &bodies {
        sound.call(body).await?.expect(200, "forwarded")?;
    }
    let pending: Value = json!({"conversion_status": "pending", "success": false});
    for answer in &answers {
        expect(&deployment.analyst.row(answer.expect(200, "pending")?.call).await?, &pending)?;
    }
    deployment.sandbox.clear(&broken.dataset).await?;
    for answer in &answers {
        let row = deployment.analyst.final_row(answer.call).await?;
        expect(&row, &json!({"conversion_status": "forwarded", "possibly_duplicate": false}))?;
    }
    wait::until("every order to be counted", async || {
        Ok((deployment.sandbox.credited(&broken.dataset).await?.len() == bodies.len()).then_some(()))
    })
    .await
}
