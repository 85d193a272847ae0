//! Takes out of Meta's words what must not be written down: click ids and tokens, which its errors may echo.

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
        if secret.len() >= SHORTEST_SECRET && text.contains(secret) {
            text = text.replace(secret, MASK);
        }
    }
    let mut text = without_tokens(&text);
    // Only after the masking: a cut through a secret would leave its first part.
    text.truncate(text.floor_char_boundary(limit));
    text
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
