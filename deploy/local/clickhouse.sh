#!/usr/bin/env bash
# Starts ClickHouse's engine behind its HTTP front, unless it runs.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/process.sh"
source "$here/fetch.sh"

answers() { curl -fsS --max-time 2 "http://127.0.0.1:$clickhouse_port/ping"; }

starting clickhouse
pid_of clickhouse >/dev/null && exit 0
answers >/dev/null 2>&1 && die "port $clickhouse_port is taken by another process; choose one with CAPI_LOCAL_CLICKHOUSE_PORT"
python=$(fetch_python)
mkdir -p "$local_dir/clickhouse"
start clickhouse env TZ=UTC PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 \
    "$python" -m clickhouse_front --port "$clickhouse_port" --path "$local_dir/clickhouse"
wait_for clickhouse 180 answers
say "ClickHouse is up on http://127.0.0.1:$clickhouse_port"
