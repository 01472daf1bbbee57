#!/usr/bin/env bash
# Usage: tools/build.sh PRESET [TARGET...]
# Configures where that is needed, then builds. CMAKE_ARGS holds what cmake is to
# be told besides, e.g. CMAKE_ARGS=-DLIBTORCH_ROOT=/opt/libtorch.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh

preset=$1
shift
folder=build
[[ $preset == release ]] || folder=build-$preset

# Ninja itself notices changed CMakeLists.txt, but no changed presets.
if [[ ! -e $folder/build.ninja || CMakePresets.json -nt $folder/build.ninja ||
      -n ${CMAKE_ARGS:-} ]]; then
  # shellcheck disable=SC2086  # several arguments
  cmake --preset "$preset" --log-level=WARNING ${CMAKE_ARGS:-}
fi
# A line for each file helps nobody where it stays in a log.
[[ -t 1 ]] || set -- --quiet "$@"
ninja -C "$folder" -j "$WARMSTART_JOBS" "$@"
