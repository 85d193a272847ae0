//! `capi link`.

use std::fmt;

use clap::Args;
use directory::link::{Tracking, tracking_link};
use serde::Serialize;

use crate::{failure::Failure, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The landing page; what it already has in query and fragment stays
    url: String,
    /// Identifies the originating session
    #[arg(long, value_name = "ID")]
    cnct_tracking_id: String,
    /// The campaign's sendout
    #[arg(long, value_name = "ID")]
    sendout_id: String,
    /// Meta's click id
    #[arg(long, value_name = "ID")]
    ctwa_clid: String,
    /// The ad
    #[arg(long, value_name = "ID")]
    ad_id: String,
}

impl Link {
    pub(crate) fn run(&self, output: &Output) -> Result<(), Failure> {
        let tracking = Tracking {
            cnct_tracking_id: &self.cnct_tracking_id,
            sendout_id: &self.sendout_id,
            ctwa_clid: &self.ctwa_clid,
            ad_id: &self.ad_id,
        };
        output.print(&Linked { url: tracking_link(&self.url, &tracking)? })
    }
}

#[derive(Serialize)]
struct Linked {
    url: String,
}

impl fmt::Display for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
