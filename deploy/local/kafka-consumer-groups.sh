#!/usr/bin/env bash
# Kafka's own tool of this name, for the commands of docs/operations.md.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/fetch.sh"

lib=$(fetch_kafka)
exec java -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$lib/*" org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$@"
