//! Where ClickHouse is, and who asks.

use std::{fmt, str::FromStr};

use url::Url;
use worker::settings::HttpUrl;

/// Where ClickHouse is.
#[derive(Clone, Debug, clap::Args)]
pub struct ClickHouseSettings {
    /// ClickHouse's HTTP interface
    #[arg(long, env = "CAPI_CLICKHOUSE_URL", default_value = "http://127.0.0.1:8123", value_name = "URL", value_parser = HttpUrl)]
    pub clickhouse_url: Url,
    /// Database of the tables and views
    #[arg(long, env = "CAPI_CLICKHOUSE_DATABASE", default_value = "capi", value_name = "NAME")]
    pub clickhouse_database: Database,
    /// ClickHouse user. The password comes from the environment variable `CAPI_CLICKHOUSE_PASSWORD` only (default: none),
    /// for flags stand in process lists
    #[arg(long, env = "CAPI_CLICKHOUSE_USER", default_value = "default", value_name = "NAME")]
    pub clickhouse_user: String,
    /// The user's password.
    #[arg(skip = Password::from_environment())]
    pub clickhouse_password: Password,
}

/// A database name that stands in SQL as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database(String);

impl Database {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts_well = text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
        if starts_well && text.len() <= 100 && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err("a database name has 1 to 100 letters, digits and underscores, and starts with no digit".into())
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A password: never shown.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    fn from_environment() -> Self {
        Self(std::env::var("CAPI_CLICKHOUSE_PASSWORD").unwrap_or_default())
    }

    /// The password itself, for the header that carries it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        clickhouse: ClickHouseSettings,
    }

    fn parse(arguments: &[&str]) -> Result<ClickHouseSettings, clap::Error> {
        let flags = Flags::try_parse_from(["test"].iter().chain(arguments));
        flags.map(|flags| flags.clickhouse)
    }

    #[test]
    fn a_password_is_never_shown() {
        let mut settings = parse(&[]).unwrap();
        settings.clickhouse_password = Password("hunter2".into());
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert_eq!(settings.clickhouse_password.reveal(), "hunter2");
    }

    #[test]
    fn a_password_is_no_flag() {
        assert!(parse(&["--clickhouse-password", "hunter2"]).is_err());
    }

    #[test]
    fn a_url_holds_no_secret() {
        for url in
            ["http://u:p@localhost:8123", "http://localhost:8123/?password=p", "ftp://localhost", "localhost:8123"]
        {
            let told = parse(&["--clickhouse-url", url]).unwrap_err().to_string();
            assert!(told.starts_with("error: CAPI_CLICKHOUSE_URL: ") && !told.contains(url), "{told}");
        }
        assert!(parse(&["--clickhouse-url", "https://ch.example.com:8443/"]).is_ok());
    }

    #[test]
    fn a_database_name_stands_in_sql_as_it_is() {
        for name in ["capi", "_t1"] {
            assert!(name.parse::<Database>().is_ok(), "{name}");
        }
        for name in ["", "1a", "a-b", "a`b", "a.b"] {
            assert!(name.parse::<Database>().is_err(), "{name}");
        }
    }
}
