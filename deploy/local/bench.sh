#!/usr/bin/env bash
# What the pipeline carries, in one table: a few minutes, on a Kafka and a ClickHouse of its own. LONG=1 takes its time;
# ONLY=ingest,views runs those parts; ONLY=micro the micro-benchmarks. A whole run is kept in bench/RESULTS.md.
set -euo pipefail
only=${ONLY:-}
# What the caller's shell says of another deployment is not for this one.
unset "${!CAPI_@}"
source "$(dirname "$0")/env.sh"
source "$here/require.sh"

require_tools
cd "$repo"
if [ "$only" = micro ]; then
    exec cargo bench --locked -p capi-bench --bench micro
fi
cargo build --locked --release --workspace --bins
ONLY=$only cargo bench --locked -p capi-bench --bench load
