//! The view and the store over librdkafka's mock cluster. What a real broker does beyond it is tested in `e2e`.

#![expect(clippy::unwrap_used, reason = "a test: also what is not inside a test function")]

mod cluster;
mod users;

use std::{num::NonZeroU32, time::Duration};

use capi_directory::{
    AccessToken, BusinessEntry, BusinessId, ChannelEntry, DirectoryView, KeyRefusal, SecretKeys, StoreError,
    authenticate, keys::NewKey, store::Details,
};
use cluster::{Cluster, messages, until};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use schemas::{Business, Message};
use tokio::time::timeout;
use uuid::Uuid;

fn id(number: u128) -> BusinessId {
    Uuid::from_u128(number).into()
}

fn details(name: &str) -> Details {
    Details { name: name.into(), enabled: true, rate_limit: NonZeroU32::new(9) }
}

fn channel() -> ChannelEntry {
    ChannelEntry {
        waba_id: "1".into(),
        dataset_id: "2".into(),
        access_token: vec![1, 2, 3],
        graph_version: None,
        partner_agent: None,
        test_event_code: None,
        max_concurrency: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_has_what_was_there_and_follows_what_comes() {
    let cluster = Cluster::start();
    let store = cluster.store();
    store.put_business(id(1), &details("First")).await.unwrap();
    let key = NewKey::generate("key", 1);
    store.create_key(id(1), &key).await.unwrap();

    let (view, _events) = cluster.view();
    view.ready().await;
    assert!(view.is_ready());
    let identity = authenticate([key.plaintext.as_bytes()], 2, &view.snapshot()).unwrap();
    assert_eq!(identity.business.name, "First");

    store.put_channel(id(1), &channel()).await.unwrap();
    store.put_business(id(2), &details("Second")).await.unwrap();
    let snapshot = until(&view, |snapshot| snapshot.len() == 2).await;
    let first = snapshot.business(&id(1).to_string()).unwrap();
    assert_eq!(first.channel, Some(channel()));

    store.revoke_key(id(1), &key.key.key_id, 5).await.unwrap();
    until(&view, |snapshot| authenticate([key.plaintext.as_bytes()], 2, snapshot).is_err()).await;
    cluster.write(&id(2).to_string(), None).await;
    until(&view, |snapshot| snapshot.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_is_ready() {
    let cluster = Cluster::start();
    let (view, mut events) = cluster.view();
    view.ready().await;
    assert!(view.snapshot().is_empty());
    assert_eq!(events.recv().await.as_deref(), Some("following"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_reported_and_stops_nothing() {
    let cluster = Cluster::start();
    let store = cluster.store();
    store.put_business(id(1), &details("First")).await.unwrap();
    cluster.write(&id(1).to_string(), Some(b"not avro")).await;
    store.put_business(id(2), &details("Second")).await.unwrap();

    let (view, mut events) = cluster.view();
    assert_eq!(events.recv().await.as_deref(), Some("unreadable 1"));
    view.ready().await;
    let snapshot = view.snapshot();
    assert_eq!(snapshot.business(&id(1).to_string()).unwrap().name, "First");
    assert_eq!(snapshot.len(), 2);

    let listing = store.list().await.unwrap();
    assert_eq!((listing.businesses.len(), listing.faults.len()), (2, 1));
    store.put_business(id(1), &details("Repaired")).await.unwrap();
    let listing = store.list().await.unwrap();
    assert_eq!((listing.businesses[0].name.as_str(), listing.faults.len()), ("Repaired", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_at_once_lose_none_of_each_others_changes() {
    let cluster = Cluster::start();
    cluster.store().put_business(id(1), &details("First")).await.unwrap();
    let keys: Vec<_> = (0..6).map(|number| NewKey::generate(format!("key {number}"), 1)).collect();
    let creating = keys.iter().map(|key| {
        let store = cluster.store();
        async move { store.create_key(id(1), key).await }
    });
    let (store, channel) = (cluster.store(), channel());
    let (created, put) = tokio::join!(futures::future::join_all(creating), store.put_channel(id(1), &channel));
    put.unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    let last = store.find(id(1)).await.unwrap();
    assert_eq!(last.channel, Some(channel));
    assert!(keys.iter().all(|key| last.key(&key.key.key_id).is_some()));
}

/// `capi channel reencrypt` read the business at offset 2, wrote after the revocation at 3, and was killed before it saw
/// that.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_killed_before_its_repair_undoes_nothing() {
    let (cluster, keys) = (Cluster::start(), SecretKeys::new([2; 32], Some([1; 32])));
    let (store, key) = (cluster.store(), NewKey::generate("key", 1));
    let token = AccessToken::parse("EAAGsecret".to_owned().into()).unwrap();
    let access_token = SecretKeys::new([1; 32], None).seal(id(1), &token);
    store.put_business(id(1), &details("First")).await.unwrap();
    store.put_channel(id(1), &ChannelEntry { access_token: access_token.clone(), ..channel() }).await.unwrap();
    let mut killed = store.create_key(id(1), &key).await.unwrap();
    store.revoke_key(id(1), &key.key.key_id, 5).await.unwrap();
    let sealed = keys.seal_anew(id(1), &access_token).unwrap().unwrap();
    killed.channel.as_mut().unwrap().access_token.clone_from(&sealed);
    cluster.write_from(Some(2), &id(1).to_string(), Some(&Business::from(killed).encode())).await;

    let (view, _events) = cluster.view();
    view.ready().await;
    let refused = authenticate([key.plaintext.as_bytes()], 9, &view.snapshot());
    assert!(matches!(refused, Err(KeyRefusal::Revoked(_))), "{refused:?}");
    let stands = store.find(id(1)).await.unwrap();
    assert_eq!((stands.keys[0].revoked_at, &stands.channel.as_ref().unwrap().access_token), (Some(5), &sealed));
    assert_eq!(*store.list().await.unwrap().businesses[0], stands);

    // Compaction leaves the last value only: it is made whole by the command, done again, or by any other.
    assert!(!store.seal_token_anew(id(1), &keys).await.unwrap(), "the token was sealed anew already");
    assert_eq!(last_value(&cluster), stands);
    assert!(!store.seal_token_anew(id(1), &keys).await.unwrap());
    assert_eq!(messages(&cluster).len(), 6, "nothing is written where nothing is to be mended");
}

fn last_value(cluster: &Cluster) -> BusinessEntry {
    Business::decode(messages(cluster).last().unwrap()).unwrap().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_caller_are_told_apart() {
    let cluster = Cluster::start();
    let store = cluster.store();
    assert!(matches!(store.find(id(1)).await, Err(StoreError::UnknownBusiness(_))));
    assert!(matches!(store.put_channel(id(1), &channel()).await, Err(StoreError::UnknownBusiness(_))));
    assert!(matches!(store.put_business(id(1), &details(" ")).await, Err(StoreError::Rule(_))));
    store.put_business(id(1), &details("First")).await.unwrap();
    assert!(matches!(store.revoke_key(id(1), "nokey", 1).await, Err(StoreError::UnknownKey { .. })));
    let broken = ChannelEntry { dataset_id: "x".into(), ..channel() };
    assert!(matches!(store.put_channel(id(1), &broken).await, Err(StoreError::Rule(_))));
    assert_eq!(store.find(id(1)).await.unwrap().channel, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_serves_what_it_has_while_kafka_is_away() {
    let cluster = Cluster::start();
    cluster.store().put_business(id(1), &details("First")).await.unwrap();
    let (view, mut events) = cluster.view();
    view.ready().await;
    assert_eq!(events.recv().await.as_deref(), Some("following"));

    cluster.mock.broker_down(1).unwrap();
    assert_eq!(events.recv().await.as_deref(), Some("away"));
    assert_eq!(view.snapshot().len(), 1);

    cluster.mock.broker_up(1).unwrap();
    while events.recv().await.as_deref() != Some("following") {}
    cluster.store().put_business(id(2), &details("Second")).await.unwrap();
    until(&view, |snapshot| snapshot.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_kafka_refuses_is_reported() {
    let cluster = Cluster::start();
    let store = cluster.store();
    let refusal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &refusal);
    assert!(matches!(store.put_business(id(1), &details("First")).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.find(id(1)).await, Err(StoreError::UnknownBusiness(_))));
}

/// Whoever spawns the follower sees its panic: a worker ends then, rather than live on with a directory that grows old.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_panics_is_seen_by_who_spawned_it() {
    let cluster = Cluster::start();
    let (hand_over, follower) = tokio::sync::oneshot::channel();
    let spawn = |task| {
        let follower = tokio::spawn(task);
        let abort = follower.abort_handle();
        hand_over.send(follower).unwrap();
        abort
    };
    let view = DirectoryView::start(&cluster.config, &cluster.topics, |_| panic!("a fault of ours"), spawn).unwrap();
    let ended = timeout(Duration::from_mins(1), follower.await.unwrap()).await.unwrap();
    assert!(ended.unwrap_err().is_panic());
    assert!(view.snapshot().is_empty());
}
