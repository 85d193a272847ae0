//! From a batch to a request: what may still be sent, under one channel, in one body.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use super::{
    batch::Batch,
    channel::{Channel, ChannelFault, Channels, DatasetKey},
    job::Report,
    request::Body,
    ticket::Ticket,
    wire::Request,
};

/// What became of a batch on its way out.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The request and the batch it carries; `None` where nothing is left to send.
    pub(super) request: Option<(Request, Batch<Ticket>, Channel)>,
    /// Events that this request cannot carry, but another can.
    pub(super) back: Vec<Ticket>,
}

/// Makes a request of a batch. This is where deadline, fence, age and channel are checked before every request (rule 8):
/// what may not leave is reported, and what does not fit beside the first event waits for another request.
pub(super) fn prepare(
    mut batch: Batch<Ticket>,
    key: &DatasetKey,
    channels: &dyn Channels,
    now: Instant,
    now_ms: i64,
) -> Prepared {
    let meant = batch.events.len();
    let mut reading = Reading { channels, key, chosen: None, known: HashMap::new() };
    let mut back = Vec::new();
    let mut kept = Vec::with_capacity(meant);
    for ticket in std::mem::take(&mut batch.events) {
        match fate(&ticket, &mut reading, now, now_ms) {
            Fate::Sent => kept.push(ticket),
            Fate::Later => back.push(ticket),
            Fate::GivenUp => ticket.give_up(None),
            Fate::Settled(report) => ticket.settle(report),
        }
    }
    let request = reading.chosen.map(|channel| {
        let mut body = Body::new(&channel.envelope, kept.len());
        let fitted = kept.iter().take_while(|ticket| body.push(&ticket.event.call)).count();
        back.splice(0..0, kept.split_off(fitted));
        let body = body.finish();
        let events = kept.iter().map(|ticket| Arc::clone(&ticket.event)).collect();
        (Request { key: key.clone(), bearer: channel.bearer.clone(), body, events }, channel)
    });
    batch.events = kept;
    if batch.events.len() < meant {
        back.extend(batch.dissolve());
    }
    Prepared { request: request.map(|(request, channel)| (request, batch, channel)), back }
}

/// What is done with one event.
enum Fate {
    Sent,
    Later,
    GivenUp,
    Settled(Report),
}

fn fate(ticket: &Ticket, reading: &mut Reading<'_>, now: Instant, now_ms: i64) -> Fate {
    if !ticket.may_start(now) {
        return Fate::GivenUp;
    }
    if ticket.is_too_old(now_ms) {
        return Fate::Settled(Report::TooOld);
    }
    match reading.fit(&ticket.event.call.business_id) {
        Fit::Together => Fate::Sent,
        Fit::Apart => Fate::Later,
        Fit::Moved => Fate::GivenUp,
        Fit::Fault(ChannelFault::Missing) => Fate::Settled(Report::NoChannel),
        Fit::Fault(ChannelFault::TokenUnreadable) => Fate::Settled(Report::TokenUnreadable),
    }
}

/// The channels of one request's businesses, each read once.
struct Reading<'r> {
    channels: &'r dyn Channels,
    key: &'r DatasetKey,
    /// The channel of the first event that has one: those that have another travel apart.
    chosen: Option<Channel>,
    known: HashMap<String, Fit>,
}

/// How a business's channel goes with the request.
#[derive(Clone, Copy)]
enum Fit {
    Together,
    /// Its WABA, token or envelope is another.
    Apart,
    /// Its dataset has changed since admission: the event needs the other one's queue.
    Moved,
    Fault(ChannelFault),
}

impl Reading<'_> {
    fn fit(&mut self, business_id: &str) -> Fit {
        if let Some(fit) = self.known.get(business_id) {
            return *fit;
        }
        let fit = match self.channels.channel(business_id) {
            Err(fault) => Fit::Fault(fault),
            Ok(channel) if channel.route.key != *self.key => Fit::Moved,
            Ok(channel) => match &self.chosen {
                Some(chosen) if chosen.goes_with(&channel) => Fit::Together,
                Some(_) => Fit::Apart,
                None => {
                    self.chosen = Some(channel);
                    Fit::Together
                }
            },
        };
        self.known.insert(business_id.to_owned(), fit);
        fit
    }
}

#[cfg(test)]
mod tests;
