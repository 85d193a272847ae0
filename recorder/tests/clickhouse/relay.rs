//! A stretch of wire between the recorder and ClickHouse that can be cut.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the wire does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Carries everything.
    Whole,
    /// Lets no one through.
    Cut,
    /// Breaks once when ClickHouse answers an insert, so that the rows are stored and nobody knows; then it is whole.
    BreaksAtTheAnswer,
    /// Breaks once in the middle of an insert's rows; then it is whole.
    BreaksAmongTheRows,
}

/// The wire.
#[derive(Clone)]
pub(crate) struct Relay {
    wire: Arc<Mutex<Wire>>,
    pub(crate) url: String,
}

impl Relay {
    /// To where `url` points.
    pub(crate) async fn to(url: &str) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let relay = Self { wire: Arc::new(Mutex::new(Wire::Whole)), url };
        let accepting = relay.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().carry(near, target.clone()));
            }
        });
        relay
    }

    pub(crate) fn set(&self, wire: Wire) {
        *self.wire.lock().unwrap() = wire;
    }

    pub(crate) fn get(&self) -> Wire {
        *self.wire.lock().unwrap()
    }

    async fn carry(self, mut near: TcpStream, target: String) {
        if self.get() == Wire::Cut {
            return;
        }
        let Ok(mut far) = TcpStream::connect(target).await else { return };
        let (mut asked, mut answered) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        let mut insert = false;
        loop {
            tokio::select! {
                Ok(read) = near.read(&mut asked) => {
                    let head = asked[..read].windows(11).any(|window| window == b"INSERT+INTO");
                    insert |= head;
                    let breaks = insert && !head && self.get() == Wire::BreaksAmongTheRows;
                    if breaks {
                        self.set(Wire::Whole);
                    }
                    if breaks || read == 0 || self.get() == Wire::Cut || far.write_all(&asked[..read]).await.is_err() {
                        return;
                    }
                }
                Ok(read) = far.read(&mut answered) => {
                    let breaks = insert && self.get() == Wire::BreaksAtTheAnswer;
                    if breaks {
                        self.set(Wire::Whole);
                    }
                    if breaks || read == 0 || near.write_all(&answered[..read]).await.is_err() {
                        return;
                    }
                    insert = false;
                }
                else => return,
            }
        }
    }
}
