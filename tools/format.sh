#!/usr/bin/env bash
# Formats all C++ and Python.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh
export PATH=$WARMSTART_VENV/bin:$PATH

mapfile -t cxx < <(tools/sources.sh '*.cc' '*.h')
clang-format -i "${cxx[@]}"
ruff check --quiet --select I --fix .
ruff format .
