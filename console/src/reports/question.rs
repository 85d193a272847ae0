//! What is asked of a report: which days, which rows, in which order, which page.

use super::catalogue::{Key, Report};
use crate::{
    fields::Fields,
    range::{Named, Range},
    tenant::{Business, Direction, Select},
};

/// Rows on a page.
pub(super) const PAGE: u64 = 50;
/// Rows of a file.
pub(super) const FILE: u64 = 100_000;
/// Pages one may leaf through; further down one sorts or filters.
const LAST_PAGE: u64 = 200;
/// Ids are shorter.
const LONGEST: usize = 256;
const DAY: &str = "day";

/// What is asked of a report.
pub(super) struct Question {
    pub(super) range: Range,
    /// Texts that columns have to hold.
    pub(super) filters: Vec<(&'static Key, String)>,
    /// Whether each day has a row of its own.
    pub(super) by_day: bool,
    pub(super) sort: &'static str,
    pub(super) direction: Direction,
    /// From 0.
    pub(super) page: u64,
}

impl Question {
    pub(super) fn read(report: &'static Report, fields: &mut Fields) -> Self {
        let range = Range::read(fields, Named::Month);
        let texts = report.keys.iter().map(|key| (key, fields.trimmed(key.column, LONGEST)));
        let filters = texts.filter_map(|(key, text)| Some((key, text?))).collect();
        let by_day = report.is_by_day || fields.read("by", "day", |text| (text == DAY).then_some(())).is_some();
        let sorted = fields.read("sort", "a column of this table", |text| sortable(report, by_day, text));
        let turned = fields.read("dir", "asc or desc", direction);
        let page = fields
            .read("page", "a page’s number", |text| text.parse().ok().filter(|page| (1..=LAST_PAGE).contains(page)));
        let (sort, usual) = match sorted {
            Some(column) if report.measures.iter().any(|measure| measure.column == column) => (column, Direction::Down),
            Some(column) => (column, Direction::Up),
            None if report.is_by_day => (DAY, Direction::Down),
            None => (report.measures[0].column, Direction::Down),
        };
        Self { range, filters, by_day, sort, direction: turned.unwrap_or(usual), page: page.unwrap_or(1) - 1 }
    }

    /// The columns of a row that tell it apart.
    pub(super) fn keys(&self, report: &Report) -> Vec<&'static str> {
        let day = self.by_day.then_some(DAY);
        day.into_iter().chain(report.keys.iter().map(|key| key.column)).collect()
    }

    /// Every row, up to a limit.
    pub(super) fn select(&self, report: &Report, business: &Business, limit: u64, offset: u64) -> Select {
        let keys = self.keys(report);
        let columns: Vec<_> = keys.iter().copied().chain(report.measures.iter().map(|measure| measure.sum)).collect();
        let rest = keys.iter().copied().filter(|key| *key != self.sort).map(|key| (key, Direction::Up));
        let order: Vec<_> = [(self.sort, self.direction)].into_iter().chain(rest).collect();
        let select = self.narrow(business.select(report.view, columns));
        select.group_by(keys).order_by(order).limit(limit).offset(offset)
    }

    /// The measure that is drawn, day by day.
    pub(super) fn course(&self, report: &Report, business: &Business) -> Select {
        let columns = vec!["toUnixTimestamp(toDateTime(day, 'UTC')) AS at", report.measures[0].sum];
        self.narrow(business.select(report.view, columns)).group_by([DAY]).limit(1000)
    }

    fn narrow(&self, select: Select) -> Select {
        let select = select
            .and("day BETWEEN {from_day:Date} AND {to_day:Date}")
            .with("from_day", &*self.range.first_field())
            .with("to_day", &*self.range.last_field());
        let narrow = |select: Select, (key, text): &(&'static Key, String)| {
            select.and(key.condition).with(key.column, text.as_str())
        };
        self.filters.iter().fold(select, narrow)
    }

    /// The query string that asks for it again, but for what is left out.
    pub(super) fn query(&self, without: &[&str]) -> String {
        let (page, turned) = ((self.page + 1).to_string(), name(self.direction).to_owned());
        let mut pairs = self.range_pairs();
        pairs.extend(self.filters.iter().map(|(key, text)| (key.column, text.clone())));
        pairs.extend(self.by_day.then(|| ("by", DAY.to_owned())));
        pairs.extend([("sort", self.sort.to_owned()), ("dir", turned), ("page", page)]);
        pairs.retain(|(name, _)| !without.contains(name));
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    fn range_pairs(&self) -> Vec<(&'static str, String)> {
        match self.range.named {
            Some(_) => vec![("range", self.range.named_value().to_owned())],
            None => vec![("from", self.range.first_field()), ("to", self.range.last_field())],
        }
    }
}

pub(super) fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "asc",
        Direction::Down => "desc",
    }
}

fn direction(text: &str) -> Option<Direction> {
    [Direction::Up, Direction::Down].into_iter().find(|direction| name(*direction) == text)
}

fn sortable(report: &Report, by_day: bool, text: &str) -> Option<&'static str> {
    let keys = report.keys.iter().map(|key| key.column);
    let measures = report.measures.iter().map(|measure| measure.column);
    by_day.then_some(DAY).into_iter().chain(keys).chain(measures).find(|column| *column == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(report: &str, query: &str) -> (Question, Vec<&'static str>) {
        let mut fields = Fields::parse(query.as_bytes());
        let question = Question::read(Report::named(report).unwrap(), &mut fields);
        (question, fields.complaints().iter().map(|complaint| complaint.field).collect())
    }

    #[test]
    fn a_question_comes_back_as_it_went() {
        let query = "range=7&ad_id=a%26b&by=day&sort=orders&dir=asc&page=3";
        let (question, complaints) = read("revenue-per-ad", query);
        assert_eq!((complaints, question.query(&[])), (Vec::new(), query.to_owned()));
        assert_eq!(question.query(&["page", "range"]), "ad_id=a%26b&by=day&sort=orders&dir=asc");
    }

    #[test]
    fn measures_are_sorted_from_the_greatest_and_names_from_the_least() {
        assert_eq!(read("revenue-per-ad", "").0.query(&["range"]), "sort=orders&dir=desc&page=1");
        assert_eq!(read("revenue-per-ad", "sort=ad_id").0.direction, Direction::Up);
        assert_eq!(read("failure-rates", "").0.sort, "day");
    }

    #[test]
    fn what_no_table_has_is_told() {
        for (query, field) in [
            ("sort=body", "sort"),
            ("sort=day", "sort"),
            ("sort=orders;DROP", "sort"),
            ("dir=up", "dir"),
            ("page=0", "page"),
            ("page=201", "page"),
            ("page=x", "page"),
            ("by=hour", "by"),
            ("range=1", "range"),
            ("ad_id=1&ad_id=2", "ad_id"),
        ] {
            assert_eq!(read("revenue-per-ad", query).1, [field], "{query}");
        }
    }
}
