#!/usr/bin/env bash
# Kafka and ClickHouse, and of them only what is down.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/require.sh"

require_tools
"$here/kafka.sh" &
kafka=$!
"$here/clickhouse.sh"
wait "$kafka"
