//! Users and sessions over librdkafka's mock cluster: what a command changes, a view that follows it sees.

use std::collections::BTreeSet;

use capi_directory::{
    BusinessId, Role, SessionId, Snapshot, StoreError, User, UserName,
    store::{Details, UserDetails},
    users::{Password, PasswordHash, hash, verify},
};
use schemas::{EndedSession, Message as _};
use uuid::Uuid;

use crate::cluster::{Cluster, messages, until};

const SECRET: &str = "correct horse battery";
const DAY: i64 = 24 * 60 * 60 * 1000;

fn shop(number: u128) -> BusinessId {
    Uuid::from_u128(number).into()
}

fn ada() -> UserName {
    "ada@shop.example".parse().unwrap()
}

fn hashed(password: &str) -> PasswordHash {
    hash(&Password::parse(password.to_owned().into(), &ada()).unwrap())
}

fn merchant_of(businesses: impl Into<BTreeSet<BusinessId>>) -> UserDetails {
    UserDetails { role: Role::Merchant, businesses: businesses.into(), password: hashed(SECRET) }
}

fn operator() -> UserDetails {
    UserDetails { role: Role::Operator, businesses: BTreeSet::new(), password: hashed("another horse battery") }
}

async fn with_shop(cluster: &Cluster) {
    let details = Details { name: "Shop".into(), enabled: true, rate_limit: None };
    cluster.store().put_business(shop(1), &details).await.unwrap();
}

fn sessions_from(snapshot: &Snapshot) -> Option<i64> {
    snapshot.user(&ada()).map(|user| user.sessions_from)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_changes_and_goes() {
    let cluster = Cluster::start();
    let store = cluster.store();
    with_shop(&cluster).await;
    let (view, _events) = cluster.view();
    view.ready().await;
    assert!(!verify(SECRET, view.snapshot().user(&ada())));

    store.put_user(&ada(), &merchant_of([shop(1)]), 10).await.unwrap();
    let snapshot = until(&view, |snapshot| snapshot.user(&ada()).is_some()).await;
    let user = snapshot.user(&ada()).unwrap();
    assert!(verify(SECRET, Some(user)) && user.may_see(shop(1)) && !user.may_see(shop(2)));
    assert_eq!(store.users().await.unwrap().users[..], [user.clone().into()]);

    store.put_user(&ada(), &operator(), 20).await.unwrap();
    let snapshot = until(&view, |snapshot| sessions_from(snapshot) == Some(20)).await;
    let user = snapshot.user(&ada()).unwrap();
    assert!(!verify(SECRET, Some(user)) && verify("another horse battery", Some(user)) && user.may_see(shop(2)));

    store.remove_user(&ada()).await.unwrap();
    until(&view, |snapshot| snapshot.user(&ada()).is_none()).await;
    assert!(matches!(store.remove_user(&ada()).await, Err(StoreError::UnknownUser(_))));
    assert!(store.users().await.unwrap().users.is_empty());
    assert_eq!(store.list().await.unwrap().businesses.len(), 1, "businesses are none of a user's");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_one_by_one_and_all_at_once() {
    let cluster = Cluster::start();
    let store = cluster.store();
    store.put_user(&ada(), &operator(), 10).await.unwrap();
    let (view, _events) = cluster.view();
    view.ready().await;
    let (one, other) = (SessionId::generate(), SessionId::generate());
    let goes_on = |snapshot: &Snapshot, id: &SessionId| !snapshot.session_is_ended(id, &ada(), 10);
    assert!(goes_on(&view.snapshot(), &one) && goes_on(&view.snapshot(), &other));

    store.end_session(&one, 1000, &view.snapshot(), 50).await.unwrap();
    let snapshot = until(&view, |snapshot| !goes_on(snapshot, &one)).await;
    assert!(goes_on(&snapshot, &other));

    let ended = store.end_sessions(&ada(), 30).await.unwrap();
    assert_eq!(ended.sessions_from, 30);
    until(&view, |snapshot| !goes_on(snapshot, &other)).await;
    // A clock that is behind, and twice within one of its steps.
    assert_eq!(store.end_sessions(&ada(), 3).await.unwrap().sessions_from, 31);
    assert_eq!(store.put_user(&ada(), &operator(), 3).await.unwrap().sessions_from, 32);
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(store.end_sessions(&nobody, 1).await, Err(StoreError::UnknownUser(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_forgets_what_expired_a_day_ago() {
    let cluster = Cluster::start();
    let store = cluster.store();
    let (view, _events) = cluster.view();
    view.ready().await;
    store.put_user(&ada(), &operator(), 1).await.unwrap();
    let sessions: Vec<_> = (0..3).map(|_| SessionId::generate()).collect();
    let expiries = [100, 101, 100 + DAY];
    for (id, expires_at) in sessions.iter().zip(expiries) {
        store.end_session(id, expires_at, &view.snapshot(), 50).await.unwrap();
    }
    let ended =
        |snapshot: &Snapshot| sessions.iter().map(|id| snapshot.session_is_ended(id, &ada(), 1)).collect::<Vec<_>>();
    let snapshot = until(&view, |snapshot| ended(snapshot) == [true; 3]).await;
    assert_eq!(messages(&cluster).len(), 4);
    store.end_session(&SessionId::generate(), 2 * DAY, &snapshot, 101 + DAY).await.unwrap();
    until(&view, |snapshot| ended(snapshot) == [false, true, true]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_an_unknown_business_is_not_made() {
    let cluster = Cluster::start();
    let store = cluster.store();
    with_shop(&cluster).await;
    cluster.write(&shop(3).to_string(), Some(&messages(&cluster)[0])).await;
    for unknown in [shop(2), shop(4)] {
        let put = store.put_user(&ada(), &merchant_of([shop(1), unknown]), 1).await;
        assert!(matches!(put, Err(StoreError::UnknownBusiness(id)) if id == unknown), "{put:?}");
    }
    cluster.write(&shop(1).to_string(), None).await;
    let put = store.put_user(&ada(), &merchant_of([shop(1)]), 1).await;
    assert!(matches!(put, Err(StoreError::UnknownBusiness(_))), "{put:?}");
    assert!(matches!(store.put_user(&ada(), &merchant_of([]), 1).await, Err(StoreError::Rule(_))));
    assert!(store.users().await.unwrap().users.is_empty());
}

/// Each changes another part of one user; of the last value, all of it stands.
#[tokio::test(flavor = "multi_thread")]
async fn commands_at_once_lose_none_of_each_others_changes() {
    let cluster = Cluster::start();
    cluster.store().put_user(&ada(), &operator(), 10).await.unwrap();
    let ending = [20, 21, 22, 23].map(|at| {
        let store = cluster.store();
        async move { store.end_sessions(&ada(), at).await }
    });
    let (store, less) = (cluster.store(), UserDetails { password: hashed(SECRET), ..operator() });
    let name = ada();
    let (ended, put) = tokio::join!(futures::future::join_all(ending), store.put_user(&name, &less, 15));
    assert!(put.is_ok() && ended.iter().all(Result::is_ok), "{put:?} {ended:?}");
    let last = User::try_from(schemas::User::decode(messages(&cluster).last().unwrap()).unwrap()).unwrap();
    assert!(last.sessions_from >= 23 && last.password == less.password);
    assert_eq!(store.users().await.unwrap().users[..], [last.into()]);
}

/// `end-sessions` read the user at offset 0, and writes after the removal at 1.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_was_removed_comes_back() {
    let cluster = Cluster::start();
    let store = cluster.store();
    let user = store.put_user(&ada(), &operator(), 10).await.unwrap();
    store.remove_user(&ada()).await.unwrap();
    let late = schemas::User::from(User { sessions_from: 20, ..user });
    cluster.write_from(Some(0), "user:ada@shop.example", Some(&late.encode())).await;
    let (view, _events) = cluster.view();
    view.ready().await;
    assert_eq!(view.snapshot().user(&ada()), None);
    assert!(matches!(store.end_sessions(&ada(), 30).await, Err(StoreError::UnknownUser(_))));

    // What compaction would keep is still there, and can be removed; and made anew, the user stands.
    store.remove_user(&ada()).await.unwrap();
    store.put_user(&ada(), &operator(), 40).await.unwrap();
    until(&view, |snapshot| sessions_from(snapshot) == Some(40)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_cannot_be_read_is_told_does_not_sign_in_and_is_put_again() {
    let cluster = Cluster::start();
    let store = cluster.store();
    store.put_user(&ada(), &operator(), 10).await.unwrap();
    cluster.write("user:ada@shop.example", Some(b"not avro")).await;
    cluster.write("session:s1", Some(&EndedSession { session_id: "s2".into(), expires_at: 1 }.encode())).await;
    let (view, mut events) = cluster.view();
    assert_eq!(events.recv().await.as_deref(), Some("unreadable 1"));
    assert_eq!(events.recv().await.as_deref(), Some("unreadable 2"));
    view.ready().await;
    assert_eq!(view.snapshot().user(&ada()), None);
    let listing = store.users().await.unwrap();
    assert_eq!((listing.users.len(), listing.faults.len()), (0, 2));
    assert_eq!(store.list().await.unwrap().faults, Vec::<String>::new(), "they are none of a business's");

    store.put_user(&ada(), &operator(), 20).await.unwrap();
    until(&view, |snapshot| sessions_from(snapshot) == Some(20)).await;
    cluster.write("user:ada@shop.example", Some(b"not avro")).await;
    store.remove_user(&ada()).await.unwrap();
    assert_eq!(store.users().await.unwrap().faults.len(), 1);
}

/// To change what a later release wrote would undo what this one does not know of; to remove it undoes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_release_wrote_is_not_changed() {
    let cluster = Cluster::start();
    let store = cluster.store();
    let later = [&[0xC3, 0x01][..], &[7; 20]].concat();
    cluster.write("user:ada@shop.example", Some(&later)).await;
    assert!(matches!(store.put_user(&ada(), &operator(), 1).await, Err(StoreError::Newer { .. })));
    assert!(matches!(store.end_sessions(&ada(), 1).await, Err(StoreError::Newer { .. })));
    store.remove_user(&ada()).await.unwrap();
    store.put_user(&ada(), &operator(), 1).await.unwrap();
}
