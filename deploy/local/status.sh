#!/usr/bin/env bash
# What runs, and how it is.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/process.sh"
source "$here/secrets.sh"
source "$here/workers.sh"

line() { # name address health
    local pid
    pid=$(pid_of "$1") || pid=-
    printf '%-12s %-8s %-24s %s\n' "$1" "$pid" "$2" "$3"
}

worker() { # name admin address
    local health="down"
    pid_of "$1" >/dev/null && { is_ready "$2" >/dev/null 2>&1 && health=ready || health="not ready: $(curl -sS --max-time 2 "http://$2/readyz" 2>&1)"; }
    line "$1" "$2" "$health"
}

engine() { # name address
    local health="down"
    pid_of "$1" >/dev/null && health=up
    line "$1" "$2" "$health"
}

printf '%-12s %-8s %-24s %s\n' NAME PID ADDRESS HEALTH
engine kafka "127.0.0.1:$kafka_port"
engine clickhouse "127.0.0.1:$clickhouse_port"
engine sandbox "127.0.0.1:$sandbox_port"
worker ingest "$ingest_admin"
worker forwarder "$forwarder_admin"
worker recorder "$recorder_admin"
worker console "$console_admin"
