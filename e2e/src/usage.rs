//! What a process uses of its machine, as Linux counts it.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// `USER_HZ`: in every program's view a tick is a hundredth of a second, whatever the kernel's own clock is.
const TICK: Duration = Duration::from_millis(10);

/// The processors' time that a process has had, in user mode and in the kernel.
///
/// # Errors
/// Where there is no such process.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces: fields are counted behind it. Fields 14 and 15 of the whole are 11 and 12.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks = times.sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// The memory that a process holds, in bytes.
///
/// # Errors
/// Where there is no such process.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
