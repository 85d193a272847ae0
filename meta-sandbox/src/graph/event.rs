//! One event of a batch, checked as Meta checks it. The first fault found decides.

use std::str::FromStr;

use iso_currency::Currency;
use serde_json::value::RawValue;

use super::envelope::Fields;
use crate::behaviour::{Behaviour, catalogue};

/// An event that Meta would take.
pub(super) struct Event {
    pub(super) name: Box<str>,
    pub(super) id: Box<str>,
    pub(super) time: i64,
    pub(super) click_id: Box<str>,
    pub(super) waba: Box<str>,
    pub(super) value: Option<Box<RawValue>>,
    pub(super) currency: Option<Box<str>>,
}

type Verdict<T> = Result<T, &'static Behaviour>;

/// Older than this is refused, in seconds.
const MAX_AGE: i64 = 7 * 24 * 60 * 60;
/// Meta publishes no tolerance; this is the one that the endpoint gives its callers, in seconds.
const FUTURE_TOLERANCE: i64 = 60;

/// What Meta calls standard events of business messaging.
const EVENT_NAMES: [&str; 14] = [
    "Purchase",
    "ViewContent",
    "AddToCart",
    "InitiateCheckout",
    "LeadSubmitted",
    "QualifiedLead",
    "CartAbandoned",
    "OrderCreated",
    "OrderShipped",
    "OrderDelivered",
    "OrderCanceled",
    "OrderReturned",
    "RatingProvided",
    "ReviewProvided",
];

/// ISO 4217 codes that the sandbox refuses. Meta's list is narrower than ISO's and unpublished; MRU was seen refused,
/// the others are of its kind: younger than it, fund codes, metals.
const REFUSED_CURRENCIES: [&str; 26] = [
    "MRU", "STN", "VED", "SLE", "XCG", "ZWG", "BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAG",
    "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XTS", "XXX",
];

const EVENT_FIELDS: [&str; 7] =
    ["event_name", "event_time", "event_id", "action_source", "messaging_channel", "user_data", "custom_data"];
const USER_FIELDS: [&str; 2] = ["ctwa_clid", "whatsapp_business_account_id"];
const CUSTOM_FIELDS: [&str; 7] =
    ["currency", "value", "order_id", "content_type", "content_ids", "contents", "num_items"];
const ITEM_FIELDS: [&str; 3] = ["id", "quantity", "item_price"];

impl Event {
    /// Reads an event at `now`, in Unix seconds. Fields that our wire does not have are noted in `foreign`.
    pub(super) fn read(json: &RawValue, now: i64, foreign: &mut Vec<String>) -> Verdict<Self> {
        let event = Fields::read(json).ok_or(&catalogue::BAD_DATA)?;
        foreign.extend(event.foreign("data[].", &EVENT_FIELDS));
        let name = name(&event)?;
        let time = time(&event, now)?;
        check_channel(&event)?;
        let (click_id, waba) = user(&event, foreign)?;
        let (value, currency) = custom(&event, &name, foreign)?;
        let id = event.text("event_id").map_err(|_| &catalogue::BAD_PARAMETER)?.unwrap_or_default();
        Ok(Self {
            name: name.into(),
            id: id.into(),
            time,
            click_id: click_id.into(),
            waba: waba.into(),
            value,
            currency: currency.map(Into::into),
        })
    }
}

fn name(event: &Fields<'_>) -> Verdict<String> {
    let name = event.text("event_name").ok().flatten();
    name.filter(|name| EVENT_NAMES.contains(&name.as_str())).ok_or(&catalogue::EVENT_TYPE)
}

fn time(event: &Fields<'_>, now: i64) -> Verdict<i64> {
    let time = event.get("event_time").and_then(|time| time.get().parse::<i64>().ok());
    match time.ok_or(&catalogue::BAD_PARAMETER)? {
        time if time > now + FUTURE_TOLERANCE => Err(&catalogue::IN_FUTURE),
        time if time < now - MAX_AGE => Err(&catalogue::TOO_OLD),
        time => Ok(time),
    }
}

fn check_channel(event: &Fields<'_>) -> Verdict<()> {
    let is = |name: &str, wanted: &str| event.text(name).is_ok_and(|found| found.as_deref() == Some(wanted));
    if event.get("messaging_channel").is_none() {
        return Err(&catalogue::NO_CHANNEL);
    }
    let sound = is("messaging_channel", "whatsapp") && is("action_source", "business_messaging");
    if sound { Ok(()) } else { Err(&catalogue::BAD_CHANNEL) }
}

/// The click id and the WhatsApp business account.
fn user(event: &Fields<'_>, foreign: &mut Vec<String>) -> Verdict<(String, String)> {
    let user = event.get("user_data").ok_or(&catalogue::NO_WABA)?;
    let user = Fields::read(user).ok_or(&catalogue::BAD_PARAMETER)?;
    foreign.extend(user.foreign("data[].user_data.", &USER_FIELDS));
    let waba = user.text("whatsapp_business_account_id").map_err(|_| &catalogue::NO_WABA)?;
    let waba = match (waba, user.get("page_id")) {
        (None, Some(_)) => return Err(&catalogue::PAGE_ID_ALONE),
        (Some(_), Some(_)) => return Err(&catalogue::PAGE_ID_BESIDE),
        (waba, None) => waba.filter(|waba| is_digits(waba)).ok_or(&catalogue::NO_WABA)?,
    };
    let click_id = user.text("ctwa_clid").map_err(|_| &catalogue::INVALID_CLID)?;
    let click_id = click_id.filter(|click_id| !click_id.trim().is_empty()).ok_or(&catalogue::MISSING_CLID)?;
    if is_hashed(&click_id) {
        return Err(&catalogue::INVALID_CLID);
    }
    Ok((click_id, waba))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Looks like SHA-256 in hex, which other user data has to be and a click id must not.
fn is_hashed(click_id: &str) -> bool {
    click_id.len() == 64 && click_id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

type Money = (Option<Box<RawValue>>, Option<String>);

/// Value and currency, which a purchase must have, once the contents are found sound.
fn custom(event: &Fields<'_>, name: &str, foreign: &mut Vec<String>) -> Verdict<Money> {
    let is_purchase = name == "Purchase";
    let Some(custom) = event.get("custom_data") else {
        return if is_purchase { Err(&catalogue::NO_VALUE) } else { Ok((None, None)) };
    };
    let custom = Fields::read(custom).ok_or(&catalogue::BAD_PARAMETER)?;
    foreign.extend(custom.foreign("data[].custom_data.", &CUSTOM_FIELDS));
    let value = custom.get("value");
    let currency = custom.text("currency").map_err(|_| &catalogue::BAD_CURRENCY)?;
    if is_purchase {
        if !value.is_some_and(is_amount) {
            return Err(&catalogue::NO_VALUE);
        }
        let currency = currency.as_deref().ok_or(&catalogue::NO_CURRENCY)?;
        if !is_known_currency(currency) {
            return Err(&catalogue::BAD_CURRENCY);
        }
    }
    check_products(&custom, foreign)?;
    Ok((value.map(ToOwned::to_owned), currency))
}

fn is_known_currency(code: &str) -> bool {
    !REFUSED_CURRENCIES.contains(&code) && Currency::from_str(code).is_ok_and(|currency| currency.code() == code)
}

/// A JSON number that is not negative; a number in quotes is none.
fn is_amount(json: &RawValue) -> bool {
    serde_json::from_str::<f64>(json.get()).is_ok_and(|amount| amount >= 0.0)
}

fn check_products(custom: &Fields<'_>, foreign: &mut Vec<String>) -> Verdict<()> {
    for name in ["order_id", "content_type"] {
        custom.text(name).map_err(|_| &catalogue::BAD_PARAMETER)?;
    }
    if !custom.get("num_items").is_none_or(is_amount) {
        return Err(&catalogue::BAD_PARAMETER);
    }
    if let Some(ids) = custom.get("content_ids") {
        serde_json::from_str::<Vec<String>>(ids.get()).map_err(|_| &catalogue::BAD_PARAMETER)?;
    }
    let Some(contents) = custom.get("contents") else { return Ok(()) };
    let contents: Vec<Fields<'_>> = serde_json::from_str(contents.get()).map_err(|_| &catalogue::BAD_CONTENTS)?;
    for item in &contents {
        foreign.extend(item.foreign("data[].custom_data.contents[].", &ITEM_FIELDS));
        let named = item.text("id").is_ok_and(|id| id.is_some_and(|id| !id.trim().is_empty()));
        let counted = ["quantity", "item_price"].iter().all(|name| item.get(name).is_none_or(is_amount));
        if !(named && counted) {
            return Err(&catalogue::BAD_CONTENTS);
        }
    }
    Ok(())
}
