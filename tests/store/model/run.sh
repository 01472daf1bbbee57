#!/usr/bin/env bash
# Usage: tests/store/model/run.sh STEPS
# The store beside a model of it, at length: so many steps of one thread, and so
# many of several, drawn from MODEL_SEED (the clock's, if not given).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tools/env.sh

export WARMSTART_MODEL_STEPS=$1
export WARMSTART_MODEL_SEED=${MODEL_SEED:-$(date +%s)}
echo "STEPS=$WARMSTART_MODEL_STEPS MODEL_SEED=$WARMSTART_MODEL_SEED"
tools/build.sh release store_test
exec build/bin/store_test --gtest_filter='StoreModelTest.*'
