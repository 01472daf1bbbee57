#!/usr/bin/env bash
# Usage: tests/faults/run.sh [PYTEST ARGUMENTS...]
# The faults at length: the server is killed KILL_ROUNDS times (200 if not given),
# with requests drawn from KILL_SEED (the clock's, if not given).
set -euo pipefail
cd "$(dirname "$0")/../.."
source tools/env.sh

export KILL_ROUNDS=${KILL_ROUNDS:-200} KILL_SEED=${KILL_SEED:-$(date +%s)}
echo "KILL_ROUNDS=$KILL_ROUNDS KILL_SEED=$KILL_SEED"
exec "$WARMSTART_VENV/bin/python" -m pytest -q -s -p no:cacheprovider \
  tests/faults "$@"
