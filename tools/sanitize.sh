#!/usr/bin/env bash
# Usage: tools/sanitize.sh asan|tsan [--output-junit FILE]
# Builds and runs the tests that a sanitizer is for. LibTorch, gRPC and Abseil are
# not instrumented, so the rooms that live on them are left to the other tests.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh

sanitizer=$1
shift
skip=()
case $sanitizer in
  asan) rooms=(base model format planner store) ;;
  # What is broken off at every step is one request, thousands of times.
  tsan) rooms=(store threads) skip=(--exclude-regex AtAnyStep) ;;
esac
tools/build.sh "$sanitizer" "${rooms[@]/%/_tests}"
export UBSAN_OPTIONS=print_stacktrace=1
labels=$(IFS='|' && echo "${rooms[*]}")
ctest --test-dir "build-$sanitizer" --parallel "$WARMSTART_JOBS" \
  --output-on-failure --no-tests=error --label-regex "^($labels)\$" \
  "${skip[@]}" "$@"
