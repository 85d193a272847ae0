//! What a process uses of the machine while it does its work.

use std::{fs, time::Duration};

use anyhow::Context as _;
use e2e::usage;

use crate::sample;

/// A process under observation, from this moment on.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    pid: u32,
    cpu: Duration,
}

impl Meter {
    /// Begins.
    ///
    /// # Errors
    /// Where there is no such process.
    pub fn start(pid: u32) -> anyhow::Result<Self> {
        Ok(Self { pid, cpu: usage::cpu(pid)? })
    }

    /// The processors' time since the beginning.
    ///
    /// # Errors
    /// Where the process has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(usage::cpu(self.pid)?.saturating_sub(self.cpu))
    }
}

/// Memory that a process holds now, in MB.
///
/// # Errors
/// Where there is no such process.
pub fn memory(pid: u32) -> anyhow::Result<f64> {
    Ok(megabytes(usage::resident(pid)?))
}

/// The most memory that a process has held, in MB.
///
/// # Errors
/// Where there is no such process.
pub fn peak(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim_end_matches("kB").trim().parse()?;
    Ok(megabytes(kib * 1024))
}

/// Bytes in MB.
pub fn megabytes(bytes: u64) -> f64 {
    sample::number(bytes) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_at_work() {
        let meter = Meter::start(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while meter.cpu().unwrap() < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let pid = std::process::id();
        // In this order: other tests of this process take memory meanwhile.
        let held = memory(pid).unwrap();
        assert!(held > 0.1 && peak(pid).unwrap() >= held);
        assert!(Meter::start(u32::MAX).is_err());
    }
}
