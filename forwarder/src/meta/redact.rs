//! Takes out of Meta's words what must not be written down: click ids and tokens, which its errors may echo.

use serde_json::Value;

/// What stands in place of what was taken out.
const MASK: &str = "[redacted]";

/// A shorter click id is no secret, and to take out every "a" would spoil the text that is to be kept verbatim.
const SHORTEST_SECRET: usize = 8;

/// What every access token of Meta begins with, and how many characters of it make one.
const TOKEN_PREFIX: &str = "EAA";
const TOKEN_LENGTH: usize = 20;

/// Takes `secrets`, and whatever looks like an access token, out of `text`, and cuts it at `limit` bytes.
pub(super) fn redact<'s>(text: &str, secrets: impl IntoIterator<Item = &'s str>, limit: usize) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if secret.len() < SHORTEST_SECRET {
            continue;
        }
        // A refused batch has a thousand clicks at most, and hardly ever one that JSON quotes.
        if secret.contains(['"', '\\']) {
            forms(secret).iter().for_each(|form| mask(&mut text, form));
        } else {
            mask(&mut text, secret);
        }
    }
    let mut text = without_tokens(&text);
    // Only after the masking: a cut through a secret would leave its first part.
    text.truncate(text.floor_char_boundary(limit));
    text
}

fn mask(text: &mut String, secret: &str) {
    if text.contains(secret) {
        *text = text.replace(secret, MASK);
    }
}

/// A secret that JSON quotes, as it may stand in a text: as it is, and as JSON quotes it, once and twice, the longest form first.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    while forms.len() < 3 {
        let quoted = Value::from(forms[0].as_str()).to_string();
        forms.insert(0, quoted[1..quoted.len() - 1].to_owned());
    }
    forms
}

/// The same for every text in a value. Errors hold JSON as text, in which a click id is written with escapes: such text is
/// read, and stands in the result as what it says.
pub(super) fn redact_json(value: &Value, secrets: &[&str]) -> Value {
    let redacted = |text: &str| redact(text, secrets.iter().copied(), usize::MAX);
    match value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => redact_json(&inner, secrets),
            _ => redacted(text).into(),
        },
        Value::Array(items) => items.iter().map(|item| redact_json(item, secrets)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (redacted(name), redact_json(value, secrets))).collect()
        }
        other => other.clone(),
    }
}

fn without_tokens(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(TOKEN_PREFIX) {
        let token = &rest[at..];
        let end = token.find(|c: char| !c.is_ascii_alphanumeric() && !"-_|".contains(c)).unwrap_or(token.len());
        kept.push_str(&rest[..at]);
        kept.push_str(if end >= TOKEN_LENGTH { MASK } else { &token[..end] });
        rest = &token[end..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_taken_out() {
        let text = "Clid ARAkXh-7788 of ARAkXh-7788 is unknown";
        assert_eq!(redact(text, ["ARAkXh-7788"], 100), "Clid [redacted] of [redacted] is unknown");
        assert_eq!(redact("Invalid Ctwa Clid", ["a", "Clid"], 100), "Invalid Ctwa Clid");
    }

    /// The fuzz target `answer` looks for this too: the whole error is JSON, where such a click id is not written as it was
    /// sent.
    #[test]
    fn escapes_hide_nothing() {
        let click = "AR\"Xh\\7/788é";
        let inner = serde_json::json!({ "blame": [click], "EAAGm0PX4ZCpsBAKZCZBexample": 1 }).to_string();
        let inner = inner.replace('é', "\\u00e9").replace('/', "\\/");
        let error = serde_json::json!({ "message": format!("bad {click}"), "error_data": inner, "code": 100 });
        let text = redact_json(&error, &[click]).to_string();
        assert_eq!(
            text,
            r#"{"code":100,"error_data":{"[redacted]":1,"blame":["[redacted]"]},"message":"bad [redacted]"}"#
        );
    }

    /// Found by the fuzz target `answer`: quoted JSON that broke off is read by nobody, and held the click id with escapes.
    #[test]
    fn a_quoted_secret_in_a_broken_text_is_taken_out() {
        let click = "AR\"Xh\\7/788é";
        let once = serde_json::json!([click]).to_string();
        let twice = serde_json::json!([once]).to_string();
        for text in [&once[..once.len() - 1], &twice[..twice.len() - 1]] {
            let redacted = redact(text, [click], 100);
            assert!(redacted.contains(MASK) && !redacted.contains("788"), "{redacted}");
        }
    }

    #[test]
    fn what_looks_like_a_token_is_taken_out() {
        let text = "token 'EAAGm0PX4ZCpsBAKZCZBexample' of EAA and EAAB, EAAGm0PX4ZCpsBAKZCZBexample";
        assert_eq!(redact(text, [], 200), "token '[redacted]' of EAA and EAAB, [redacted]");
    }

    #[test]
    fn a_cut_leaves_no_part_of_a_secret_and_whole_characters() {
        assert_eq!(redact("ééé ARAkXh-7788", ["ARAkXh-7788"], 5), "éé");
        assert_eq!(redact("at ARAkXh-7788", ["ARAkXh-7788"], 6), "at [re");
    }
}
