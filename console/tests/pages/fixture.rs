//! A console over a made-up directory and ClickHouse, and people who visit it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, Request, header};
use axum::{
    Router,
    body::{Body, to_bytes},
};
use capi_console::{
    console::{Console, Meta, Terms},
    records::Records,
    router::router,
};
use clap::Parser;
use directory::{
    AccessToken, BusinessEntry, BusinessId, ChannelEntry, DirectoryView, Role, SecretKeys, Snapshot, Store, User,
    keys::NewKey,
    users::{Password, hash},
};
use forwarder::meta::{Client, ClientSettings};
use rdkafka::{ClientConfig, mocking::MockCluster, producer::DefaultProducerContext};
use schemas::Topics;
use tower::ServiceExt;
use uuid::Uuid;
use warehouse::ClickHouseSettings;
use worker::server::Peer;
use zeroize::Zeroizing;

use crate::clickhouse::ClickHouse;

pub const PASSWORD: &str = "correct horse battery";
/// What a page must never show.
pub const TOKEN: &str = "EAAG-the-access-token";

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    clickhouse: ClickHouseSettings,
}

/// The shop of `merchant`, and one that is nobody's but the operator's.
pub const SHOP: u128 = 0xabc;
pub const OTHER: u128 = 0xdef;

pub struct Fixture {
    pub router: Router,
    pub clickhouse: ClickHouse,
    pub store: Store,
    pub directory: DirectoryView,
    _kafka: Option<MockCluster<'static, DefaultProducerContext>>,
}

pub fn id(business: u128) -> BusinessId {
    Uuid::from_u128(business).into()
}

pub fn url(business: u128) -> String {
    format!("/businesses/{}", id(business))
}

fn keys() -> SecretKeys {
    SecretKeys::new([7; 32], None)
}

fn user(name: &str, role: Role, businesses: &[u128]) -> User {
    let name = name.parse().unwrap();
    let password = hash(&Password::parse(Zeroizing::new(PASSWORD.into()), &name).unwrap());
    User {
        name,
        role,
        businesses: businesses.iter().map(|business| id(*business)).collect(),
        password,
        sessions_from: 1,
    }
}

pub fn shop(business: u128, name: &str) -> BusinessEntry {
    let mut entry = BusinessEntry::new(id(business), name);
    let token = AccessToken::parse(Zeroizing::new(TOKEN.into())).unwrap();
    entry.channel = Some(ChannelEntry {
        waba_id: "102290129340398".into(),
        dataset_id: "1234567890".into(),
        access_token: keys().seal(entry.id, &token),
        graph_version: None,
        partner_agent: None,
        test_event_code: None,
        max_concurrency: None,
    });
    entry.keys.push(NewKey::generate("till", 1_700_000_000_000).key);
    entry
}

impl Fixture {
    /// Two businesses, their merchants, and an operator; nothing of it changes.
    pub async fn new() -> Self {
        let mut snapshot: Snapshot = [shop(SHOP, "Corner Shop"), shop(OTHER, "Secret Rival")].into_iter().collect();
        for user in [
            user("operator", Role::Operator, &[]),
            user("merchant", Role::Merchant, &[SHOP]),
            user("rival", Role::Merchant, &[OTHER]),
        ] {
            snapshot.put_user(user);
        }
        let mut config = ClientConfig::new();
        // Nobody listens there.
        config.set("bootstrap.servers", "127.0.0.1:9");
        let store = |config: &ClientConfig| Store::open(config, &Topics::new("t")).unwrap();
        Self::over(DirectoryView::from(snapshot), store(&config), store(&config), None).await
    }

    async fn over(
        directory: DirectoryView,
        store: Store,
        mine: Store,
        kafka: Option<MockCluster<'static, DefaultProducerContext>>,
    ) -> Self {
        let clickhouse = ClickHouse::default();
        let address = clickhouse.start().await;
        Self::at(
            &format!("http://{address}"),
            &format!("http://{address}/meta"),
            clickhouse,
            directory,
            (store, mine),
            kafka,
        )
    }

    fn at(
        url: &str,
        meta: &str,
        clickhouse: ClickHouse,
        directory: DirectoryView,
        (store, mine): (Store, Store),
        kafka: Option<MockCluster<'static, DefaultProducerContext>>,
    ) -> Self {
        let settings = Flags::parse_from(["test", "--clickhouse-url", url]).clickhouse;
        let terms = Terms {
            session_life: Duration::from_hours(1),
            endpoint_url: "https://api.example.com".parse().unwrap(),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        };
        let (connect_timeout, timeout) = (Duration::from_secs(3), Duration::from_secs(10));
        let client = Client::new(ClientSettings { url: meta.parse().unwrap(), connect_timeout, timeout }).unwrap();
        let meta = Meta { client, version: "v26.0".into() };
        let console = Console::new(directory.clone(), store, Records::new(&settings), keys(), meta, terms);
        Self { router: router(Arc::new(console)), clickhouse, store: mine, directory, _kafka: kafka }
    }

    /// The same without a ClickHouse: nobody listens on the port of the discard service.
    pub async fn without_clickhouse() -> Self {
        let Self { clickhouse, store, directory, .. } = Self::new().await;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:9");
        let mine = Store::open(&config, &Topics::new("t")).unwrap();
        Self::at("http://127.0.0.1:9", "http://127.0.0.1:9", clickhouse, directory, (store, mine), None)
    }

    /// One whose directory is a topic of a mock cluster, so that it changes.
    pub async fn changing() -> Self {
        let kafka = MockCluster::new(1).unwrap();
        let (mut config, topics) = (ClientConfig::new(), Topics::new("t"));
        config.set("bootstrap.servers", kafka.bootstrap_servers());
        kafka.create_topic(&topics.directory(), 1, 1).unwrap();
        let store = || Store::open(&config, &topics).unwrap();
        let mine = store();
        for (business, name) in [(SHOP, "Corner Shop"), (OTHER, "Secret Rival")] {
            let details = directory::store::Details { name: name.into(), enabled: true, rate_limit: None };
            mine.put_business(id(business), &details).await.unwrap();
        }
        for user in [user("operator", Role::Operator, &[]), user("merchant", Role::Merchant, &[SHOP])] {
            let (name, role, businesses, password) = (user.name, user.role, user.businesses, user.password);
            let details = directory::store::UserDetails { role, businesses, password };
            mine.put_user(&name, &details, 1).await.unwrap();
        }
        let spawn = |task| tokio::spawn(task).abort_handle();
        let view = DirectoryView::start(&config, &topics, |_| (), spawn).unwrap();
        view.ready().await;
        Self::over(view, store(), mine, Some(kafka)).await
    }

    /// Waits until the directory is as a change has left it.
    pub async fn until(&self, such: impl Fn(&Snapshot) -> bool) {
        for _ in 0..1000 {
            if such(&self.directory.snapshot()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the directory does not become so");
    }

    pub async fn send(&self, request: Request<Body>) -> Got {
        self.send_from("203.0.113.9", request).await
    }

    pub async fn send_from(&self, peer: &str, mut request: Request<Body>) -> Got {
        request.extensions_mut().insert(Peer(peer.parse::<IpAddr>().unwrap()));
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        Got { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Somebody who has not signed in.
    pub async fn stranger(&self) -> Visitor<'_> {
        let mut visitor = Visitor { fixture: self, cookies: Vec::new(), form_token: String::new() };
        visitor.form_token = visitor.get("/sign-in").await.form_token();
        visitor
    }

    /// Somebody who has.
    pub async fn visitor(&self, name: &str) -> Visitor<'_> {
        let mut visitor = self.stranger().await;
        let got = visitor.sign_in(name, PASSWORD).await;
        assert_eq!((got.status, got.location()), (303, "/"), "{}", got.body);
        visitor.form_token = visitor.get("/businesses").await.form_token();
        visitor
    }
}

/// A browser: it keeps cookies.
pub struct Visitor<'f> {
    fixture: &'f Fixture,
    pub cookies: Vec<String>,
    pub form_token: String,
}

impl Visitor<'_> {
    pub async fn get(&mut self, path: &str) -> Got {
        let request = Request::get(path).header(header::COOKIE, self.cookies.join("; ")).body(Body::empty()).unwrap();
        self.send(request).await
    }

    /// Sends a form of a page of ours, with its token.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Got {
        let token = self.form_token.clone();
        self.post_with(path, &token, "same-origin", fields).await
    }

    pub async fn post_with(&mut self, path: &str, token: &str, site: &str, fields: &[(&str, &str)]) -> Got {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let form = form.append_pair("form_token", token).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header(header::COOKIE, self.cookies.join("; "))
            .header("sec-fetch-site", site)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        self.send(request).await
    }

    pub async fn sign_in(&mut self, name: &str, password: &str) -> Got {
        self.post("/sign-in", &[("name", name), ("password", password), ("to", "/")]).await
    }

    async fn send(&mut self, request: Request<Body>) -> Got {
        let got = self.fixture.send(request).await;
        for cookie in got.headers.get_all(header::SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|known| !known.starts_with(&format!("{name}=")));
            if !value.is_empty() {
                self.cookies.push(pair.to_owned());
            }
        }
        got
    }
}

#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn location(&self) -> &str {
        self.header("location")
    }

    pub fn form_token(&self) -> String {
        let after = self.body.split_once(r#"name="form_token" value=""#).unwrap_or_else(|| panic!("{}", self.body)).1;
        after.split_once('"').unwrap().0.to_owned()
    }

    #[track_caller]
    pub fn says(&self, status: u16, texts: &[&str]) -> &Self {
        assert_eq!(self.status, status, "{}", self.body);
        for text in texts {
            assert!(self.body.contains(text), "{text} is not in {}", self.body);
        }
        self
    }

    #[track_caller]
    pub fn lacks(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(!self.body.contains(text), "{text} is in {}", self.body);
        }
        self
    }
}
