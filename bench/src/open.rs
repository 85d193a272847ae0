//! Load on a schedule: calls start when they are due, whether or not the ones before are answered.
//!
//! A latency counts from the moment at which its call was due. A service that stands still for a second is so charged
//! with the wait of every call of that second, not of the one call that met it (coordinated omission).

use std::{net::SocketAddr, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};

use crate::{
    connection::Connection,
    order::{Numbers, Request},
};

/// Connections: more than calls are ever under way, unless the service stands still.
const CONNECTIONS: usize = 128;

/// So many calls a second for so long.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Calls a second.
    pub rate: u32,
    /// How long.
    pub time: Duration,
}

impl Schedule {
    /// When each call is due, from the start on.
    fn due(self) -> impl Iterator<Item = Duration> {
        let calls = self.time.as_secs_f64() * f64::from(self.rate);
        (0..)
            .map(move |call| Duration::from_secs(1) * call / self.rate)
            .take_while(move |due| due.as_secs_f64() * f64::from(self.rate) + 0.5 < calls)
    }

    /// What each call took since it was due, each answered with 200.
    ///
    /// # Errors
    /// Where a call is answered otherwise, or not at all.
    pub async fn run(
        self,
        address: SocketAddr,
        request: &Request,
        numbers: &Arc<Numbers>,
    ) -> anyhow::Result<Vec<Duration>> {
        let connections = usize::try_from(self.rate).unwrap_or(CONNECTIONS).clamp(4, CONNECTIONS);
        let open = (0..connections).map(|_| Connection::open(address));
        let connections = try_join_all(open).await?;
        let (due, calls) = mpsc::unbounded_channel();
        let calls = Arc::new(Mutex::new(calls));
        self.keep(due)?;
        let callers = connections.into_iter().map(|connection| {
            let caller = Caller {
                connection,
                request: request.clone(),
                numbers: Arc::clone(numbers),
                calls: Arc::clone(&calls),
            };
            async move { tokio::spawn(caller.run()).await? }
        });
        Ok(try_join_all(callers).await?.concat())
    }

    /// Says when each call is due, at that moment.
    fn keep(self, due: mpsc::UnboundedSender<Instant>) -> anyhow::Result<()> {
        let start = Instant::now() + Duration::from_millis(20);
        let keeper = move || {
            for at in self.due() {
                let at = start + at;
                let pause = at.saturating_duration_since(Instant::now());
                #[expect(clippy::disallowed_methods, reason = "tokio's timer ticks in milliseconds: too coarse here")]
                thread::sleep(pause);
                if due.send(at).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("schedule".into()).spawn(keeper).context("no thread for the schedule")?;
        Ok(())
    }
}

struct Caller {
    connection: Connection,
    request: Request,
    numbers: Arc<Numbers>,
    calls: Arc<Mutex<mpsc::UnboundedReceiver<Instant>>>,
}

impl Caller {
    async fn run(mut self) -> anyhow::Result<Vec<Duration>> {
        let mut took = Vec::new();
        while let Some(due) = self.next().await {
            let status = self.connection.call(self.request.numbered(self.numbers.next())).await?;
            ensure!(status == 200, "a call is answered {status}");
            took.push(due.elapsed());
        }
        Ok(took)
    }

    /// When the next call that nobody else makes is due.
    async fn next(&self) -> Option<Instant> {
        self.calls.lock().await.recv().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        time::sleep,
    };

    use super::*;

    #[test]
    fn calls_are_due_evenly_and_as_many_as_the_rate_says() {
        for (rate, seconds, calls) in [(500, 3, 1500), (1, 7, 7), (3, 1, 3), (999, 10, 9990)] {
            let due: Vec<_> = Schedule { rate, time: Duration::from_secs(seconds) }.due().collect();
            assert_eq!(due.len(), calls);
            assert_eq!(due[calls / 2], Duration::from_secs(1) * u32::try_from(calls / 2).unwrap() / rate);
        }
    }

    /// Every connection of this service stands still until `until`.
    async fn stands_still(listener: TcpListener, until: Instant) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, until));
        }
    }

    async fn answer(mut stream: TcpStream, until: Instant) {
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {
            sleep(until.saturating_duration_since(Instant::now())).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_service_that_stands_still_is_charged_with_every_call_that_was_due() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stall = Duration::from_millis(500);
        tokio::spawn(stands_still(listener, Instant::now() + stall));
        // Four connections only: most calls of the first half second cannot even be sent.
        let schedule = Schedule { rate: 4, time: Duration::from_secs(3) };
        let took = schedule.run(address, &Request::to("/", ""), &Arc::default()).await.unwrap();
        assert_eq!(took.len(), 12);
        assert!(took.iter().max().unwrap() >= &(stall / 2), "{took:?}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stall = Duration::from_secs(1);
        tokio::spawn(stands_still(listener, Instant::now() + stall));
        let schedule = Schedule { rate: 1000, time: Duration::from_secs(2) };
        let took = schedule.run(address, &Request::to("/", ""), &Arc::default()).await.unwrap();
        assert_eq!(took.len(), 2000);
        // With 128 connections no more than 128 calls meet the stall itself; a thousand were due in it.
        let long = took.iter().filter(|took| **took >= stall / 2).count();
        assert!(long >= 400, "only {long} calls are charged");
    }
}
