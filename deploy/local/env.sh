# Where this stack's data, logs and ports are. Sourced by every script here.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)

# One folder for everything of one stack; one cache for the downloads of all of them.
local_dir=${CAPI_LOCAL_DIR:-$repo/.local}
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/capi-local

kafka_port=${CAPI_LOCAL_KAFKA_PORT:-9092}
# KRaft's controller listens beside the broker.
kafka_controller_port=${CAPI_LOCAL_KAFKA_CONTROLLER_PORT:-$((kafka_port + 1))}
clickhouse_port=${CAPI_LOCAL_CLICKHOUSE_PORT:-8123}
sandbox_port=${CAPI_LOCAL_SANDBOX_PORT:-8090}

mkdir -p "$local_dir"/{run,logs,secrets} "$cache_dir"
chmod 700 "$local_dir/secrets"
local_dir=$(cd "$local_dir" && pwd)
export local_dir cache_dir kafka_port kafka_controller_port clickhouse_port sandbox_port here repo

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
