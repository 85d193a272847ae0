//! What the fuzz targets share: any message, made of the fuzzer's bytes.

mod any;

pub use any::{call, event, record, verdict};
