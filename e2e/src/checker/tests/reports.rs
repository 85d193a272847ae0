//! Rows that are not what was reported, and answers that are none.

use super::*;

/// What is said of the first call, where its row is this one.
fn with_row(change: impl FnOnce(&mut Row)) -> Vec<Finding> {
    check(&with(sound(), |evidence| change(&mut evidence.rows[0])))
}

fn differs(what: &'static str, told: &str, row: &str) -> Finding {
    Finding::RowNotAsReported { call: call(1), what, told: told.into(), row: row.into() }
}

#[test]
fn a_row_with_another_click() {
    assert_eq!(with_row(|row| row.click = "better".into()), [differs("click", "good", "better")]);
}

#[test]
fn a_row_of_another_order() {
    let found = with_row(|row| row.order = "b:Purchase:B".into());
    assert!(found.contains(&differs("order", ORDER, "b:Purchase:B")), "{found:?}");
    assert!(found.contains(&Finding::IntentWithoutRow { order: order(), call: call(1) }), "{found:?}");
    // Its end is one that its own click dictates; it is another call's all the same.
    let rejected = with(sound(), |evidence| {
        let click = "sandbox-invalid-clid-c9".into();
        evidence.rows[1] = in_backfill(Row { order: "b:Purchase:B".into(), click, ..row(2, Status::Rejected) });
    });
    let of_another =
        Finding::RowNotAsReported { call: call(2), what: "order", told: order(), row: "b:Purchase:B".into() };
    assert_eq!(check(&rejected), [of_another]);
}

#[test]
fn a_row_of_another_lane() {
    let live = with(sound(), |evidence| evidence.rows[1] = row(2, Status::Duplicate));
    let differs = |told: &str, row: &str| Finding::RowNotAsReported {
        call: call(2),
        what: "lane",
        told: told.into(),
        row: row.into(),
    };
    assert_eq!(check(&live), [differs("backfill", "live")]);
    let refused = with(sound(), |evidence| {
        evidence.told[1] = told(2, 400, "INVALID_FIELDS");
        evidence.rows[1] = Row { lane: Some(Lane::Live), ..row(2, Status::Refused) };
    });
    assert_eq!(kinds(&refused), ["RowNotAsReported", "RowContradictsItself"]);
}

#[test]
fn a_row_with_the_http_status_of_another_end() {
    let itself = |row: Row| Finding::RowContradictsItself {
        call: row.call,
        row: row.status,
        lane: row.lane,
        http_status: row.http_status,
    };
    let live = |status, http_status| Row { http_status, ..row(2, status) };
    let backfill = |status, http_status| Row { http_status, ..in_backfill(row(2, status)) };
    let wrong = [
        live(Status::Forwarded, 202),
        live(Status::Duplicate, 400),
        live(Status::Rejected, 200),
        backfill(Status::Duplicate, 200),
        backfill(Status::Rejected, 400),
        Row { lane: None, ..live(Status::Duplicate, 200) },
        live(Status::Refused, 200),
    ];
    for row in wrong {
        let found = check(&with(sound(), |evidence| evidence.rows[1] = row.clone()));
        assert!(found.contains(&itself(row.clone())), "{row:?}: {found:?}");
    }
    let refused = with(sound(), |evidence| {
        evidence.told[1] = told(2, 400, "INVALID_FIELDS");
        evidence.rows[1] = Row { http_status: 413, ..row(2, Status::Refused) };
    });
    assert_eq!(kinds(&refused), ["RowNotAsReported"]);
}

#[test]
fn a_row_with_another_reason() {
    let refused = with(sound(), |evidence| {
        evidence.told[1] = told(2, 400, "MALFORMED_JSON");
        evidence.rows[1] = row(2, Status::Refused);
    });
    assert_eq!(kinds(&refused), ["RowNotAsReported"]);
}

#[test]
fn one_who_is_not_let_in_leaves_a_row_without_contents() {
    let refused = |order: String, click: &str| {
        with(sound(), |evidence| {
            evidence.told[1] = Told { too_old: true, ..told(2, 401, "API_KEY_INVALID") };
            let (reason, click) = ("API_KEY_INVALID".into(), click.into());
            evidence.rows[1] = Row { order, click, reason, http_status: 401, ..row(2, Status::Refused) };
        })
    };
    assert_eq!(check(&refused(call(2).to_string(), "")), []);
    assert_eq!(kinds(&refused(order(), "")), ["RowNotAsReported"]);
    assert_eq!(kinds(&refused(call(2).to_string(), "good")), ["RowNotAsReported"]);
}

#[test]
fn an_answer_that_is_none() {
    let answered = |status, word: &str, lane| {
        let told = Told { lane, ..told(2, status, word) };
        kinds(&with(sound(), |evidence| evidence.told.push(told)))
    };
    let right = [
        (200, "forwarded", Lane::Live),
        (200, "duplicate", Lane::Live),
        (200, "pending", Lane::Live),
        (202, "pending", Lane::Backfill),
        (400, "EVENT_TOO_OLD", Lane::Live),
        (400, "WHATSAPP_CHANNEL_NOT_CONFIGURED", Lane::Live),
        (404, "WHATSAPP_CHANNEL_NOT_CONFIGURED", Lane::Backfill),
        (413, "BODY_TOO_LARGE", Lane::Backfill),
        (401, "API_KEY_REVOKED", Lane::Live),
    ];
    for (status, word, lane) in right {
        let found = answered(status, word, lane);
        assert!(!found.contains(&"AnswerContradictsItself".to_owned()), "{status} {word} {lane:?}: {found:?}");
    }
    let wrong = [
        (400, "forwarded", Lane::Live),
        (202, "pending", Lane::Live),
        (200, "pending", Lane::Backfill),
        (202, "forwarded", Lane::Backfill),
        (400, "META_REJECTED", Lane::Backfill),
        (404, "META_REJECTED", Lane::Live),
        (400, "WHATSAPP_CHANNEL_NOT_CONFIGURED", Lane::Backfill),
        (400, "API_KEY_INVALID", Lane::Live),
        (400, "", Lane::Live),
        (400, "WHATEVER", Lane::Live),
    ];
    for (status, word, lane) in wrong {
        let found = answered(status, word, lane);
        assert!(found.contains(&"AnswerContradictsItself".to_owned()), "{status} {word} {lane:?}: {found:?}");
    }
}

/// A live call that is told this with 400, and a row that is rejected for it.
fn rejected_for(reason: &str, too_old: bool) -> Evidence {
    with(sound(), |evidence| {
        evidence.told[1] = Told { too_old, ..told(2, 400, reason) };
        evidence.rows[1] = Row { reason: reason.into(), too_old, ..row(2, Status::Rejected) };
    })
}

#[test]
fn what_is_too_old_is_rejected_whatever_its_click_id() {
    assert_eq!(check(&rejected_for("EVENT_TOO_OLD", true)), []);
    assert_eq!(kinds(&rejected_for("EVENT_TOO_OLD", false)), ["WrongEnd"]);
    let forwarded = with(sound(), |evidence| {
        evidence.told[0].too_old = true;
        evidence.rows[0].too_old = true;
    });
    assert_eq!(kinds(&forwarded), ["WrongEnd"]);
    assert_eq!(with_row(|row| row.too_old = true)[0], differs("age over 7 days", "false", "true"));
    // Nothing is promised to it but a row.
    let alone = with(rejected_for("EVENT_TOO_OLD", true), |evidence| {
        let order = "b:Purchase:B".to_owned();
        evidence.told[1] = Told { order: order.clone(), too_old: true, ..told(2, 202, "pending") };
        evidence.rows[1] = in_backfill(Row { order, ..evidence.rows[1].clone() });
    });
    assert_eq!(check(&alone), []);
}

#[test]
fn a_channel_that_is_missing_at_the_end_rejects_and_at_the_beginning_refuses() {
    let missing = "WHATSAPP_CHANNEL_NOT_CONFIGURED";
    assert_eq!(check(&rejected_for(missing, false)), []);
    let refused = |http_status| {
        with(sound(), |evidence| {
            evidence.told[1] = told(2, http_status, missing);
            evidence.rows[1] = Row { reason: missing.into(), http_status, ..row(2, Status::Refused) };
        })
    };
    assert_eq!(check(&refused(404)), []);
    assert_eq!(kinds(&refused(400)), ["RowContradictsAnswer"]);
}
