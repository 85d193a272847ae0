#!/usr/bin/env bash
# Stops all that this stack runs: the workers drain first. The data stays.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/process.sh"

stop console &
stop ingest
stop forwarder &
stop recorder &
wait
stop sandbox
stop clickhouse
stop kafka
