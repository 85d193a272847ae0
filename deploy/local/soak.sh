#!/usr/bin/env bash
# The long tests: the models over more states, and round after round of the fault suite, which starts a Kafka and a
# ClickHouse of its own for each. SEED=N begins with that seed, and each further round has the next number; ROUNDS=N and
# MINUTES=N say when it ends: without them after half an hour, and the first round that fails ends it at once.
set -euo pipefail
seed=${SEED:-$((RANDOM * 32768 + RANDOM))} rounds=${ROUNDS:-} minutes=${MINUTES:-}
[ -n "$rounds$minutes" ] || minutes=30
# What the caller's shell says of another deployment is not for this one.
unset "${!CAPI_@}"
source "$(dirname "$0")/env.sh"
source "$here/require.sh"

require_tools
# As in test.sh.
export JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1
say "soak: seed $seed"
cd "$repo"
cargo build --locked --workspace --bins
cargo test --locked -p capi-ledger-model -- --ignored --test-threads 2
CAPI_FAULTS_SEED=$seed CAPI_FAULTS_ROUNDS=$rounds CAPI_FAULTS_MINUTES=$minutes \
    cargo test --locked -p capi-e2e --test faults
