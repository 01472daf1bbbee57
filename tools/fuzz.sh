#!/usr/bin/env bash
# Usage: tools/fuzz.sh SECONDS
# Builds the fuzzers and runs each for so long.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh
tools/build.sh fuzz fuzzers
tests/fuzz/run.sh build-fuzz "$WARMSTART_VENV/bin/python" "$1"
