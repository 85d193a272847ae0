//! Ports that nobody else takes.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use anyhow::Context as _;

/// Below what Linux gives to outgoing connections (32768 and up), which would otherwise take a port between our look at
/// it and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);
/// Ports that are ours until this process ends, however it ends: the locks go with it.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// An address of this machine that is free, and that no test process gives away again while this one lives: what was
/// given away may be without a listener for a while, between two starts of a worker.
///
/// # Errors
/// Where every port is taken, or the folder for temporary files takes none.
pub fn free() -> anyhow::Result<SocketAddr> {
    let folder = env::temp_dir().join("capi-e2e-ports");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Test runs at the same time start at different places, and so seldom meet.
    let start = process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let turn = start.wrapping_add(u32::from(NEXT.fetch_add(1, Ordering::Relaxed)));
        let offset = u16::try_from(turn % u32::from(COUNT)).unwrap_or_default();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + offset));
        if let Some(lock) = lock(&folder, address.port())?
            && TcpListener::bind(address).is_ok()
        {
            TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return Ok(address);
        }
    }
    anyhow::bail!("no port is free")
}

/// The right to a port, unless somebody has it: also this process, for each opening of the file is another holder.
fn lock(folder: &Path, port: u16) -> anyhow::Result<Option<File>> {
    let path = folder.join(port.to_string());
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_port_is_given_away_once() {
        let ports: HashSet<_> = (0..50).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 50);
    }

    /// As another process would: it opens the file for itself.
    #[test]
    fn a_port_that_was_given_away_is_nobody_elses_though_nothing_listens_there() {
        let port = free().unwrap().port();
        let folder = env::temp_dir().join("capi-e2e-ports");
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        assert!(lock(&folder, port).unwrap().is_none());
    }

    #[test]
    fn a_lock_ends_with_its_holder() {
        let folder = env::temp_dir().join(format!("capi-e2e-ports-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let held = lock(&folder, 1).unwrap();
        assert!(held.is_some() && lock(&folder, 1).unwrap().is_none());
        drop(held);
        assert!(lock(&folder, 1).unwrap().is_some());
        fs::remove_dir_all(folder).unwrap();
    }
}
