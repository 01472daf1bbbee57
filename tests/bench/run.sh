#!/usr/bin/env bash
# Usage: tests/bench/run.sh [bench|scale] [--quick] [--check] [--json FILE] ...
# Compares the server's speed with Python's (bench.py), or shows what becomes of it
# with many checkpoints, clients and operations (scale.py). Needs `make build`, and
# for the latter tools/build.sh release fill_store load.
set -euo pipefail
cd "$(dirname "$0")/../.."
what=bench
case ${1:-} in
  bench | scale)
    what=$1
    shift
    ;;
esac
source tools/env.sh
python=$WARMSTART_VENV/bin/python
"$python" client/python/generate_stubs.py >/dev/null
PYTHONPATH=tests:client/python exec "$python" -m "bench.$what" "$@"
