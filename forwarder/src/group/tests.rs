//! A member of a group of one, at a broker that answers as the test says.

use futures::future::join_all;
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::*;

/// It ends a hopeless wait.
const A_WHILE: Duration = Duration::from_mins(1);

struct Member {
    cluster: MockCluster<'static, DefaultProducerContext>,
    group: Arc<Group>,
    /// Of the one partition.
    tenure: Arc<Tenure>,
    topics: Topics,
    config: ClientConfig,
}

impl Member {
    /// Assigned, and polled no more: from here on the group takes nothing away.
    async fn new() -> Self {
        let (cluster, topics) = (MockCluster::new(1).unwrap(), Topics::new("test"));
        Input::all().for_each(|input| cluster.create_topic(&input.topic(&topics), 1, 1).unwrap());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let (group, mut changes) = Group::join(config.clone(), &topics, None).unwrap();
        let joined = async {
            tokio::select! {
                error = group.serve() => panic!("{error}"),
                change = changes.recv() => change.unwrap(),
            }
        };
        let Change::Assigned(tenures) = timeout(A_WHILE, joined).await.unwrap() else { panic!("nothing is assigned") };
        let [tenure] = &tenures[..] else { panic!("{tenures:?}") };
        Self { cluster, tenure: tenure.clone(), group, topics, config }
    }

    /// The next commit is answered so.
    fn next_commit(&self, error: RDKafkaRespErr) {
        self.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[error]);
    }

    /// What the group has committed of the live lane.
    async fn committed(&self) -> Option<i64> {
        let (mut config, topic) = (self.config.clone(), self.topics.events_live());
        config.set("group.id", self.topics.group("forwarder"));
        let asked = blocking(move || {
            let consumer: BaseConsumer = config.create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic, 0);
            let committed = consumer.committed_offsets(list, A_WHILE).unwrap();
            committed.find_partition(&topic, 0).unwrap().offset()
        });
        match asked.await {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    async fn until_committed(&self, offset: i64) {
        let passed = async {
            while self.committed().await != Some(offset) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let serving = async {
            tokio::select! {
                () = passed => {}
                error = self.group.serve() => panic!("{error}"),
                () = self.group.commit_regularly() => {}
            }
        };
        timeout(A_WHILE, serving).await.expect("it is never committed");
    }
}

/// Rule 12 of the ledger: what a former owner finishes is the next one's to commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tenure_that_is_over_has_done_is_not_committed() {
    let member = Member::new().await;
    member.tenure.revoke();
    member.group.advance(&member.tenure, Input::Live, 5);
    member.group.commit_now().await;
    assert_eq!(member.committed().await, None);
    member.group.advance(&Arc::new(Tenure::new(0)), Input::Live, 3);
    member.group.commit_now().await;
    assert_eq!(member.committed().await, Some(3));
}

/// No later one would make up for it on a lane that is quiet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_failed_is_made_up_for() {
    let member = Member::new().await;
    member.next_commit(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    member.group.advance(&member.tenure, Input::Live, 5);
    member.until_committed(5).await;
}

/// A confirmation commits what was committed when it began: what was committed since is taken back by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_confirmation_may_have_taken_back_is_committed_again() {
    let member = Member::new().await;
    member.group.advance(&member.tenure, Input::Live, 5);
    // A regular commit has it, and the confirmation has read the offset of before that.
    assert_eq!(member.group.consumer().context().ready().count(), 1);
    assert_eq!(member.group.confirm(&member.tenure).await, Confirmation::Accepted);
    assert_eq!(member.committed().await, Some(0), "from the beginning");
    member.until_committed(5).await;
}

/// Rule 3 of the ledger: whoever the group will not have any more drops the partition. What may pass is asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_group_s_no_refuses_a_tenure_and_nothing_else_does() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
    };
    let answers = [
        (RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, Confirmation::Refused),
        (RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, Confirmation::Refused),
        (RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, Confirmation::Refused),
        (RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, Confirmation::Accepted),
        (RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, Confirmation::Accepted),
    ];
    let confirmed = answers.map(async |(error, expected)| {
        let member = Member::new().await;
        member.next_commit(error);
        let confirmed = timeout(A_WHILE, member.group.confirm(&member.tenure)).await.expect("it is asked for ever");
        assert_eq!(confirmed, expected, "{error:?}");
        assert!(member.tenure.is_live(), "the answer alone decides here");
    });
    join_all(confirmed).await;
}

/// Each by itself: after the first of them the client goes on to another.
#[test]
fn every_no_of_the_group_is_one() {
    use RDKafkaErrorCode::{
        CoordinatorNotAvailable, Fatal, FencedInstanceId, IllegalGeneration, RebalanceInProgress, RequestTimedOut,
        UnknownMemberId,
    };
    let refused = |code| refuses(&KafkaError::ConsumerCommit(code));
    assert!(
        [IllegalGeneration, UnknownMemberId, FencedInstanceId, RebalanceInProgress, Fatal].into_iter().all(refused)
    );
    assert!(![CoordinatorNotAvailable, RequestTimedOut].into_iter().any(refused));
}
