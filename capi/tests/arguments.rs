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
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that fails before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(token.as_bytes());
    outcome(&child.wait_with_output().unwrap())
}

#[test]
fn wrong_arguments_are_usage() {
    let faults: [&[&str]; 11] = [
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
    let away: [&[&str]; 4] = [
        &["business", "list"],
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
