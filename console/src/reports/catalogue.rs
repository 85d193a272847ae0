//! What each view has, and how it is shown.

use crate::{frame::Section, tenant::View};

/// A view as a table.
pub(super) struct Report {
    /// Its name in paths.
    pub(super) path: &'static str,
    pub(super) title: &'static str,
    pub(super) section: Section,
    pub(super) view: View,
    /// What rows are told apart by; the first one is what the table is about.
    pub(super) keys: &'static [Key],
    /// What is counted of them; the first one is drawn, and sorted by.
    pub(super) measures: &'static [Measure],
    /// Whether its rows stand for days, and do not add up.
    pub(super) is_by_day: bool,
    /// What a reader should know.
    pub(super) note: &'static str,
}

/// A column that rows are told apart by.
pub(super) struct Key {
    pub(super) column: &'static str,
    pub(super) label: &'static str,
    /// Rows that hold a text somewhere in this column: the parameter has the column's name.
    pub(super) condition: &'static str,
}

/// A column that is counted.
pub(super) struct Measure {
    pub(super) column: &'static str,
    pub(super) label: &'static str,
    /// How it is added up over days.
    pub(super) sum: &'static str,
    pub(super) form: Form,
}

/// How values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Count,
    Money,
    Rate,
    Text,
}

const AD: Key = Key { column: "ad_id", label: "Ad", condition: "positionCaseInsensitive(ad_id, {ad_id:String}) > 0" };
const CURRENCY: Key = Key {
    column: "currency",
    label: "Currency",
    condition: "positionCaseInsensitive(currency, {currency:String}) > 0",
};
const EVENT: Key = Key {
    column: "event_name",
    label: "Event",
    condition: "positionCaseInsensitive(event_name, {event_name:String}) > 0",
};
const CAMPAIGN: Key = Key {
    column: "sendout_id",
    label: "Campaign (sendout)",
    condition: "positionCaseInsensitive(sendout_id, {sendout_id:String}) > 0",
};
const PRODUCT: Key = Key {
    column: "product_id",
    label: "Product",
    condition: "positionCaseInsensitive(product_id, {product_id:String}) > 0",
};
const STAGE: Key = Key {
    column: "failure_stage",
    label: "Stage",
    condition: "positionCaseInsensitive(failure_stage, {failure_stage:String}) > 0",
};

const fn measure(column: &'static str, label: &'static str, sum: &'static str, form: Form) -> Measure {
    Measure { column, label, sum, form }
}

const ORDERS: Measure = measure("orders", "Orders", "sum(orders) AS orders", Form::Count);
const REVENUE: Measure = measure("revenue", "Revenue", "sum(revenue) AS revenue", Form::Money);
const CREDITED: Measure =
    measure("credited_revenue", "Credited by Meta", "sum(credited_revenue) AS credited_revenue", Form::Money);

/// What money and conversions are in all of them.
const CONVERSION: &str = "An order counts once per deduplication window, on the day of the event. Rejected and pending \
     ones count; what Meta has stands beside them.";
const NO_SUM: &str = "Money is never added across currencies.";

pub(super) const REPORTS: [Report; 6] = [
    Report {
        path: "conversions-per-ad",
        title: "Conversions per ad",
        section: Section::Ads,
        view: View::ConversionsPerAd,
        keys: &[AD, EVENT],
        measures: &[
            measure("conversions", "Conversions", "sum(conversions) AS conversions", Form::Count),
            measure("events_received", "Reported to Meta", "sum(events_received) AS events_received", Form::Count),
            measure("rejected", "Rejected", "sum(rejected) AS rejected", Form::Count),
            measure("pending", "Under way", "sum(pending) AS pending", Form::Count),
        ],
        is_by_day: false,
        note: CONVERSION,
    },
    Report {
        path: "revenue-per-ad",
        title: "Revenue per ad",
        section: Section::Ads,
        view: View::RevenuePerAd,
        keys: &[AD, CURRENCY],
        measures: &[ORDERS, REVENUE, CREDITED],
        is_by_day: false,
        note: NO_SUM,
    },
    Report {
        path: "view-to-purchase",
        title: "From view to purchase",
        section: Section::Ads,
        view: View::PurchaseRates,
        keys: &[AD],
        measures: &[
            measure("views", "Views", "sum(views) AS views", Form::Count),
            measure("purchases", "Purchases", "sum(purchases) AS purchases", Form::Count),
            measure("rate", "Purchases per view", "purchases / nullIf(views, 0) AS rate", Form::Rate),
        ],
        is_by_day: false,
        note: "Rates do not add up: over several days they are the purchases of all days by the views of all days.",
    },
    Report {
        path: "revenue-per-campaign",
        title: "Revenue per campaign",
        section: Section::Campaigns,
        view: View::RevenuePerCampaign,
        keys: &[CAMPAIGN, CURRENCY],
        measures: &[ORDERS, REVENUE, CREDITED],
        is_by_day: false,
        note: NO_SUM,
    },
    Report {
        path: "revenue-per-product",
        title: "Revenue per product",
        section: Section::Products,
        view: View::RevenuePerProduct,
        keys: &[PRODUCT, CURRENCY],
        measures: &[ORDERS, measure("units", "Units", "sum(units) AS units", Form::Count), REVENUE],
        is_by_day: false,
        note: "From the contents of orders alone. A line without a quantity is one unit; without a price it adds no revenue.",
    },
    Report {
        path: "failure-rates",
        title: "Failure rates",
        section: Section::Failures,
        view: View::FailureRates,
        keys: &[STAGE],
        measures: &[
            measure("failures", "Failures", "sum(failures) AS failures", Form::Count),
            measure("calls", "Calls of the day", "sum(calls) AS calls", Form::Count),
            measure("failure_rate", "Rate", "failures / nullIf(calls, 0) AS failure_rate", Form::Rate),
            measure("top_error", "Commonest error", "any(top_error) AS top_error", Form::Text),
        ],
        is_by_day: true,
        note: "Counted call by call, on the day of receipt: a failure that was corrected later was a failure. Calls with a \
               refused key are nobody’s, and not counted.",
    },
];

impl Report {
    pub(super) fn named(path: &str) -> Option<&'static Self> {
        REPORTS.iter().find(|report| report.path == path)
    }

    /// Those beside it in the same part of the pages.
    pub(super) fn beside(&self) -> Vec<&'static Self> {
        REPORTS.iter().filter(|report| report.section == self.section).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_asks_for_its_own_column() {
        for report in &REPORTS {
            for key in report.keys {
                assert!(key.condition.contains(&format!("({0}, {{{0}:String}})", key.column)), "{}", key.condition);
            }
            for measure in report.measures {
                assert!(measure.sum.ends_with(&format!(" AS {}", measure.column)), "{}", measure.sum);
            }
        }
    }

    #[test]
    fn every_section_s_path_is_a_report() {
        for section in [Section::Ads, Section::Campaigns, Section::Products, Section::Failures] {
            let path = section.path().strip_prefix("/reports/").unwrap();
            assert_eq!(Report::named(path).map(|report| report.section), Some(section));
        }
    }
}
