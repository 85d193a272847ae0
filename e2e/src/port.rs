//! Ports that nobody else takes.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::Context as _;

/// Below what Linux gives to outgoing connections (32768 and up), which would otherwise take a port between our look at
/// it and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// An address of this machine that is free, and that this process gives away once only.
///
/// # Errors
/// Where every port is taken.
pub fn free() -> anyhow::Result<SocketAddr> {
    // Test runs at the same time start at different places.
    let start = process::id().wrapping_mul(97);
    (0..COUNT)
        .map(|_| {
            let turn = start.wrapping_add(u32::from(NEXT.fetch_add(1, Ordering::Relaxed)));
            let offset = u16::try_from(turn % u32::from(COUNT)).unwrap_or_default();
            SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + offset))
        })
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no port is free")
}
