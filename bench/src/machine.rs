//! The facts without which no figure means anything.

use std::{fs, process::Command, thread};

/// What ran where.
#[derive(Clone, Debug)]
pub struct Machine(Vec<(&'static str, String)>);

impl Machine {
    /// As it is before the first part.
    pub fn look(clickhouse: String) -> Self {
        let cores = thread::available_parallelism().map_or(0, usize::from);
        Self(vec![
            ("commit", commit()),
            ("processor", format!("{cores} × {}", field("/proc/cpuinfo", "model name"))),
            ("memory", field("/proc/meminfo", "MemTotal")),
            ("kernel", said("uname", &["-sr"])),
            ("load before", read("/proc/loadavg")),
            ("Rust", said("rustc", &["--version"])),
            ("Kafka", kafka_version()),
            ("ClickHouse", clickhouse),
        ])
    }

    /// Adds a fact that is known at the end.
    pub fn note(&mut self, name: &'static str, fact: String) {
        self.0.push((name, fact));
    }

    /// The load of the machine now.
    pub fn load() -> String {
        read("/proc/loadavg")
    }

    /// Each fact with its name.
    pub fn facts(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

fn commit() -> String {
    let head = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let is_clean = said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    if is_clean { head } else { format!("{head} and changes that are not committed") }
}

/// The local stack runs what the pom says.
fn kafka_version() -> String {
    let pom = read(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/local/pom.xml"));
    let after = pom.split_once("<artifactId>kafka_").and_then(|(_, rest)| rest.split_once("<version>"));
    after.and_then(|(_, rest)| rest.split_once('<')).map_or_else(unknown, |(version, _)| version.to_owned())
}

fn field(file: &str, name: &str) -> String {
    let text = read(file);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    line.map_or_else(unknown, |value| value.trim().to_owned())
}

fn read(file: &str) -> String {
    fs::read_to_string(file).map_or_else(|_| unknown(), |text| text.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map_or_else(unknown, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_found() {
        let machine = Machine::look("26.9".into());
        // A source package has no commit.
        let missing: Vec<_> =
            machine.facts().iter().filter(|(name, fact)| fact == "unknown" && *name != "commit").collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
