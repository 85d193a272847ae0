//! The binary as a shell meets it, with no server behind it: exit codes, and what each fault says.

#![expect(clippy::unwrap_used, reason = "a test: also what is not inside a test function")]

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

const BUSINESS: &str = "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10";
/// Nothing listens on the discard port.
const NOBODY: &str = "127.0.0.1:9";
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn capi() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capi"));
    command.env_clear().env("CAPI_KAFKA_BROKERS", NOBODY).env("CAPI_CLICKHOUSE_URL", "http://127.0.0.1:9");
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    outcome(&capi().args(arguments).output().unwrap())
}

fn outcome(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn channel_put(token: &str, secret_key: Option<&str>) -> (i32, String, String) {
    let mut command = capi();
    command.envs(secret_key.map(|key| ("CAPI_SECRET_KEY", key)));
    command.args(["channel", "put", BUSINESS, "--waba-id", "1", "--dataset-id", "2", "--access-token-file", "-"]);
    reading(command, token)
}

fn user_put(password: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = capi();
    command.args(["user", "put"]).args(arguments);
    reading(command, password)
}

fn reading(mut command: Command, input: &str) -> (i32, String, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that fails before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    outcome(&child.wait_with_output().unwrap())
}

#[test]
fn wrong_arguments_are_usage() {
    let faults: [&[&str]; 20] = [
        &[],
        &["frobnicate"],
        &["business"],
        &["business", "put", BUSINESS],
        &["business", "put", BUSINESS, "--name", "Shop", "--rate-limit", "0"],
        &["channel", "put", BUSINESS],
        &["key", "create", BUSINESS, "--name", "k", "--expires-at", "tomorrow"],
        &["replay"],
        &["replay", "--dry-run"],
        &["replay", "--call", "not-a-uuid"],
        &["setup", "--partitions", "0"],
        &["user"],
        &["user", "put", "ada"],
        &["user", "put", "ada", "--role", "admin"],
        &["backfill"],
        &["backfill", "orders.ndjson"],
        &["backfill", "orders.ndjson", "--business", BUSINESS],
        &["backfill", "orders.ndjson", "--business", BUSINESS, "--api-key", "k"],
        &["backfill", "-", "--business", BUSINESS, "--api-key-file", "-"],
        &["backfill", "a", "b", "--business", BUSINESS, "--journal", "j"],
    ];
    for arguments in faults {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (64, ""), "{arguments:?}");
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_no_fault() {
    for arguments in [&["--help"][..], &["replay", "--help"], &["--version"]] {
        let (code, stdout, _) = run(arguments);
        assert!(code == 0 && !stdout.is_empty(), "{arguments:?}");
    }
    let (_, help, _) = run(&["setup", "--help"]);
    for setting in ["CAPI_PARTITIONS=", "CAPI_DEDUP_WINDOW=", "CAPI_KAFKA_BROKERS=", "CAPI_CLICKHOUSE_URL="] {
        assert!(help.contains(setting), "{setting} in {help}");
    }
    let (_, help, _) = run(&["backfill", "--help"]);
    for said in ["CAPI_API_KEY", "CAPI_ENDPOINT_URL=", ".capi-journal", ".refused.ndjson", "Exit codes", "64"] {
        assert!(help.contains(said), "{said} in {help}");
    }
}

#[test]
fn bad_data_is_told_apart_from_usage() {
    let (code, _, stderr) = run(&["business", "show", "shop"]);
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("UUID"), "{stderr}");
    let (code, _, stderr) = run(&[
        "link",
        "shop.example",
        "--cnct-tracking-id",
        "t",
        "--sendout-id",
        "s",
        "--ctwa-clid",
        "c",
        "--ad-id",
        "a",
    ]);
    assert!(code == 65 && stderr.contains("absolute"), "{stderr}");
    let (code, _, stderr) = channel_put("two words\n", Some(KEY));
    assert!(code == 65 && !stderr.contains("two words"), "{stderr}");
}

#[test]
fn a_password_that_breaks_a_rule_is_refused_and_not_repeated() {
    let operator = ["ada.lovelace", "--role", "operator"];
    for password in ["too short\n", "Ada.Lovelace\n", "two lines\nof a password\n", "            \n", ""] {
        let (code, _, stderr) = user_put(password, &operator);
        assert!(code == 65 && stderr.contains("a password"), "{stderr}");
        assert!(password.trim().is_empty() || !stderr.contains(password.trim()), "{stderr}");
    }
    let (code, _, stderr) = user_put("correct horse battery", &["ada lovelace", "--role", "operator"]);
    assert!(code == 65 && stderr.contains("user's name"), "{stderr}");
    let (code, _, stderr) = user_put("correct horse battery", &["ada", "--role", "merchant", "--business", "shop"]);
    assert!(code == 65 && stderr.contains("UUID"), "{stderr}");
}

#[test]
fn a_channel_needs_a_secret_key() {
    let (code, _, stderr) = channel_put("token", None);
    assert!(code == 64 && stderr.contains("CAPI_SECRET_KEY"), "{stderr}");
    let (code, _, stderr) = channel_put("token", Some("c2hvcnQ="));
    assert!(code == 64 && stderr.contains("5 bytes"), "{stderr}");
}

#[test]
fn a_link_needs_no_server() {
    let values = ["--cnct-tracking-id", "t 1", "--sendout-id", "s", "--ctwa-clid", "c", "--ad-id", "a"];
    let (code, stdout, _) = run(&[&["--json", "link", "https://shop.example/p?x=1#top"], &values[..]].concat());
    let expected = concat!(
        r#"{"url":"https://shop.example/p?x=1&cnct_tracking_id=t%201&sendout_id=s&ctwa_clid=c&ad_id=a"#,
        "&attribution_source=meta_ctwa#top\"}\n"
    );
    assert_eq!((code, stdout.as_str()), (0, expected));
}

#[test]
fn what_is_away_is_69() {
    let away: [&[&str]; 5] = [
        &["business", "list"],
        &["user", "list"],
        &["dead-letters", "list"],
        &["replay", "--reason", "META_REJECTED", "--dry-run"],
        &["setup"],
    ];
    let tries: Vec<_> = away
        .iter()
        .map(|arguments| capi().args(*arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for (arguments, child) in away.iter().zip(tries) {
        let (code, stdout, stderr) = outcome(&child.wait_with_output().unwrap());
        assert_eq!((code, stdout.as_str()), (69, ""), "{arguments:?}: {stderr}");
    }
}

/// A folder with an input of these lines, and its path.
fn input(name: &str, lines: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, lines).unwrap();
    (folder, path.to_string_lossy().into_owned())
}

fn order(id: &str, event_time: &str) -> String {
    format!(
        r#"{{"cnct_tracking_id":"t","event_name":"Purchase","sendout_id":"s","attribution":{{"meta_ctwa":{{"ctwa_clid":"c","ad_id":"1"}}}},"payload":{{"currency":"USD","value":2.5,"order_id":"{id}","event_time":{event_time}}}}}"#
    )
}

#[test]
fn a_check_names_every_fault_with_its_line_and_sends_nothing() {
    let lines = [order("1", "946684800"), order("1", "null"), "{\"payload\":[]}".into(), "x".into()].join("\n");
    let (folder, path) = input("orders.ndjson", &lines);
    let (code, stdout, stderr) = run(&["--json", "backfill", "--check", &path]);
    assert_eq!(code, 65, "{stderr}");
    let found: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, findings) = found.split_last().unwrap();
    let told = |finding: &serde_json::Value| {
        format!(
            "{} {} {}",
            finding["line"],
            finding["field"].as_str().unwrap_or("-"),
            finding["reason"].as_str().unwrap()
        )
    };
    let expected = [
        "1 payload.event_time EVENT_TOO_OLD",
        "2 payload.order_id REPEATED_ORDER",
        "3 cnct_tracking_id FIELD_REQUIRED",
        "3 event_name FIELD_REQUIRED",
        "3 sendout_id FIELD_REQUIRED",
        "3 attribution.meta_ctwa.ctwa_clid FIELD_REQUIRED",
        "3 attribution.meta_ctwa.ad_id FIELD_REQUIRED",
        "3 payload FIELD_TYPE",
        "4 - MALFORMED_JSON",
    ];
    assert_eq!(findings.iter().map(told).collect::<Vec<_>>(), expected);
    assert!(findings.iter().all(|finding| finding["file"] == path.as_str()));
    assert_eq!((&summary["lines"], &summary["accepted"], &summary["refused"]), (&4.into(), &2.into(), &2.into()));
    assert_eq!(summary["currencies"]["USD"]["value"], "2.50");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "no journal");
    let (_, stdout, _) = run(&["backfill", "--check", &path]);
    assert!(stdout.starts_with(&format!("{path}:1: payload.event_time is over 7 days old")), "{stdout}");
    assert!(stdout.contains("4 lines: 2 would be accepted, 2 refused"), "{stdout}");
}

#[test]
fn a_check_of_good_lines_is_no_fault() {
    let (_folder, path) = input("orders", &order("1", "null"));
    assert_eq!(run(&["backfill", "--check", &path]).0, 0);
    let table = "cnct_tracking_id,event_name,sendout_id,ctwa_clid,ad_id,currency,value,order_id\r\nt,Purchase,s,c,1,USD,1,7\r\n";
    let (_folder, path) = input("orders.csv", table);
    let (code, stdout, stderr) = run(&["backfill", "--check", &path]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let (code, _, stderr) = run(&["backfill", "--check", &path, "--map", "value=Total"]);
    assert!(code == 65 && stderr.contains("no column `Total`"), "{stderr}");
    assert_eq!(run(&["backfill", "--check", "/nowhere/orders.ndjson"]).0, 65);
}

#[test]
fn an_endpoint_that_is_away_is_69_and_its_lines_are_not_lost() {
    let (folder, path) = input("orders.ndjson", &order("1", "null"));
    let send = ["--business", BUSINESS, "--url", "http://127.0.0.1:9", "--patience", "200ms"];
    let output = capi().env("CAPI_API_KEY", "k").args(["--json", "backfill", &path]).args(send).output().unwrap();
    let (code, stdout, stderr) = outcome(&output);
    assert!(code == 69 && stderr.contains("refused") && stdout.contains(r#""accepted":0"#), "{stdout}{stderr}");
    let progress = stderr.lines().next().unwrap();
    assert!(
        serde_json::from_str::<serde_json::Value>(progress).is_ok(),
        "progress is JSON where nobody watches: {stderr}"
    );
    let journal = std::fs::read_to_string(folder.path().join("orders.ndjson.capi-journal")).unwrap();
    assert_eq!(journal.lines().count(), 1, "the header alone: {journal}");
}
