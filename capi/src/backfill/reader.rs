//! Reading an input record by record, on a thread of its own, no further ahead than is soon sent.

use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
    thread,
};

use tokio::sync::mpsc;

use super::{
    input::{Format, Input},
    lines::Lines,
    record::Record,
    table::{Table, TableOptions},
};

/// Records that are handed over at once, and their bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 256 * 1024;
/// Batches that wait to be sent.
const AHEAD: usize = 4;

/// How an input is to be read.
#[derive(Clone, Debug)]
pub(crate) struct ReadOptions {
    /// As the operator says, else as the input looks.
    pub(crate) format: Option<Format>,
    pub(crate) table: TableOptions,
}

/// The records of an input, in its order.
pub(crate) type Records = Box<dyn Iterator<Item = io::Result<Record>> + Send>;

/// Opens an input. `read` counts its bytes.
pub(crate) fn records(input: &Input, options: &ReadOptions, read: &Arc<AtomicU64>) -> io::Result<Records> {
    let mut text = input.open(read)?;
    let format = match options.format {
        Some(format) => format,
        None => input.format(&mut *text)?,
    };
    Ok(match format {
        Format::Ndjson => Box::new(Lines::new(text)),
        Format::Csv => Box::new(Table::new(text, &options.table)?),
    })
}

/// Reads on a thread that ends with the input, with a fault of it, or once nobody listens. A thread of the runtime would
/// keep the process alive while a pipe is silent.
pub(crate) fn batches(records: Records) -> mpsc::Receiver<io::Result<Vec<Record>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::spawn(move || hand_over(records, &sender));
    receiver
}

fn hand_over(records: Records, sender: &mpsc::Sender<io::Result<Vec<Record>>>) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for record in records {
        match record {
            Ok(record) => {
                bytes += record.body.as_ref().map_or(0, bytes::Bytes::len);
                batch.push(record);
            }
            Err(error) => {
                // What was read before the fault is good. Where nobody listens any more, nobody wants to know.
                let _ = sender.blocking_send(Ok(batch)).and_then(|()| sender.blocking_send(Err(error)));
                return;
            }
        }
        if batch.len() >= BATCH || bytes >= BATCH_BYTES {
            bytes = 0;
            if sender.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                return;
            }
        }
    }
    let _ = sender.blocking_send(Ok(batch));
}
