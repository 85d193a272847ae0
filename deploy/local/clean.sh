#!/usr/bin/env bash
# Removes this stack's data, logs and secrets. The downloads, which all stacks share, stay.
set -euo pipefail
source "$(dirname "$0")/env.sh"

rm -rf "${local_dir:?}"/{run,logs,secrets,kafka,kafka.properties,clickhouse,example-shown}
rmdir "$local_dir" 2>/dev/null || true
