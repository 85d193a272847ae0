#!/usr/bin/env bash
# Format, lints, dependency policy, unused dependencies.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/require.sh"
source "$here/fetch.sh"

more_tools="shellcheck shellcheck command -v shellcheck"
require_tools
cd "$repo"

# Not optimised: they compile in half the time, and run for seconds.
fill_tool() { cargo install -q --debug --locked --root "$1" "$crate@$version"; }
tool() { # crate version : its binary, installed once in the cache
    local crate=$1 version=$2 root
    root=$(fetch_once "$1-$2" fill_tool)
    echo "$root/bin/$1"
}

# Debian's package of Prometheus starts it as a service where it is installed: only the one program is taken out.
fill_promtool() {
    cd "$1" && download prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/promtool \
        && rm prometheus_*.deb
}
download() { # package: once more with new lists, where it is in none or gone from the mirror
    apt-get download -q "$1" || { may_install && apt_get update && apt-get download -q "$1"; }
}
find_promtool() {
    local dir
    command -v promtool && return
    { command -v apt-get && command -v dpkg-deb; } >/dev/null || die "promtool is missing: it is a part of Prometheus"
    dir=$(fetch_once promtool fill_promtool)
    echo "$dir/promtool"
}

cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
# The fuzz targets are a workspace of their own, with a lock file that nothing else reads.
cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
shellcheck .ci/run deploy/local/*.sh
promtool=$(find_promtool)
"$promtool" check config deploy/prometheus/prometheus.yml deploy/prometheus/compose.yml
"$promtool" test rules deploy/prometheus/alerts_test.yml
# What the dashboards ask Prometheus, for its grammar; that it is there, a test says.
"$promtool" check rules <(python3 deploy/grafana/expressions.py)
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
