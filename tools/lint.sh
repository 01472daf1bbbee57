#!/usr/bin/env bash
# Usage: tools/lint.sh quick|all
# Runs every linter, and fails if one of them has something to say. `all` adds
# clang-tidy, which needs a build and, the first time, minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh
export PATH=$WARMSTART_VENV/bin:$PATH

failed=0
lint() {
  local name=$1
  shift
  if "$@"; then
    echo "lint: $name: fine"
  else
    echo "lint: $name: see above; \`make format\` mends what is format" >&2
    failed=1
  fi
}

mapfile -t cxx < <(tools/sources.sh '*.cc' '*.h')
boundaries=(python tools/lint_boundaries.py)
[[ ! -e build/compile_commands.json ]] ||
  boundaries+=(--compile-commands build/compile_commands.json)

lint clang-format clang-format --dry-run -Werror "${cxx[@]}"
lint "ruff check" ruff check --quiet .
lint "ruff format" ruff format --quiet --check .
lint buf buf lint proto
lint boundaries "${boundaries[@]}"
if [[ $1 == all ]]; then
  tools/build.sh release
  lint clang-tidy python tools/tidy.py --jobs "$WARMSTART_JOBS" \
    --cache "$WARMSTART_CACHE/tidy"
fi
exit "$failed"
