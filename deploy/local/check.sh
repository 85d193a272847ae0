#!/usr/bin/env bash
# Format, lints, dependency policy, unused dependencies.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/require.sh"
source "$here/fetch.sh"

more_tools="shellcheck shellcheck command -v shellcheck
promtool prometheus command -v promtool"
require_tools
cd "$repo"

# Not optimised: they compile in half the time, and run for seconds.
fill_tool() { cargo install -q --debug --locked --root "$1" "$crate@$version"; }
tool() { # crate version : its binary, installed once in the cache
    local crate=$1 version=$2 root
    root=$(fetch_once "$1-$2" fill_tool)
    echo "$root/bin/$1"
}

cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
shellcheck .ci/run deploy/local/*.sh
promtool check config deploy/prometheus/prometheus.yml
promtool test rules deploy/prometheus/alerts_test.yml
machete=$(tool cargo-machete 0.9.2)
"$machete"
deny=$(tool cargo-deny 0.20.2)
"$deny" --locked check bans licenses sources
# The advisories live in a database of their own, which a machine without a way out cannot fetch.
if "$deny" --locked fetch db >/dev/null 2>&1; then
    "$deny" --locked check advisories
else
    say "note: the advisory database cannot be fetched here, so advisories are not checked"
fi
