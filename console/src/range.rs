//! Which days a page is about.

use time::Date;

use crate::{
    fields::Fields,
    when::{day_field, day_shown, days_before, parse_day, today},
};

/// More days than that are asked of the warehouse, not of a page.
const MOST_DAYS: i64 = 366;

/// Days from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Date,
    pub(crate) to: Date,
    pub(crate) named: Option<Named>,
}

/// A range that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Today,
    Yesterday,
    Week,
    Month,
}

/// A range to choose.
pub(crate) struct Link {
    pub(crate) value: &'static str,
    pub(crate) label: &'static str,
    pub(crate) is_chosen: bool,
}

impl Named {
    const ALL: [Self; 4] = [Self::Today, Self::Yesterday, Self::Week, Self::Month];

    /// The value in a query string.
    fn value(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Yesterday => "yesterday",
            Self::Week => "7",
            Self::Month => "30",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Today => "Today",
            Self::Yesterday => "Yesterday",
            Self::Week => "7 days",
            Self::Month => "30 days",
        }
    }

    fn range(self, today: Date) -> Range {
        let (first, last) = match self {
            Self::Today => (0, 0),
            Self::Yesterday => (1, 1),
            Self::Week => (6, 0),
            Self::Month => (29, 0),
        };
        Range { from: days_before(today, first), to: days_before(today, last), named: Some(self) }
    }
}

impl Range {
    /// The range of a query string: a name, or two days; `or` where it says nothing.
    pub(crate) fn read(fields: &mut Fields, or: Named) -> Self {
        let today = today();
        let named = fields.read("range", "today, yesterday, 7 or 30", |text| {
            Named::ALL.into_iter().find(|named| named.value() == text)
        });
        let (from, to) = (fields.read("from", "a day", parse_day), fields.read("to", "a day", parse_day));
        let range = match (named, from, to) {
            (Some(named), _, _) => named.range(today),
            (None, None, None) => or.range(today),
            (None, from, to) => {
                let to = to.unwrap_or(today);
                Self { from: from.unwrap_or_else(|| days_before(to, 6)), to, named: None }
            }
        };
        if range.from > range.to {
            fields.complain("to", "is before the day it is to begin with");
        } else if range.days() > MOST_DAYS {
            fields.complain("from", format!("is over {MOST_DAYS} days before the last one: choose fewer"));
        } else {
            return range;
        }
        or.range(today)
    }

    pub(crate) fn days(&self) -> i64 {
        (self.to - self.from).whole_days() + 1
    }

    /// As many days, just before.
    pub(crate) fn before(&self) -> Self {
        Self { from: days_before(self.from, self.days()), to: days_before(self.from, 1), named: None }
    }

    /// Unix milliseconds of the first moment.
    pub(crate) fn begin_ms(&self) -> i64 {
        self.from.midnight().assume_utc().unix_timestamp() * 1000
    }

    /// Unix milliseconds of the moment after the last.
    pub(crate) fn end_ms(&self) -> i64 {
        (self.to.midnight().assume_utc().unix_timestamp() + 86_400) * 1000
    }

    pub(crate) fn first_field(&self) -> String {
        day_field(self.from)
    }

    pub(crate) fn last_field(&self) -> String {
        day_field(self.to)
    }

    pub(crate) fn named_value(&self) -> &'static str {
        self.named.map_or("", Named::value)
    }

    /// The ranges that have names, to choose from.
    pub(crate) fn links(&self) -> [Link; 4] {
        let link =
            |named: Named| Link { value: named.value(), label: named.label(), is_chosen: self.named == Some(named) };
        Named::ALL.map(link)
    }

    /// Whose calls these are, in a sentence.
    pub(crate) fn possessive(&self) -> String {
        match self.named {
            Some(Named::Today) => "today’s".into(),
            Some(Named::Yesterday) => "yesterday’s".into(),
            Some(Named::Week) => "the last 7 days’".into(),
            Some(Named::Month) => "the last 30 days’".into(),
            None if self.days() == 1 => format!("{}’s", day_shown(self.from)),
            None => format!("these {} days’", self.days()),
        }
    }

    /// In a heading.
    pub(crate) fn shown(&self) -> String {
        if self.days() == 1 {
            day_shown(self.from)
        } else {
            format!("{} – {}", day_shown(self.from), day_shown(self.to))
        }
    }

    /// The part of a query string that asks for it again.
    pub(crate) fn query(&self) -> String {
        match self.named {
            Some(named) => format!("range={}", named.value()),
            None => format!("from={}&to={}", self.first_field(), self.last_field()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> (Range, Vec<&'static str>) {
        let mut fields = Fields::parse(query.as_bytes());
        let range = Range::read(&mut fields, Named::Week);
        (range, fields.complaints().iter().map(|complaint| complaint.field).collect())
    }

    #[test]
    fn a_range_is_named_or_two_days() {
        for (query, days) in [("", 7), ("range=today", 1), ("range=yesterday", 1), ("range=7", 7), ("range=30", 30)] {
            let (range, complaints) = read(query);
            assert_eq!((range.days(), complaints), (days, Vec::new()), "{query}");
        }
        let (range, _) = read("from=2026-11-01&to=2026-11-03");
        assert_eq!((range.days(), range.named, range.query().as_str()), (3, None, "from=2026-11-01&to=2026-11-03"));
        assert_eq!(range.end_ms() - range.begin_ms(), 3 * 86_400_000);
        let before = range.before();
        assert_eq!((before.first_field().as_str(), before.last_field().as_str()), ("2026-10-29", "2026-10-31"));
    }

    #[test]
    fn what_is_no_range_is_told() {
        for (query, field) in [
            ("range=week", "range"),
            ("from=soon", "from"),
            ("to=2026-02-30", "to"),
            ("from=2026-11-03&to=2026-11-01", "to"),
            ("from=2020-01-01&to=2026-11-01", "from"),
        ] {
            let (range, complaints) = read(query);
            assert_eq!((complaints, range.days()), (vec![field], 7), "{query}");
        }
    }
}
