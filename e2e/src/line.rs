//! A line between two programs that can be cut: what is on it breaks, and nobody gets through until it is mended.

use std::net::SocketAddr;

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Passes connections on until it is cut, or dropped; then all of them break, and new ones are refused.
pub struct Line {
    passing: JoinSet<()>,
}

impl Line {
    /// Opens it.
    ///
    /// # Errors
    /// Where its near end is taken.
    pub async fn open(from: SocketAddr, to: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(from).await?;
        let mut passing = JoinSet::new();
        passing.spawn(pass_all(listener, to));
        Ok(Self { passing })
    }

    /// Cuts it, and returns once nothing passes any more.
    pub async fn cut(mut self) {
        self.passing.shutdown().await;
    }
}

/// One task for the listener and for every connection, so that they end together.
async fn pass_all(listener: TcpListener, to: String) {
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            Ok((near, _)) = listener.accept() => connections.push(pass(near, to.clone())),
            Some(()) = connections.next() => {}
        }
    }
}

async fn pass(mut near: TcpStream, to: String) {
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    if copy_bidirectional(&mut near, &mut far).await.is_err() {
        // One end was reset, and so is the other. Where that fails it is closed, which no client takes for an answer either.
        let _ = near.set_zero_linger();
    }
}
