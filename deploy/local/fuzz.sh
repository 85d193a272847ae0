#!/usr/bin/env bash
# Fuzzes one target, or each in turn: fuzz.sh [target] [seconds]
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/require.sh"
source "$here/fetch.sh"

target=${1:-} seconds=${2:-300}
require_tools
cd "$repo/fuzz"

fill_tool() { cargo install -q --debug --locked --root "$1" cargo-fuzz@0.13.1; }
root=$(fetch_once cargo-fuzz-0.13.1 fill_tool)
PATH="$root/bin:$PATH"

# What is found is kept apart from the seeds. Without a memory sanitizer no nightly toolchain is needed.
fuzz() {
    mkdir -p "$local_dir/fuzz/$1"
    nice cargo fuzz run -s none "$1" "$local_dir/fuzz/$1" "corpus/$1" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
}

for name in ${target:-$(cargo fuzz list)}; do
    fuzz "$name"
done
