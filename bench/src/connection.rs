//! A keep-alive connection that costs as little as one can: it writes bytes that are ready, and reads of the answer only
//! where it ends. What the load generator takes of the machine, the measured service lacks.

use std::{io, net::SocketAddr};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Of an answer's head.
const FIELDS: usize = 32;

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// Where an answer ends, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    length: usize,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4096) })
    }

    /// Sends a request, whole in one write, and waits for the end of its answer; its status.
    ///
    /// # Errors
    /// Where the connection ends, or the answer cannot be read.
    pub async fn call(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the connection ended before the answer");
            }
            if let Some(answer) = answer(&self.read)?
                && self.read.len() >= answer.length
            {
                return Ok(answer.status);
            }
        }
    }
}

/// The answer that begins with these bytes, once its head is there.
fn answer(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_length) = head.parse(bytes)? else { return Ok(None) };
    let length = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length: usize = std::str::from_utf8(length.context("an answer without a length")?.value)?.parse()?;
    Ok(Some(Answer { status: head.code.context("an answer without a status")?, length: head_length + length }))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let text = b"HTTP/1.1 202 Accepted\r\ncontent-type: a/b\r\nContent-Length: 5\r\n\r\nhello";
        let whole = Answer { status: 202, length: text.len() };
        for cut in 0..text.len() {
            let seen = answer(&text[..cut]).unwrap();
            assert!(seen.is_none_or(|seen| seen == whole && cut < seen.length), "{cut}");
        }
        assert_eq!(answer(text).unwrap(), Some(whole));
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "its end would not be known");
    }

    #[tokio::test]
    async fn answers_in_pieces_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for (first, rest) in [
                ("HTTP/1.1 200 OK\r\ncontent-le", "ngth: 2\r\n\r\nok"),
                ("HTTP/1.1 503 No\r\ncontent-length: 3\r\n\r\nn", "ot"),
            ] {
                let mut request = [0; 4];
                stream.read_exact(&mut request).await.unwrap();
                stream.write_all(first.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(rest.as_bytes()).await.unwrap();
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        assert_eq!(connection.call(b"once").await.unwrap(), 200);
        assert_eq!(connection.call(b"more").await.unwrap(), 503);
        assert!(connection.call(b"gone").await.is_err());
    }
}
