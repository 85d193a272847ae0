//! A URL among the settings.

use std::ffi::OsStr;

use clap::{Arg, Command, Error, builder::TypedValueParser, error::ErrorKind};
use url::Url;

/// Reads an http(s) URL without secrets. Settings and their faults reach logs and process lists, so that it may hold no
/// user, password, query or fragment; and it repeats none that it refuses, as clap's own faults would.
#[derive(Clone, Copy, Debug)]
pub struct HttpUrl;

impl TypedValueParser for HttpUrl {
    type Value = Url;

    fn parse_ref(&self, command: &Command, setting: Option<&Arg>, value: &OsStr) -> Result<Url, Error> {
        let url = value.to_str().ok_or("it is not text").and_then(http_url);
        url.map_err(|fault| {
            let name = setting.and_then(Arg::get_env).unwrap_or_default().display();
            Error::raw(ErrorKind::ValueValidation, format!("{name}: {fault}\n")).with_cmd(command)
        })
    }
}

fn http_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "this is no URL; write it as https://host or http://host:port")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the URL starts with http:// or https://");
    }
    let holds_more = !url.username().is_empty() || url.password().is_some();
    if holds_more || url.query().is_some() || url.fragment().is_some() {
        return Err("the URL holds no user, password, query or fragment: whoever reads the settings reads them");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Somewhere {
        #[arg(long, env = "CAPI_SOMEWHERE", value_parser = HttpUrl)]
        somewhere: Url,
    }

    fn read(url: &str) -> Result<Url, String> {
        let read = Somewhere::try_parse_from(["x", "--somewhere", url]);
        read.map(|settings| settings.somewhere).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_url_holds_no_secret_and_none_is_repeated() {
        for url in [
            "http://u:SECRET@h",
            "http://SECRET@h",
            "https://h/?access_token=SECRET",
            "https://h/#SECRET",
            "ftp://h/SECRET",
            "SECRET.example.com",
            "http://h:SECRET",
            "",
        ] {
            let told = read(url).unwrap_err();
            assert!(told.starts_with("error: CAPI_SOMEWHERE: "), "{told}");
            assert!(!told.contains("SECRET"), "{told}");
        }
        assert_eq!(read("https://graph.facebook.com").unwrap().as_str(), "https://graph.facebook.com/");
        assert!(read("http://127.0.0.1:8090/graph/").is_ok());
    }
}
