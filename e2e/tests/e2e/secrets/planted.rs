//! Secrets that a test has planted, and the search for them: whole or in halves, as they are or written otherwise.

use std::fmt::Write as _;

use aho_corasick::AhoCorasick;
use anyhow::{bail, ensure};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};

/// What is searched for.
pub(crate) struct Planted {
    names: Vec<String>,
    search: AhoCorasick,
}

impl Planted {
    /// Secrets by their names.
    pub(crate) fn new(secrets: &[(&str, &[u8])]) -> anyhow::Result<Self> {
        let (mut names, mut forms) = (Vec::new(), Vec::new());
        for (name, secret) in secrets {
            ensure!(secret.len() >= 16, "{name} is too short to be recognised");
            // What was cut in the middle still shows one half.
            for half in [&secret[..secret.len() / 2], &secret[secret.len() / 2..]] {
                for (form, text) in forms_of(half) {
                    names.push(format!("{name} ({form})"));
                    forms.push(text);
                }
            }
        }
        Ok(Self { names, search: AhoCorasick::new(forms)? })
    }

    /// Says which secret is in the bytes, if any.
    pub(crate) fn absent_from(&self, place: &str, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let bytes = bytes.as_ref();
        if let Some(found) = self.search.find(bytes) {
            let around = &bytes[found.start().saturating_sub(200)..bytes.len().min(found.end() + 100)];
            let name = &self.names[found.pattern().as_usize()];
            bail!("{name} is in {place}: …{}…", String::from_utf8_lossy(around));
        }
        Ok(())
    }
}

/// Every way in which bytes are written down by accident.
fn forms_of(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |write: fn(&mut String, u8)| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write(&mut text, *byte);
            text
        })
    };
    let hex = each(|text, byte| write!(text, "{byte:02x}").unwrap());
    let percent = each(|text, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
        _ => write!(text, "%{byte:02X}").unwrap(),
    });
    let list: Vec<_> = bytes.iter().map(u8::to_string).collect();
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("HEX", hex.to_uppercase().into_bytes()),
        ("hex", hex.into_bytes()),
        ("percent", percent.into_bytes()),
        ("a list of numbers", list.join(", ").into_bytes()),
        ("escaped", bytes.escape_ascii().to_string().into_bytes()),
    ];
    for before in 0..3 {
        let padded = [&[0; 2][..before], bytes].concat();
        // Only those characters that hold bits of these bytes alone.
        let range = (before * 8).div_ceil(6)..(padded.len() * 8) / 6;
        for encoded in [BASE64_STANDARD_NO_PAD.encode(&padded), BASE64_URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(("base64", encoded.as_bytes()[range.clone()].to_vec()));
        }
    }
    forms
}

/// Planted on purpose, it is found.
pub(crate) fn the_checker_is_not_blind() -> anyhow::Result<()> {
    let secret = b"tok/en+of~a=business?0123456789";
    let planted = Planted::new(&[("the token", secret), ("another", b"0f1e2d3c4b5a69788796a5b4c3d2e1f0")])?;
    planted.absent_from("what holds none", "tok/en of a business, 0f1e2d3c 4b5a6978")?;
    let text = std::str::from_utf8(secret)?;
    let half = &secret[..secret.len() / 2];
    let mut places = vec![
        format!("a line with {text} in it").into_bytes(),
        format!("cut: {}", &text[..20]).into_bytes(),
        format!("the end: {}", &text[15..]).into_bytes(),
        format!("{secret:?}").into_bytes(),
        b"?token=tok%2Fen%2Bof~a%3Dbusiness%3F0123456789&x=1".to_vec(),
    ];
    let hex = secret.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect::<Vec<_>>();
    places.extend([[b"0x", hex.as_slice()].concat(), hex.to_ascii_uppercase()]);
    for before in 0..5 {
        let message = [&b"user:"[..before], half, b" and more"].concat();
        places.push(BASE64_STANDARD_NO_PAD.encode(&message).into_bytes());
        places.push(BASE64_URL_SAFE_NO_PAD.encode(&message).into_bytes());
    }
    for place in places {
        let found = planted.absent_from("here", &place);
        ensure!(found.is_err(), "it is not seen in {}", String::from_utf8_lossy(&place));
        ensure!(found.is_err_and(|told| told.to_string().contains("the token")), "another was named");
    }
    Ok(())
}
