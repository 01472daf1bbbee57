#!/usr/bin/env bash
# Runs every test, step by step, and stops at the first that fails. The last line
# counts the tests of all steps.
set -euo pipefail
cd "$(dirname "$0")/.."

results=build/test-results
step_count=0

# step TITLE COMMAND...
step() {
  local title=$1 start=$SECONDS
  shift
  step_count=$((step_count + 1))
  printf '\n=== %d. %s\n' "$step_count" "$title"
  if "$@"; then
    printf '=== %d. %s: done in %d s\n' "$step_count" "$title" \
      $((SECONDS - start))
  else
    printf '=== %d. %s: FAILED after %d s\n' "$step_count" "$title" \
      $((SECONDS - start))
    finish "$title"
  fi
}

# finish [STEP]: the closing line, and the exit status. A step that fails without
# saying which test counts as one.
finish() {
  printf '\n=== all steps: %d s\n' "$SECONDS"
  /usr/bin/env python3 tools/count_tests.py "$results" ${1:+--failed-step "$1"}
  exit
}

ctest_all() {
  ctest --test-dir build --parallel "$WARMSTART_JOBS" --output-on-failure \
    --no-tests=error --output-junit "$PWD/$results/ctest.xml"
}

# A folder without a test is an error (pytest's exit status 5).
pytest_folder() {
  "$WARMSTART_VENV/bin/python" -m pytest -q -p no:cacheprovider \
    --junitxml "$results/${1//\//-}.xml" "$1"
}

sanitize() {
  tools/sanitize.sh "$1" --output-junit "$PWD/$results/$1.xml"
}

rm -rf "$results"
step "Set-up" tools/setup.sh
step "Set-up of what deploy/ is checked with" tools/setup_deploy.sh
source tools/env.sh
mkdir -p "$results"
step "Build" tools/build.sh release
step "Linters, the quick ones" tools/lint.sh quick
step "C++ tests" ctest_all
for folder in tools deploy client/python integration faults parity; do
  step "Python tests: tests/$folder" pytest_folder "tests/$folder"
done
step "Container image" tests/image/run.sh --junitxml "$PWD/$results/image.xml"
step "Fuzzing, briefly" tools/fuzz.sh "${FUZZ_SECONDS:-10}"
step "C++ tests with AddressSanitizer and UBSan" sanitize asan
step "C++ tests with ThreadSanitizer" sanitize tsan
finish
