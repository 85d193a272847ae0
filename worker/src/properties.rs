//! The file of librdkafka properties (`CAPI_KAFKA_PROPERTIES`): TLS, SASL and the rest of a client's settings.

use std::{fs, path::Path};

use crate::settings::SettingsFault;

/// What correctness rests on: nobody may set these.
const OURS: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "transactional.id",
];

/// Reads a file of `name=value` lines; `#` begins a comment line.
///
/// # Errors
/// Where the file cannot be read, a line is no property, or a property is one that correctness rests on.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, SettingsFault> {
    let text = fs::read_to_string(path).map_err(|error| {
        SettingsFault::new(format!("CAPI_KAFKA_PROPERTIES: cannot read {}: {error}", path.display()))
    })?;
    parse(&text).map_err(|(line, fault)| {
        SettingsFault::new(format!("CAPI_KAFKA_PROPERTIES: {} line {line}: {fault}", path.display()))
    })
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
}
