#!/usr/bin/env bash
# Usage: tools/fuzz.sh SECONDS
# Runs each fuzzer for so long, from the inputs that earlier runs found.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh
tools/build.sh fuzz fuzzers

seconds=$1
seeds=$PWD/build-fuzz/seeds
shopt -s nullglob
for fuzzer in "$PWD"/build-fuzz/bin/fuzz/*; do
  name=${fuzzer##*/}
  found=$PWD/build-fuzz/corpus/$name
  mkdir -p "$found" "$seeds/$name"
  echo "fuzz: $name for $seconds s"
  # What breaks it is left in build-fuzz/ for a test to be made of.
  "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$PWD/build-fuzz/$name-" -verbosity=0 -print_final_stats=1 \
    "$found" "$seeds/$name"
done
