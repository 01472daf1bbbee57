#!/usr/bin/env bash
# Usage: deploy/docker/build.sh [cpu|cuda]
# Builds the image with docker, podman or buildah, whichever is there, prints what is
# in it by size, and puts its SBOMs beside it, into build/image/.
#
#   ENGINE        docker, podman or buildah
#   BASE_IMAGE    where the compiler comes from (default: debian:12-slim)
#   IMAGE         the image's name (default: warmstart:VERSION, or :VERSION-cuda)
#   ENGINE_ARGS   what the engine is to be told besides, for each of its commands
#   BUILD_ARGS    and for the build alone
set -euo pipefail
cd "$(dirname "$0")/../.."
source tools/env.sh

target=${1:-cpu}
version=$(sed -n 's/^project(warmstart VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
suffix=
[[ $target == cpu ]] || suffix=-$target
: "${IMAGE:=warmstart:$version$suffix}"
out=build/image

find_engine() {
  local name
  for name in docker podman buildah; do
    if command -v "$name"; then return; fi
  done
  echo "build.sh: there is no docker, podman or buildah here" >&2
  exit 1
}

engine() {
  # shellcheck disable=SC2086  # several arguments
  "$ENGINE" ${ENGINE_ARGS:-} "$@"
}

# Also of a clone that belongs to somebody else than whoever builds.
from_git() {
  git -c safe.directory="$PWD" "$@" 2>/dev/null || echo unknown
}

build() {
  local label=org.opencontainers.image
  local args=(--file deploy/docker/Dockerfile --target "$target" --tag "$IMAGE"
              --label "$label.version=$version"
              --label "$label.revision=$(from_git rev-parse HEAD)"
              --label "$label.created=$(from_git log -1 --format=%cI)")
  [[ -z ${BASE_IMAGE:-} ]] || args+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
  # Docker's own format has health checks, the OCI's has not.
  [[ $ENGINE == docker ]] || args+=(--format docker)
  # shellcheck disable=SC2086
  engine build "${args[@]}" ${BUILD_ARGS:-} .
}

# with_root COMMAND...: runs it with the folder of the image's root.
with_root() {
  local container root
  if [[ ${ENGINE##*/} == buildah ]]; then
    container=$(engine from --pull-never "$IMAGE")
    root=$(engine mount "$container")
    "$@" "$root"
    engine rm "$container" >/dev/null
  else
    container=$(engine create "$IMAGE")
    root=$(mktemp -d)
    engine export "$container" | tar -x -C "$root"
    "$@" "$root"
    engine rm "$container" >/dev/null
    rm -rf "$root"
  fi
}

describe() {
  deploy/docker/contents.sh "$1"
  local syft=$WARMSTART_VENV/bin/syft
  if [[ -x $syft ]]; then
    mkdir -p "$out"
    SYFT_CHECK_FOR_APP_UPDATE=false "$syft" scan --quiet "dir:$1" \
      --source-name warmstart --source-version "$version$suffix" \
      --output "spdx-json=$out/$target.spdx.json" \
      --output "cyclonedx-json=$out/$target.cdx.json"
    echo "SBOMs: $out/$target.spdx.json, $out/$target.cdx.json"
  else
    echo "no SBOM: \`make setup\` installs syft, which makes it"
  fi
}

: "${ENGINE:=$(find_engine)}"
build
with_root describe
echo "$IMAGE"
