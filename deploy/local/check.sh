#!/usr/bin/env bash
# Format, lints, dependency policy, unused dependencies.
set -euo pipefail
source "$(dirname "$0")/env.sh"
source "$here/require.sh"

require_tools
cd "$repo"

tool() { # crate version : its binary, installed once in the cache
    local root="$cache_dir/$1-$2"
    [ -x "$root/bin/$1" ] || { say "installing $1 $2"; cargo install -q --locked --root "$root" "$1@$2"; }
    echo "$root/bin/$1"
}

cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
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
