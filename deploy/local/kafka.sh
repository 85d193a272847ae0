#!/usr/bin/env bash
# Starts Kafka in KRaft mode from its Maven artifacts, unless it runs.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/process.sh"
source "$here/fetch.sh"

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$kafka_port") 2>/dev/null; }

configure() {
    cat >"$local_dir/kafka.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$kafka_controller_port
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$kafka_controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$kafka_port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$local_dir/kafka
auto.create.topics.enable=false
# When a record was in the log, not when somebody meant to write it: the checker asks whether a request was earlier.
log.message.timestamp.type=LogAppendTime
# One broker: nothing can be replicated.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Groups form at once, and tests may use short sessions.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# No other controller has to learn from a quiet log that this one lives: two records a second were half of an idle broker's work.
metadata.max.idle.interval.ms=0
PROPERTIES
}

starting kafka
pid_of kafka >/dev/null && exit 0
answers && die "port $kafka_port is taken by another process; choose one with CAPI_LOCAL_KAFKA_PORT"
lib=$(fetch_kafka)
configure
if [ ! -f "$local_dir/kafka/meta.properties" ]; then
    rm -rf "$local_dir/kafka"
    cluster=$(python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("="))')
    # With a sign of equality: every 64th of them begins with a dash.
    java -cp "$lib/*" kafka.tools.StorageTool format --standalone --cluster-id="$cluster" -c "$local_dir/kafka.properties" \
        >"$local_dir/logs/kafka-format.log" 2>&1 || die "cannot format Kafka's storage: $local_dir/logs/kafka-format.log"
fi
start kafka java -Xmx512m -XX:+UseSerialGC -cp "$lib/*" kafka.Kafka "$local_dir/kafka.properties"
wait_for kafka 180 answers
say "Kafka is up on 127.0.0.1:$kafka_port"
