//! What is printed, and kept beside the code.

use std::fmt::{self, Write as _};

use crate::machine::Machine;

/// One figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    figure: String,
    measured: String,
    yardstick: String,
    ratio: String,
    goal: String,
    is_met: Option<bool>,
}

impl Line {
    /// A figure, and what was measured.
    pub fn new(figure: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { figure: figure.into(), measured: measured.into(), ..Self::default() }
    }

    /// What the yardstick did in the same run, and the ratio of the two.
    #[must_use]
    pub fn beside(self, yardstick: impl Into<String>, ratio: f64) -> Self {
        Self { yardstick: yardstick.into(), ratio: format!("{ratio:.2}"), ..self }
    }

    /// A goal, and whether it is met.
    #[must_use]
    pub fn goal(self, goal: impl Into<String>, is_met: bool) -> Self {
        Self { goal: goal.into(), is_met: Some(is_met), ..self }
    }

    /// Whether its goal is met; `None` without one.
    pub fn is_met(&self) -> Option<bool> {
        self.is_met
    }

    fn cells(&self) -> [&str; 6] {
        let met = match self.is_met {
            None => "",
            Some(true) => "met",
            Some(false) => "**not met**",
        };
        [&self.figure, &self.measured, &self.yardstick, &self.ratio, &self.goal, met]
    }
}

/// All that a run measured.
pub struct Table<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Whether it was a long run.
    pub is_long: bool,
    /// The figures.
    pub lines: &'a [Line],
}

const HEAD: [&str; 6] = ["figure", "measured", "yardstick", "ratio", "goal", ""];

impl fmt::Display for Table<'_> {
    /// As Markdown, its columns in line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, fact) in self.machine.facts() {
            writeln!(f, "* {name}: {fact}")?;
        }
        writeln!(f, "* run: {}\n", if self.is_long { "long" } else { "quick" })?;
        let rows: Vec<_> = std::iter::once(HEAD).chain(self.lines.iter().map(Line::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: [usize; 6] = std::array::from_fn(width);
        for (at, row) in rows.iter().enumerate() {
            writeln!(f, "|{}", cells(row, &widths))?;
            if at == 0 {
                writeln!(f, "|{}", widths.map(|width| format!("{}|", "-".repeat(width + 2))).concat())?;
            }
        }
        Ok(())
    }
}

fn cells(row: &[&str; 6], widths: &[usize; 6]) -> String {
    row.iter().zip(widths).fold(String::new(), |mut text, (cell, width)| {
        // Writing to a String cannot fail.
        let _ = write!(text, " {cell:width$} |");
        text
    })
}

/// A rate, with as many digits as it is worth.
pub fn per_second(rate: f64) -> String {
    format!("{}/s", grouped(rate))
}

/// A number with its thousands apart.
pub fn grouped(number: f64) -> String {
    if number < 100.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_in_line_and_says_what_is_not_met() {
        let lines = [
            Line::new("ingest, 256 connections", per_second(41_234.4))
                .beside(per_second(50_000.0), 0.8247)
                .goal("≥ 0.80", true),
            Line::new("memory", "12 MB").goal("< 10 MB", false),
        ];
        let text = Table { machine: &Machine::look("26.9".into()), is_long: false, lines: &lines }.to_string();
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| row.chars().count() == rows[0].chars().count()), "{text}");
        assert!(rows[2].contains("| 41,234/s | 50,000/s  | 0.82  | ≥ 0.80  | met"), "{text}");
        assert!(rows[3].ends_with("| **not met** |"), "{text}");
        assert!(text.contains("* ClickHouse: 26.9\n"), "{text}");
    }

    #[test]
    fn thousands_stand_apart() {
        let texts = [0.126, 99.96, 100.4, 999.6, 1_234_567.0].map(grouped);
        assert_eq!(texts, ["0.1", "100.0", "100", "1,000", "1,234,567"]);
    }
}
