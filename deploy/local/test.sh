#!/usr/bin/env bash
# All tests, against a Kafka and a ClickHouse of their own: beside a running `make up`, and several at once.
set -uo pipefail
# What the caller's shell says of another deployment is not for this one.
unset "${!CAPI_@}"
CAPI_LOCAL_DIR=$(mktemp -d "${TMPDIR:-/tmp}/capi-test.XXXXXX")
export CAPI_LOCAL_DIR

here=$(cd "$(dirname "$0")" && pwd)
source "$here/env.sh"
source "$here/process.sh"
source "$here/require.sh"
source "$here/fetch.sh"

# shellcheck disable=SC2317 # The trap calls it.
cleanup() {
    trap '' INT TERM
    # Interrupted while the stack comes up: nothing may be started behind our back.
    [ -n "${stack:-}" ] && kill -TERM -- "-$stack" 2>/dev/null && wait "$stack"
    stop clickhouse 5
    stop kafka 10
    rm -rf "$CAPI_LOCAL_DIR"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# Brokers of tests live for minutes: code that is compiled once and not optimized again is the cheaper one.
export JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1

require_tools
read -r CAPI_LOCAL_KAFKA_PORT CAPI_LOCAL_CLICKHOUSE_PORT <<<"$(python3 "$here/free_ports.py" 2)"
export CAPI_LOCAL_KAFKA_PORT CAPI_LOCAL_CLICKHOUSE_PORT
export CAPI_KAFKA_BROKERS="127.0.0.1:$CAPI_LOCAL_KAFKA_PORT" CAPI_CLICKHOUSE_URL="http://127.0.0.1:$CAPI_LOCAL_CLICKHOUSE_PORT"

# The stack comes up while the workspace is built, in a process group of its own.
setsid "$here/stack.sh" &
stack=$!
(cd "$repo" && cargo build --locked --workspace --all-targets) || exit 1
wait "$stack" || exit 1
stack=

output="$CAPI_LOCAL_DIR/output"
status=0
# What is tested makes way for the broker and the database: where these starve, every answer comes late.
(cd "$repo" && nice -n 5 cargo test --locked --workspace --no-fail-fast) 2>&1 | tee "$output" || status=1
(cd "$here" && PYTHONDONTWRITEBYTECODE=1 "$(fetch_python)" -m unittest discover -s tests) 2>&1 | tee -a "$output" || status=1
python3 "$here/count_tests.py" "$output" || status=1
exit "$status"
