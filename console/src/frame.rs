//! What stands around every page: whose it is, where one may go from it.

/// What stands around a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    /// Who looks at it; `None` before a sign-in.
    pub(crate) person: Option<Person>,
    /// The business that it is about.
    pub(crate) business: Option<Place>,
}

/// Who looks at a page.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) role: &'static str,
    /// Goes with every form of the page.
    pub(crate) form_token: String,
}

/// The business that a page is about, and the part of its pages.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) section: Section,
    /// Whether there are others to go to.
    pub(crate) is_one_of_many: bool,
}

/// A part of a business's pages, to go to.
pub(crate) struct Tab {
    pub(crate) label: &'static str,
    pub(crate) url: String,
    pub(crate) is_here: bool,
}

/// The parts of a business's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Calls,
    Ads,
    Campaigns,
    Products,
    Failures,
    Integration,
    Settings,
}

impl Section {
    const ALL: [Self; 8] = [
        Self::Overview,
        Self::Calls,
        Self::Ads,
        Self::Campaigns,
        Self::Products,
        Self::Failures,
        Self::Integration,
        Self::Settings,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Calls => "Calls",
            Self::Ads => "Ads",
            Self::Campaigns => "Campaigns",
            Self::Products => "Products",
            Self::Failures => "Failures",
            Self::Integration => "Integration",
            Self::Settings => "Settings",
        }
    }

    /// Its path below the business's.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Calls => "/calls",
            Self::Ads => "/reports/conversions-per-ad",
            Self::Campaigns => "/reports/revenue-per-campaign",
            Self::Products => "/reports/revenue-per-product",
            Self::Failures => "/reports/failure-rates",
            Self::Integration => "/integration",
            Self::Settings => "/settings",
        }
    }
}

impl Place {
    /// The parts of its pages.
    pub(crate) fn tabs(&self) -> [Tab; 8] {
        Section::ALL.map(|section| Tab {
            label: section.label(),
            url: format!("/businesses/{}{}", self.id, section.path()),
            is_here: section == self.section,
        })
    }
}

impl Frame {
    /// Goes with every form; empty before a sign-in.
    pub(crate) fn form_token(&self) -> &str {
        self.person.as_ref().map_or("", |person| &person.form_token)
    }
}
