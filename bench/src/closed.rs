//! Load as fast as answers come: each connection sends its next call once its last is answered.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::ensure;
use futures::future::try_join_all;
use tokio::{sync::Barrier, time::Instant};

use crate::{
    connection::Connection,
    order::{Numbers, Request},
    sample,
};

/// The part of a run that is not counted, in which caches and connections warm up.
const WARM_UP: f64 = 0.25;

/// So many connections for so long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections.
    pub connections: usize,
    /// How long is counted.
    pub time: Duration,
}

impl Load {
    /// Answered calls a second, each with this status.
    ///
    /// # Errors
    /// Where a call is answered otherwise, or not at all.
    pub async fn run(
        self,
        address: SocketAddr,
        request: &Request,
        numbers: &Arc<Numbers>,
        status: u16,
    ) -> anyhow::Result<f64> {
        let start = Arc::new(Barrier::new(self.connections));
        let callers = (0..self.connections).map(|_| {
            let caller = Caller {
                request: request.clone(),
                numbers: Arc::clone(numbers),
                start: Arc::clone(&start),
                status,
                time: self.time,
            };
            async move { tokio::spawn(caller.run(address)).await? }
        });
        let answered: u64 = try_join_all(callers).await?.iter().sum();
        Ok(sample::rate(answered, self.time))
    }
}

struct Caller {
    request: Request,
    numbers: Arc<Numbers>,
    start: Arc<Barrier>,
    status: u16,
    time: Duration,
}

impl Caller {
    /// The calls that were answered within the time that counts.
    async fn run(mut self, address: SocketAddr) -> anyhow::Result<u64> {
        let mut connection = Connection::open(address).await?;
        self.start.wait().await;
        let from = Instant::now() + self.time.mul_f64(WARM_UP);
        let (until, mut answered) = (from + self.time, 0);
        loop {
            let status = connection.call(self.request.numbered(self.numbers.next())).await?;
            ensure!(status == self.status, "a call is answered {status}, not {}", self.status);
            let now = Instant::now();
            if now >= until {
                return Ok(answered);
            }
            answered += u64::from(now >= from);
        }
    }
}
