//! Every behaviour, in the order of the answer table. The checks of the `graph` module answer with these rows too, so
//! that whatever the sandbox can say has a name and can be asked for.
//!
//! Codes and subcodes are Meta's as observed; titles are Meta's where they are known, else in its manner.

use super::{Behaviour, Class, Reply, refusal::Refusal};

macro_rules! catalogue {
    ($($id:ident = $name:literal, $class:ident, $reply:expr;)*) => {
        $(pub(crate) static $id: Behaviour = Behaviour { name: $name, class: Class::$class, reply: $reply };)*
        pub(super) static ALL: &[&Behaviour] = &[$(&$id),*];
    };
}

/// A fault of an event or of the request around it.
const fn event(subcode: i32, title: &'static str) -> Reply {
    Reply::Refused(Refusal::of_event(subcode, title, "Check the parameters of your events and send them again."))
}

/// An error without a title.
const fn graph(status: u16, code: i32, message: &'static str) -> Reply {
    Reply::Refused(Refusal::plain(status, code, message))
}

const fn limit(code: i32, message: &'static str) -> Reply {
    Reply::Refused(Refusal::plain(400, code, message).transient().app_usage())
}

const fn page(status: u16, content_type: &'static str, body: &'static str) -> Reply {
    Reply::Page { status, content_type, body }
}

const INVALID_CLID_TITLE: &str = "Messaging Event Invalid Ctwa Clid";
const JSON: &str = "application/json; charset=UTF-8";
const HTML: &str = "text/html; charset=utf-8";
const PROXY_PAGE: &str = "<!DOCTYPE html><html lang=\"en\"><head><title>Facebook | Error</title></head><body><h1>Sorry, \
    something went wrong.</h1><p>We're working on getting this fixed as soon as we can.</p></body></html>";
const PROXY_LOGIN: &str = "<!DOCTYPE html><html><head><title>Web access</title></head><body>Please accept the terms of \
    use of this network.</body></html>";

catalogue! {
    OK = "ok", Accepted, Reply::Received;
    SLOW = "slow", Accepted, Reply::Slow;

    DROP = "drop", Dropped, Reply::DropEvent;
    DROP_ALL = "drop-all", Dropped, Reply::DropAll;

    THROTTLE = "throttle", Throttled, Reply::Refused(Refusal::plain(400, 80004,
        "(#80004) There have been too many calls to this ad-account. Wait a bit and try again.")
        .subcode(2_446_079).transient().business_usage());
    THROTTLE_429 = "throttle-429", Throttled, Reply::Refused(
        Refusal::plain(429, 9002, "Too many requests").transient().app_usage());
    CODE_4 = "code4", Throttled, limit(4, "(#4) Application request limit reached");
    CODE_17 = "code17", Throttled, limit(17, "(#17) User request limit reached");
    CODE_32 = "code32", Throttled, limit(32, "(#32) Page request limit reached");
    CODE_341 = "code341", Throttled, limit(341, "(#341) Application limit reached");
    CODE_613 = "code613", Throttled, graph(400, 613, "(#613) Calls to this api have exceeded the rate limit.");
    CODE_80000 = "code80000", Throttled, limit(80000, "(#80000) There have been too many calls from this ad-account.");
    CODE_80004 = "code80004", Throttled, limit(80004, "(#80004) There have been too many calls to this ad-account.");
    CODE_80014 = "code80014", Throttled, limit(80014, "(#80014) There have been too many calls for the batch uploads.");
    SUBCODE_2446079 = "subcode-2446079", Throttled, Reply::Refused(
        Refusal::plain(400, 100, "Invalid parameter").subcode(2_446_079).title("Ad Account Has Too Many API Calls",
            "There have been too many calls from this ad-account. Wait a bit and try again."));
    SUBCODE_4841013 = "subcode-4841013", Throttled, Reply::Refused(
        Refusal::plain(400, 200, "(#200) Too many calls").subcode(4_841_013));

    CODE_1 = "code1", Transient, graph(500, 1, "An unknown error occurred");
    CODE_1_400 = "code1-http400", Transient, graph(400, 1, "Please reduce the amount of data you're asking for");
    CODE_2 = "code2", Transient, Reply::Refused(
        Refusal::plain(500, 2, "An unexpected error has occurred. Please retry your request later.").transient());
    TRANSIENT_FLAG = "transient-flag", Transient, Reply::Refused(
        Refusal::plain(400, 9003, "(#9003) Something went wrong on our side").transient());
    GRAPH_500 = "graph-500", Transient, graph(500, 9004, "(#9004) Internal error");
    GRAPH_503 = "graph-503", Transient, graph(503, 9005, "(#9005) Service temporarily unavailable");

    RESET = "reset", UnknownOutcome, Reply::Reset;
    SILENCE = "silence", UnknownOutcome, Reply::Silence;
    HTML_502 = "html-502", UnknownOutcome, page(502, HTML, PROXY_PAGE);
    HTML_503 = "html-503", UnknownOutcome, page(503, HTML, PROXY_PAGE);
    HTML_200 = "html-200", UnknownOutcome, page(200, HTML, PROXY_LOGIN);
    WRONG_JSON = "wrong-json", UnknownOutcome, page(200, JSON, r#"{"success":true}"#);
    WRONG_TYPE = "wrong-type", UnknownOutcome, page(200, JSON, r#"{"events_received":"one","messages":[]}"#);
    WRONG_JSON_500 = "wrong-json-500", UnknownOutcome, page(500, JSON, r#"{"status":"error"}"#);
    TRUNCATED = "truncated", UnknownOutcome, page(200, JSON, r#"{"events_received":1,"messages":[],"fbtra"#);
    EMPTY_200 = "empty-200", UnknownOutcome, page(200, JSON, "");
    CUT_SHORT = "cut-short", UnknownOutcome, Reply::CutShort;
    HUGE_200 = "huge-200", UnknownOutcome, Reply::Huge { status: 200 };
    HUGE_502 = "huge-502", UnknownOutcome, Reply::Huge { status: 502 };

    CODE_368 = "code368", Blocked, graph(400, 368,
        "(#368) The action attempted has been deemed abusive or is otherwise disallowed");

    TOKEN_EXPIRED = "token-expired", Token, Reply::Refused(Refusal::plain(400, 190,
        "Error validating access token: Session has expired on Monday, 16-Nov-26 09:00:00 PST.").subcode(463));
    TOKEN_401 = "token-401", Token, graph(401, 190, "Invalid OAuth access token - Cannot parse access token");
    NO_TOKEN = "no-token", Token, graph(401, 190, "Invalid OAuth 2.0 Access Token");
    TOKEN_IN_URL = "token-in-url", Token, graph(400, 190,
        "The sandbox takes the access token in the Authorization header only: elsewhere it ends up in logs");
    CODE_102 = "code102", Token, graph(400, 102, "(#102) Session key invalid or no longer valid");

    CODE_3 = "code3", Permission, graph(400, 3, "(#3) Application does not have the capability to make this API call.");
    CODE_10 = "code10", Permission, graph(403, 10, "(#10) Application does not have permission for this action");
    CODE_200 = "code200", Permission, graph(403, 200, "(#200) Permissions error");
    CODE_299 = "code299", Permission, graph(403, 299, "(#299) Requires extended permission");
    OBJECT_MISSING = "object-missing", Permission, Reply::Refused(Refusal::plain(400, 100,
        "Unsupported post request. Object with ID '{dataset}' does not exist, cannot be loaded due to missing \
         permissions, or does not support this operation. Please read the Graph API documentation at \
         https://developers.facebook.com/docs/graph-api").kind("GraphMethodException").subcode(33));
    APPSECRET_PROOF = "appsecret-proof", Permission, Reply::Refused(Refusal::plain(400, 100,
        "API calls from the server require an appsecret_proof argument").kind("GraphMethodException"));

    PAGE_ID_ALONE = "subcode-2804065", Wiring, event(2_804_065, "Messaging Event Invalid Page ID");
    NO_WABA = "subcode-2804116", Wiring, event(2_804_116, "Messaging Event Invalid WhatsApp Business Account ID");
    SUBCODE_2804118 = "subcode-2804118", Wiring, event(2_804_118, "Dataset Is Not Connected");
    PAGE_ID_BESIDE = "subcode-2804131", Wiring, event(2_804_131, "Messaging Event Has Page ID and WhatsApp Business Account ID");
    WABA_MISMATCH = "waba-mismatch", Wiring, event(2_804_132, "Mismatching WhatsApp Business Account ID");

    INVALID_CLID = "invalid-clid", BadClick, event(2_804_087, INVALID_CLID_TITLE);
    INVALID_CLID_FR = "invalid-clid-fr", BadClick, event(2_804_087, "Ctwa Clid non valide pour l’évènement de messagerie");
    INVALID_CLID_PT = "invalid-clid-pt", BadClick, event(2_804_087, "Ctwa Clid inválido no evento de mensagem");
    INVALID_CLID_ES = "invalid-clid-es", BadClick, event(2_804_087, "Ctwa Clid no válido en el evento de mensajería");
    INVALID_CLID_IT = "invalid-clid-it", BadClick, event(2_804_087, "Ctwa Clid non valido per l'evento di messaggistica");
    DATA_OBJECT = "error-data-object", BadClick, Reply::Refused(
        Refusal::of_event(2_804_087, INVALID_CLID_TITLE, "The click id is not known.").data_as_object());
    DATA_TEXT = "error-data-text", BadClick, Reply::Refused(
        Refusal::of_event(2_804_087, INVALID_CLID_TITLE, "The click id is not known.").data_as_text());
    ECHO = "echo", BadClick, Reply::Refused(
        Refusal::of_event(2_804_087, INVALID_CLID_TITLE, "The click id is not known.").data_as_object().echo());
    MISSING_CLID = "missing-clid", BadClick, event(2_804_071, "Missing CTWA clid");

    EVENT_TYPE = "event-type", BadEvent, event(2_804_066, "Messaging Event Invalid Event Type");
    TOO_OLD = "too-old", BadEvent, event(2_804_003, "Event Timestamp Too Old");
    IN_FUTURE = "in-future", BadEvent, event(2_804_004, "Event Timestamp In The Future");
    BAD_CONTENTS = "bad-contents", BadEvent, event(2_804_008, "Invalid Contents Parameter");
    NO_VALUE = "no-value", BadEvent, event(2_804_009, "Missing Value for Purchase Event");
    NO_CURRENCY = "no-currency", BadEvent, event(2_804_010, "Missing Currency for Purchase Event");
    BAD_CURRENCY = "bad-currency", BadEvent, event(2_804_011, "Invalid Currency For Purchase Event");
    SUBCODE_2804019 = "subcode-2804019", BadEvent, event(2_804_019, "Invalid Event Parameter");
    SUBCODE_2804023 = "subcode-2804023", BadEvent, event(2_804_023, "Invalid Event Parameter");
    SUBCODE_2804081 = "subcode-2804081", BadEvent, event(2_804_081, "Invalid Messaging Event");

    NO_CHANNEL = "no-channel", OurEnvelope, event(2_804_063, "Missing messaging channel parameter");
    BAD_CHANNEL = "bad-channel", OurEnvelope, event(2_804_064, "Invalid messaging channel parameter");

    OLD_VERSION = "old-version", OldVersion, graph(400, 2635,
        "(#2635) You are calling a deprecated version of the API. Please update to the latest version: v26.0.");

    UNKNOWN_CODE = "unknown-code", OtherCode, Reply::Refused(
        Refusal::plain(400, 9999, "(#9999) Something nobody has seen before").subcode(1_234_567)
            .title("Something New", "Meta adds codes without notice."));
    HUGE_400 = "huge-400", OtherCode, Reply::Huge { status: 400 };
    UNKNOWN_PATH = "unknown-path", OtherCode, graph(400, 2500, "Unknown path components: {dataset}");
    BAD_PARAMETER = "bad-parameter", OtherCode, graph(400, 100, "(#100) An event has a parameter of the wrong type");
    BAD_DATA = "bad-data", OtherCode, graph(400, 100, "(#100) The parameter data is required and must be an array of JSON objects");
    EMPTY_DATA = "empty-data", OtherCode, graph(400, 100, "(#100) param data must be non-empty.");
    TOO_MANY_EVENTS = "too-many-events", OtherCode, graph(400, 100, "(#100) param data must hold at most 1000 events.");
    TOO_LARGE = "too-large", OtherCode, graph(413, 100, "(#100) The request is too large");
    UNKNOWN_BEHAVIOUR = "unknown-behaviour", OtherCode, graph(400, 100,
        "The sandbox knows no behaviour of this name: see GET /sandbox/behaviours");
}
