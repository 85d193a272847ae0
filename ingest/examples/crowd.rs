//! Connections that rest after a request, for `tests/endpoint/abuse.rs`: a process of their own, which has file
//! descriptors of its own.
//!
//! `crowd ADDRESS COUNT` opens so many, says `open` once all of them stand at one moment, and ends when the other side
//! has closed each.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a part of a test")]

use std::env;

use capi_ingest::server::descriptors;
use futures::{StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Connections that are opened at once: fewer than wait in the backlog of the kernel.
const AT_ONCE: usize = 100;

/// A connection that has been told that there is nothing here.
async fn resting(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let told = stream.read(&mut [0; 4096]).await.unwrap();
    assert!(told > 0, "closed without an answer");
    stream
}

fn is_open(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0; 4096]) {
        Ok(read) => read > 0,
        Err(fault) => fault.kind() == std::io::ErrorKind::WouldBlock,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = env::args().skip(1);
    let (address, count) = (arguments.next().unwrap(), arguments.next().unwrap().parse().unwrap());
    assert_eq!(descriptors::room(count), count, "too few file descriptors: raise the hard limit (ulimit -Hn)");
    let mut crowd = Vec::new();
    while crowd.len() < count {
        let more = stream::iter(crowd.len()..count).map(|_| resting(&address)).buffer_unordered(AT_ONCE);
        crowd.extend(more.collect::<Vec<_>>().await);
        // On a slow machine the time of the first may be over.
        crowd.retain(is_open);
    }
    println!("open");
    for mut stream in crowd {
        // A reset ends it as well as a close.
        while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    }
}
