//! The file of librdkafka properties (`CAPI_KAFKA_PROPERTIES`): TLS, SASL and the rest of a client's settings.

use std::{fs, path::Path};

use rdkafka::{ClientConfig, error::KafkaError, producer::BaseProducer, types::RDKafkaConfRes};

use crate::settings::SettingsFault;

/// What correctness rests on: nobody may set these.
const OURS: &[&str] = &[
    "acks",
    "auto.commit.enable",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "isolation.level",
    "linger.ms",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "request.required.acks",
    "retries",
    "statistics.interval.ms",
    "transactional.id",
];

/// Reads a file of `name=value` lines; `#` begins a comment line.
///
/// # Errors
/// Where the file cannot be read, a line is no property, a property is one that correctness rests on, or librdkafka does
/// not take it.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, SettingsFault> {
    let text = fs::read_to_string(path).map_err(|error| {
        SettingsFault::new(format!("CAPI_KAFKA_PROPERTIES: cannot read {}: {error}", path.display()))
    })?;
    let properties = parse(&text).map_err(|(line, fault)| {
        SettingsFault::new(format!("CAPI_KAFKA_PROPERTIES: {} line {line}: {fault}", path.display()))
    })?;
    try_out(&properties)
        .map_err(|fault| SettingsFault::new(format!("CAPI_KAFKA_PROPERTIES: {}: {fault}", path.display())))?;
    Ok(properties)
}

/// Starts a client that knows no broker: librdkafka judges the properties, one by one and together, and opens the files
/// that they name. What it says of a value may hold the value, which may be a secret: values are never repeated.
fn try_out(properties: &[(String, String)]) -> Result<(), String> {
    let config: ClientConfig = properties.iter().cloned().collect();
    for (name, value) in properties {
        let mut one = ClientConfig::new();
        one.set(name, value);
        if let Err(KafkaError::ClientConfig(why, ..)) = one.create_native_config() {
            return Err(match why {
                RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => format!("librdkafka knows no property {name}"),
                _ => format!("{name} does not take this value"),
            });
        }
    }
    match config.create::<BaseProducer>() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientCreation(why)) => Err(without_secrets(why, properties)),
        Err(_) => Err("librdkafka does not take these properties".into()),
    }
}

/// Whether a password or a key stands in the file itself.
pub(crate) fn hold_a_secret(path: &Path) -> bool {
    let properties = fs::read_to_string(path).ok().and_then(|text| parse(&text).ok()).unwrap_or_default();
    properties.iter().any(|(name, value)| is_secret(name) && !value.is_empty())
}

fn is_secret(name: &str) -> bool {
    ["password", "secret", "pem", "oauthbearer.config"].iter().any(|part| name.contains(part))
}

fn without_secrets(text: String, properties: &[(String, String)]) -> String {
    properties
        .iter()
        .filter(|(name, value)| is_secret(name) && !value.is_empty())
        .fold(text, |text, (_, value)| text.replace(value, "…"))
}

fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| {
            let (name, value) =
                line.split_once('=').ok_or((at + 1, "a property is written as name=value".to_owned()))?;
            let name = name.trim();
            if OURS.contains(&name) {
                return Err((at + 1, format!("{name} is not free: correctness rests on its value")));
            }
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_line_by_line() {
        let read = parse("# TLS\nsecurity.protocol=SASL_SSL\n\n sasl.password = a=b \n").unwrap();
        assert_eq!(read, [("security.protocol".into(), "SASL_SSL".into()), ("sasl.password".into(), "a=b".into())]);
    }

    #[test]
    fn a_fault_names_its_line() {
        assert_eq!(parse("a=b\nnonsense").unwrap_err().0, 2);
        let (line, fault) = parse("acks=1").unwrap_err();
        assert_eq!(line, 1);
        assert!(fault.contains("acks"), "{fault}");
    }

    /// A misspelt name there would leave the property free.
    #[test]
    fn librdkafka_knows_what_is_ours() {
        for name in OURS {
            let told = ClientConfig::new().set(*name, "\u{1}").create_native_config().err();
            let unknown = matches!(told, Some(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)));
            assert!(!unknown, "{name}");
        }
    }

    fn tried(lines: &str) -> Result<(), String> {
        try_out(&parse(lines).unwrap())
    }

    #[test]
    fn what_librdkafka_does_not_take_is_a_fault_that_names_the_property() {
        assert_eq!(tried("socket.timeout.ms=5000\nsecurity.protocol=ssl"), Ok(()));
        for (lines, named) in [
            ("no.such.property=1", "no.such.property"),
            ("socket.timeout.ms=soon", "socket.timeout.ms"),
            ("security.protocol=ssl\nssl.ca.location=/no/such/file", "ssl.ca.location"),
        ] {
            let fault = tried(lines).unwrap_err();
            assert!(fault.contains(named), "{fault}");
        }
    }

    #[test]
    fn a_fault_repeats_no_secret() {
        for lines in ["sasl.passwort=hunter2", "ssl.key.pem=hunter2\nsecurity.protocol=ssl"] {
            let fault = tried(lines).unwrap_err();
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        let properties = parse("sasl.password=hunter2").unwrap();
        assert_eq!(without_secrets("cannot use hunter2".into(), &properties), "cannot use …");
    }
}
