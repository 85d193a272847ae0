#!/usr/bin/env bash
# The whole pipeline in the background, from nothing; run again, only what is down.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/process.sh"
source "$here/require.sh"
source "$here/secrets.sh"
source "$here/workers.sh"
source "$here/demo.sh"

starting up
require_tools
# The stack is fetched and started while the programs are built.
"$here/stack.sh" &
stack=$!
(cd "$repo" && cargo build --release --locked --bins)
wait "$stack"

settings
start_sandbox
"$bin/capi" setup >>"$local_dir/logs/setup.log" 2>&1 || die "capi setup failed; its log is $local_dir/logs/setup.log"
make_merchant
make_operator
start_workers
if [ -f "$local_dir/example-shown" ]; then "$here/status.sh"; else show_example; fi
show_curl
show_console
