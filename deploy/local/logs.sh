#!/usr/bin/env bash
# Follows the logs of everything that this stack runs.
set -euo pipefail
source "$(dirname "$0")/env.sh"

shopt -s nullglob
logs=("$local_dir"/logs/*.log)
[ ${#logs[@]} -gt 0 ] || die "nothing has run yet: make up"
exec tail -n 5 -F "${logs[@]}"
