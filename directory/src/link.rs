//! The tracking link: what a merchant's landing page receives.
//!
//! The parameters are appended, in the documented order, behind what the URL already has, which stays as it is byte for
//! byte: another server signs or compares it. Where one of our names is there already, it stays too, and ours comes last.

use url::{ParseError, Url, form_urlencoded::byte_serialize};

use crate::rules::Fault;

/// The values that a link carries.
#[derive(Clone, Copy, Debug)]
pub struct Tracking<'a> {
    /// The originating session.
    pub cnct_tracking_id: &'a str,
    /// The campaign's sendout.
    pub sendout_id: &'a str,
    /// Meta's click id.
    pub ctwa_clid: &'a str,
    /// The ad.
    pub ad_id: &'a str,
}

/// `url` with the tracking parameters behind its query and before its fragment.
///
/// # Errors
/// Where the URL is not an absolute `http` or `https` one, or a value is blank.
pub fn tracking_link(url: &str, tracking: &Tracking<'_>) -> Result<String, Fault> {
    check(url)?;
    let parameters = parameters(tracking)?;
    let (page, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let separator = match page.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    Ok([page, separator, &parameters, fragment].concat())
}

fn check(url: &str) -> Result<(), Fault> {
    let fault = |why: &str| Fault::new(format!("the URL must be absolute, with http or https: {why}"));
    // `Url` forgives blanks and line breaks by dropping them, and here the text itself is kept.
    if url.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(fault("it has a blank or a control character"));
    }
    let parsed = Url::parse(url).map_err(|error: ParseError| fault(&error.to_string()))?;
    if matches!(parsed.scheme(), "http" | "https") { Ok(()) } else { Err(fault("it has another scheme")) }
}

fn parameters(tracking: &Tracking<'_>) -> Result<String, Fault> {
    let values = [
        ("cnct_tracking_id", tracking.cnct_tracking_id),
        ("sendout_id", tracking.sendout_id),
        ("ctwa_clid", tracking.ctwa_clid),
        ("ad_id", tracking.ad_id),
        ("attribution_source", "meta_ctwa"),
    ];
    if let Some((name, _)) = values.iter().find(|(_, value)| value.trim().is_empty()) {
        return Err(Fault::new(format!("{name} is blank")));
    }
    let pairs = values.map(|(name, value)| format!("{name}={}", encode(value)));
    Ok(pairs.join("&"))
}

/// Percent-encoding that every reader of a query takes the same way: a blank is `%20`, since not all read `+` as one.
fn encode(value: &str) -> String {
    byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Tracking<'_> = Tracking { cnct_tracking_id: "t1", sendout_id: "s2", ctwa_clid: "c3", ad_id: "a4" };
    const OURS: &str = "cnct_tracking_id=t1&sendout_id=s2&ctwa_clid=c3&ad_id=a4&attribution_source=meta_ctwa";

    fn link(url: &str) -> String {
        tracking_link(url, &PLAIN).unwrap()
    }

    #[test]
    fn the_parameters_come_behind_the_query_and_before_the_fragment() {
        assert_eq!(link("https://shop.example"), format!("https://shop.example?{OURS}"));
        assert_eq!(link("https://shop.example/p?x=1"), format!("https://shop.example/p?x=1&{OURS}"));
        assert_eq!(link("https://shop.example/p#top"), format!("https://shop.example/p?{OURS}#top"));
        assert_eq!(link("https://shop.example/?a=1&#x?y=2"), format!("https://shop.example/?a=1&{OURS}#x?y=2"));
        assert_eq!(link("https://shop.example/?"), format!("https://shop.example/?{OURS}"));
    }

    #[test]
    fn what_is_there_stays_byte_for_byte() {
        let url = "HTTPS://Shop.example:443/a%2fb/../c?q=a+b%20c&sig=%e9&ad_id=old";
        assert_eq!(link(url), format!("{url}&{OURS}"));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for url in
            ["", "shop.example", "/p", "ftp://shop.example", "https://", "https://shop.example/a b", "javascript:1"]
        {
            assert!(tracking_link(url, &PLAIN).is_err(), "{url}");
        }
        assert!(tracking_link("https://shop.example", &Tracking { ad_id: " ", ..PLAIN }).is_err());
    }

    proptest! {
        #[test]
        fn a_server_reads_back_what_went_in(
            values in prop::array::uniform4("[^\\s]\\PC{0,30}"),
            query in "[a-z=&%0-9]{0,20}",
            fragment in "(#[a-z?&=]{0,10})?",
        ) {
            let [cnct_tracking_id, sendout_id, ctwa_clid, ad_id] = &values;
            let tracking = Tracking { cnct_tracking_id, sendout_id, ctwa_clid, ad_id };
            let link = tracking_link(&format!("https://shop.example/p?{query}{fragment}"), &tracking).unwrap();
            let read = Url::parse(&link).unwrap();
            let pairs: Vec<_> = read.query_pairs().map(|(_, value)| value.into_owned()).collect();
            let last_five = &pairs[pairs.len() - 5..];
            prop_assert_eq!(&last_five[..4], &values[..]);
            prop_assert_eq!(&last_five[4], "meta_ctwa");
            prop_assert_eq!(read.fragment(), fragment.strip_prefix('#'));
        }
    }
}
