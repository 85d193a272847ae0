#!/usr/bin/env bash
# All tests, against a Kafka and a ClickHouse of their own: beside a running `make up`, and several at once.
set -uo pipefail
CAPI_LOCAL_DIR=$(mktemp -d "${TMPDIR:-/tmp}/capi-test.XXXXXX")
export CAPI_LOCAL_DIR

free_ports() { # count: ports that are free now, and not in the range that the system hands out
    python3 - "$1" <<'PYTHON'
import random, socket, sys
ports, held = [], []
while len(ports) < int(sys.argv[1]):
    port = random.randrange(12000, 32000, 2)
    pair = [socket.socket(), socket.socket()]
    try:
        for at, one in enumerate(pair):
            one.bind(("127.0.0.1", port + at))
    except OSError:
        continue
    held += pair
    ports.append(port)
print(*ports)
PYTHON
}

here=$(cd "$(dirname "$0")" && pwd)
source "$here/env.sh"
source "$here/process.sh"
source "$here/require.sh"
source "$here/fetch.sh"

# shellcheck disable=SC2317 # The trap calls it.
cleanup() {
    trap - EXIT INT TERM
    stop clickhouse 5
    stop kafka 10
    rm -rf "$CAPI_LOCAL_DIR"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

require_tools
read -r CAPI_LOCAL_KAFKA_PORT CAPI_LOCAL_CLICKHOUSE_PORT <<<"$(free_ports 2)"
export CAPI_LOCAL_KAFKA_PORT CAPI_LOCAL_CLICKHOUSE_PORT
export CAPI_KAFKA_BROKERS="127.0.0.1:$CAPI_LOCAL_KAFKA_PORT" CAPI_CLICKHOUSE_URL="http://127.0.0.1:$CAPI_LOCAL_CLICKHOUSE_PORT"

# The stack comes up while the workspace is built.
"$here/stack.sh" &
stack=$!
(cd "$repo" && cargo build --locked --workspace --all-targets) || exit 1
wait "$stack" || exit 1

output="$CAPI_LOCAL_DIR/output"
status=0
(cd "$repo" && cargo test --locked --workspace --no-fail-fast) 2>&1 | tee "$output" || status=1
(cd "$here" && PYTHONDONTWRITEBYTECODE=1 "$(fetch_python)" -m unittest discover -s tests -v) 2>&1 | tee -a "$output" || status=1

python3 - "$output" <<'PYTHON' || status=1
import re, sys
text = open(sys.argv[1], errors="replace").read()
rust = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", text, re.M)
passed, failed = sum(int(p) for p, _, _ in rust), sum(int(f) for _, f, _ in rust)
for ran, verdict, failures in re.findall(r"^Ran (\d+) tests? in .*\n\n(OK|FAILED)(?: \((.*)\))?", text, re.M):
    lost = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", failures))
    passed, failed = passed + int(ran) - lost, failed + lost
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0 or passed == 0)
PYTHON
exit "$status"
