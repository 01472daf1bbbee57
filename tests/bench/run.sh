#!/usr/bin/env bash
# Usage: tests/bench/run.sh [--quick] [--check] [--json FILE]
# Compares the server's speed with Python's; see bench.py. Needs `make build`.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tools/env.sh
python=$WARMSTART_VENV/bin/python
"$python" client/python/generate_stubs.py >/dev/null
PYTHONPATH=tests:client/python exec "$python" -m bench.bench "$@"
