//! Against real sockets: a small server that does one thing to each connection.

use std::{future::Future, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

const ACCEPTED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{\"events_received\":1}";

fn client(address: SocketAddr, timeout: Duration) -> Client {
    let url = Url::parse(&format!("http://{address}/")).unwrap();
    Client::new(ClientSettings { url, connect_timeout: Duration::from_secs(2), timeout }).unwrap()
}

async fn send(client: &Client) -> Answer {
    let endpoint = client.endpoint("v26.0", "77");
    let bearer = Bearer::new("EAAsecretsecretsecretsecret").unwrap();
    client.post(&endpoint, &bearer, Bytes::from_static(b"{}"), 1, ["ARAkXh-7788"]).await
}

/// Serves each connection with `serve`, for ever.
async fn server<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads one request, whose body is `{}`.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n{}") {
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => break,
        }
    }
    String::from_utf8(request).unwrap()
}

/// Closes with a reset instead of a farewell.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

async fn answering(answer: String) -> SocketAddr {
    server(move |mut stream| {
        let answer = answer.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_request_is_what_meta_expects() {
    let (heard, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let heard = heard.clone();
        async move {
            heard.send(read_request(&mut stream).await).unwrap();
            stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        }
    })
    .await;
    let answer = send(&client(address, Duration::from_secs(15))).await;
    assert_eq!((answer.class, answer.http_status), (Class::Accepted, Some(200)));
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /v26.0/77/events HTTP/1.1\r\n"), "{request}");
    for header in [
        "authorization: Bearer EAAsecretsecretsecretsecret",
        "content-type: application/json",
        "user-agent: connectly-capi/",
    ] {
        assert!(request.contains(header), "{request}");
    }
}

#[tokio::test]
async fn a_refused_port_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = send(&client(address, Duration::from_secs(15))).await;
    assert_eq!((answer.class, answer.http_status, answer.error), (Class::NotSent, None, None));
    assert!(!answer.detail.is_empty());
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_not_sent() {
    let url = Url::parse("http://nowhere.invalid").unwrap();
    let settings = ClientSettings { url, connect_timeout: Duration::from_secs(2), timeout: Duration::from_secs(15) };
    assert_eq!(send(&Client::new(settings).unwrap()).await.class, Class::NotSent);
}

#[tokio::test]
async fn a_failed_tls_handshake_is_not_sent() {
    let address = answering("this is not TLS".into()).await;
    let url = Url::parse(&format!("https://{address}")).unwrap();
    let settings = ClientSettings { url, connect_timeout: Duration::from_secs(2), timeout: Duration::from_secs(15) };
    assert_eq!(send(&Client::new(settings).unwrap()).await.class, Class::NotSent);
}

#[tokio::test]
async fn a_reset_after_sending_is_unknown() {
    let address = server(|mut stream| async move {
        read_request(&mut stream).await;
        reset(stream);
    })
    .await;
    assert_eq!(send(&client(address, Duration::from_secs(15))).await.class, Class::Unknown);
}

#[tokio::test]
async fn silence_is_unknown() {
    let address = server(|mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let answer = send(&client(address, Duration::from_millis(50))).await;
    assert_eq!((answer.class, answer.http_status), (Class::Unknown, None));
    assert!(answer.took >= Duration::from_millis(50));
}

#[tokio::test]
async fn silence_after_the_head_of_a_success_is_unknown() {
    let address = server(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{\"events").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    // Long enough for the head to come on a busy machine.
    let answer = send(&client(address, Duration::from_secs(2))).await;
    assert_eq!((answer.class, answer.http_status), (Class::Unknown, Some(200)));
}

/// The second request meets a connection that the server closed after the first: either the closing was seen, and the
/// request goes over a new connection, or it was not, and the outcome is unknown. It is never called unsent.
#[tokio::test]
async fn a_kept_alive_connection_that_closes_is_never_called_unsent() {
    let address = server(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(ACCEPTED.as_bytes()).await.unwrap();
        if !read_request(&mut stream).await.is_empty() {
            reset(stream);
        }
    })
    .await;
    let client = client(address, Duration::from_secs(15));
    assert_eq!(send(&client).await.class, Class::Accepted);
    assert_eq!(send(&client).await.class, Class::Unknown);

    let closing = answering(ACCEPTED.into()).await;
    let client = self::client(closing, Duration::from_secs(15));
    for _ in 0..50 {
        assert!(matches!(send(&client).await.class, Class::Accepted | Class::Unknown));
    }
}

#[tokio::test]
async fn no_more_than_a_part_of_a_body_is_read() {
    const BODY: usize = 64 << 20;
    let (written, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let written = written.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n").as_bytes()).await.unwrap();
            let mut sent = 0;
            while sent < BODY && stream.write_all(&[b' '; 8192]).await.is_ok() {
                sent += 8192;
            }
            written.send(sent).unwrap();
        }
    })
    .await;
    let answer = send(&client(address, Duration::from_secs(15))).await;
    assert_eq!((answer.class, answer.http_status), (Class::Unknown, Some(200)));
    // What lies in the sockets' buffers was written too.
    assert!(taken.recv().await.unwrap() < BODY / 2);
}

#[tokio::test]
async fn html_of_a_proxy_is_unknown() {
    let html = "<html><body>502 Bad Gateway</body></html>";
    let address = answering(format!("HTTP/1.1 502 Bad Gateway\r\ncontent-length: {}\r\n\r\n{html}", html.len())).await;
    let answer = send(&client(address, Duration::from_secs(15))).await;
    assert_eq!((answer.class, answer.http_status), (Class::Unknown, Some(502)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let address = answering("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".into()).await;
    assert_eq!(send(&client(address, Duration::from_secs(15))).await.class, Class::Transient);
}

#[tokio::test]
async fn an_error_is_redacted_and_its_usage_read() {
    let json =
        r#"{"error":{"message":"bad ARAkXh-7788 with EAAsecretsecretsecretsecret","code":4,"is_transient":true}}"#;
    let usage = r#"x-business-use-case-usage: {"1":[{"call_count":100,"estimated_time_to_regain_access":3}]}"#;
    let address =
        answering(format!("HTTP/1.1 400 Bad Request\r\n{usage}\r\ncontent-length: {}\r\n\r\n{json}", json.len())).await;
    let answer = send(&client(address, Duration::from_secs(15))).await;
    assert_eq!(answer.class, Class::Throttled);
    assert_eq!(answer.usage.regain, Some(Duration::from_mins(3)));
    assert_eq!(answer.error.unwrap().message, "bad [redacted] with [redacted]");
}

#[test]
fn a_dataset_s_address_is_encoded_and_keeps_the_base() {
    let url = Url::parse("http://127.0.0.1:1/graph/").unwrap();
    let settings = ClientSettings { url, connect_timeout: Duration::from_secs(2), timeout: Duration::from_secs(15) };
    let client = Client::new(settings.clone()).unwrap();
    assert_eq!(client.endpoint("v26.0", "7/../8?x").as_str(), "http://127.0.0.1:1/graph/v26.0/7%2F..%2F8%3Fx/events");
    for bad in ["ftp://127.0.0.1", "http://127.0.0.1/?q", "mailto:a"] {
        let settings = ClientSettings { url: Url::parse(bad).unwrap(), ..settings.clone() };
        assert!(matches!(Client::new(settings), Err(ClientFault::Url)), "{bad}");
    }
}

#[test]
fn a_token_hides_and_a_bad_one_is_none() {
    let bearer = Bearer::new("EAAsecret").unwrap();
    assert!(!format!("{bearer:?}").contains("EAAsecret"));
    assert_eq!(bearer.token(), "EAAsecret");
    assert_eq!(Bearer::new("line\nbreak"), None);
}
