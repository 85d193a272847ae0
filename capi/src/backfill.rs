//! `capi backfill`: orders from files or a pipe to the endpoint, as fast as it takes them, once each.
//!
//! | module | step |
//! |---|---|
//! | [`input`], [`reader`] | opening, unpacking |
//! | [`lines`], [`table`], [`columns`] | a record from JSON lines, or from a row |
//! | [`record`], [`check`] | what the endpoint's own code says of it |
//! | [`journal`], [`refused`] | what became of it |
//! | [`send`], [`endpoint`], [`pace`], [`stop`] | to the endpoint |
//! | [`tally`], [`progress`], [`report`] | what people see |
//! | [`follow`] | its verdict, in ClickHouse |

mod check;
mod columns;
mod endpoint;
mod follow;
mod input;
mod journal;
mod lines;
mod pace;
mod progress;
mod reader;
mod record;
mod refused;
mod report;
mod send;
mod stop;
mod table;
mod tally;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use directory::BusinessId;
use url::Url;
use warehouse::{ClickHouseSettings, client::client};
use zeroize::Zeroizing;

use self::{
    check::Check,
    columns::Mapping,
    endpoint::Endpoint,
    follow::Follow,
    input::{Format, Input},
    journal::{Header, Journal},
    pace::Pace,
    progress::Meter,
    reader::ReadOptions,
    report::Report,
    send::{Ready, Sender},
    stop::Stop,
    table::TableOptions,
    tally::Tally,
};
use crate::{channel::read_secret, failure::Failure, output::Output};

const API_KEY: &str = "CAPI_API_KEY";

/// Send orders from files to the endpoint.
///
/// A file holds the body of one call on each line (NDJSON), or a table with a header (CSV); gzip and zstd are known by
/// their first bytes. Every line's end is written to a journal beside the file, FILE.capi-journal: after an
/// interruption, the same command goes on where it was, and sends nothing again that was answered. A line that was on
/// its way then is sent again, for the pipeline knows its order; one without an order id is not, for it would count
/// twice: it is reported, and --resend-unknown sends it.
///
/// Refused calls are added to FILE.refused.ndjson, each as {"refused": {why}, "call": {the body}}: mend the calls and
/// give that file to `capi backfill`. The API key comes from the environment variable `CAPI_API_KEY` or from
/// --api-key-file.
///
/// Exit codes: 0 all accepted, 64 usage, 65 some lines refused or an input that is not as it was, 69 the endpoint or
/// ClickHouse is unavailable, 1 else: interrupted, or lines of unknown fate.
#[derive(Debug, Args)]
pub(crate) struct Backfill {
    /// Inputs; - is a pipe
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The business whose orders these are
    #[arg(long, value_name = "ID", required_unless_present = "check", value_parser = business_id)]
    business: Option<BusinessId>,
    /// Where the endpoint is: what stands before /external/v1
    #[arg(long, env = "CAPI_ENDPOINT_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = endpoint_url)]
    url: Url,
    /// File with the API key, or - for stdin [default: the environment variable `CAPI_API_KEY` holds the key itself]
    #[arg(long, value_name = "FILE|-")]
    api_key_file: Option<PathBuf>,
    /// Calls at once, each on a connection of its own
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// How long the endpoint, or with --wait ClickHouse, may be away before the backfill gives up
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// How the inputs are written [default: as the name ends, else as the first byte looks]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Which column of a table holds a field, or what all rows have: `order_id=Order,value=Total,currency=:USD`. A column
    /// that bears a field's name needs no entry. `contents` are a JSON array, `content_ids` one or a|b, `event_time` is
    /// Unix seconds or RFC 3339
    #[arg(long = "map", value_name = "FIELD=COLUMN|FIELD=:TEXT", value_delimiter = ',')]
    mappings: Vec<Mapping>,
    /// What stands between two cells of a table; `tab` for a tabulator
    #[arg(long, default_value = ",", value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: u8,
    /// The journal [default: FILE.capi-journal; of a pipe, stdin.capi-journal in the current folder]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Where refused calls go [default: FILE.refused.ndjson; of a pipe, stdin.refused.ndjson in the current folder]
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Say what is wrong with each line and what would happen, without sending and without network
    #[arg(long, conflicts_with_all = ["wait", "resend_unknown"])]
    check: bool,
    /// Send lines without an order id again of which nobody knows whether they were taken: they may count twice
    #[arg(long)]
    resend_unknown: bool,
    /// Follow the calls in ClickHouse until none is pending, and report their verdicts
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    clickhouse: ClickHouseSettings,
}

fn business_id(text: &str) -> Result<BusinessId, String> {
    text.parse().map_err(|fault: directory::Fault| fault.to_string())
}

/// Keys travel in a header; in a URL they would reach logs.
fn endpoint_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write it as https://host"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the URL starts with http:// or https://".into());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("the URL holds no user, password, query or fragment".into());
    }
    if url.path().contains("/external/v1") {
        return Err("give what stands before /external/v1, and the business with --business".into());
    }
    Ok(url)
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" => Ok(b'\t'),
        [one] if one.is_ascii() => Ok(*one),
        _ => Err("one ASCII character, or `tab`".into()),
    }
}

impl Backfill {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let inputs: Vec<_> = self.files.iter().map(|path| Input::new(path)).collect();
        self.check_inputs(&inputs)?;
        match self.business {
            Some(business) if !self.check => self.send(output, &inputs, business).await,
            _ => Check::new(output).run(&inputs, &self.read_options()),
        }
    }

    fn check_inputs(&self, inputs: &[Input]) -> Result<(), Failure> {
        let usage = |sentence: &str| Err(Failure::Usage(sentence.to_owned()));
        let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
        let pipes = inputs.iter().filter(|input| input.is_pipe()).count();
        if pipes > 1 || (pipes == 1 && self.api_key_file.as_ref().is_some_and(is_stdin)) {
            return usage("stdin can be read once only");
        }
        if inputs.len() > 1 && (self.journal.is_some() || self.refused.is_some()) {
            return usage("--journal and --refused are for one input: several have theirs beside them");
        }
        Ok(())
    }

    fn read_options(&self) -> ReadOptions {
        let table = TableOptions { delimiter: self.delimiter, mappings: self.mappings.clone() };
        ReadOptions { format: self.format, table }
    }

    /// Sends the inputs one after the other, reports, and follows them where that was asked for.
    async fn send(&self, output: &Output, inputs: &[Input], business: BusinessId) -> Result<(), Failure> {
        let (started, read) = (Instant::now(), Arc::default());
        let connections = usize::from(self.connections);
        let sender = Sender {
            endpoint: Endpoint::new(&self.url, business, &self.key()?, connections)?.into(),
            pace: Pace::new(connections, self.patience).into(),
            tally: Arc::new(Tally::default()),
            stop: Stop::default(),
            resend_unknown: self.resend_unknown,
        };
        sender.stop.at_a_signal()?;
        let header = Header::new(&business.to_string(), self.url.as_str());
        let of_bytes = inputs.iter().map(Input::size).sum();
        let meter = Meter::new(Arc::clone(&sender.tally), Arc::clone(&read), of_bytes);
        let sent = progress::shown(meter, async {
            for input in inputs {
                let journal = Journal::open(&self.journal_of(input), &header)?;
                let unreadable = |error| Failure::Data(format!("{}: {error}", input.name()));
                let records = reader::records(input, &self.read_options(), &read).map_err(unreadable)?;
                let (input, refusals) = (input.clone(), self.refusals_of(input));
                sender.send(Ready { input, records, journal, refusals }).await?;
                if let Some(failure) = sender.stop.reason() {
                    return Err(failure);
                }
            }
            Ok(())
        });
        let sent = sent.await;
        let journals: Vec<_> = inputs.iter().map(|input| self.journal_of(input)).collect();
        let refused_files = inputs.iter().map(|input| self.refusals_of(input)).collect();
        let mut report = Report::new(&sender.tally, started.elapsed(), journals.clone(), refused_files);
        let followed = match sent {
            Ok(()) if self.wait => self.follow(&sender.stop, business, journals).await,
            sent => sent.map(|()| None),
        };
        let ended = followed.map(|verdicts| report.verdicts = verdicts);
        output.print(&report)?;
        ended?;
        report.outcome()
    }

    /// The verdicts of all accepted calls, unless someone interrupts the wait.
    async fn follow(
        &self,
        stop: &Stop,
        business: BusinessId,
        journals: Vec<PathBuf>,
    ) -> Result<Option<follow::Verdicts>, Failure> {
        let (clickhouse, business) = (client(&self.clickhouse), business.to_string());
        let follow = Follow { clickhouse, business, journals, patience: self.patience };
        match stop.unless(follow.to_the_end()).await {
            Some(verdicts) => verdicts.map(Some),
            None => stop.reason().map_or(Ok(None), Err),
        }
    }

    fn journal_of(&self, input: &Input) -> PathBuf {
        self.journal.clone().unwrap_or_else(|| input.beside(".capi-journal"))
    }

    fn refusals_of(&self, input: &Input) -> PathBuf {
        self.refused.clone().unwrap_or_else(|| input.beside(".refused.ndjson"))
    }

    /// The key is no flag: flags stand in process lists.
    fn key(&self) -> Result<Zeroizing<String>, Failure> {
        match &self.api_key_file {
            Some(path) => read_secret(Path::new(path)),
            None => std::env::var(API_KEY).map(Zeroizing::new).map_err(|_| {
                Failure::Usage(format!("the API key is required: in {API_KEY}, or in a file with --api-key-file"))
            }),
        }
    }
}
