#!/usr/bin/env bash
# Usage: tests/image/run.sh [PYTEST ARGUMENT...]
#        tests/image/run.sh --build-only TARGET
# Builds the image from deploy/docker/Dockerfile without a daemon, on a base made from
# Debian's packages, and runs it, in namespaces of its own; and boots a machine with
# systemd in the same way, for the unit.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools/setup.sh
tools/setup_deploy.sh
source tools/env.sh
[[ $(id -u) == 0 ]] || exec sudo --preserve-env=WARMSTART_CACHE,HOME "$0" "$@"

# Layers that share files save minutes, where the kernel lets them (no container in a
# container, for one).
can_overlay() {
  local folder=$store/overlay-probe
  mkdir -p "$folder"/{lower,upper,work,merged}
  mount -t overlay overlay "$folder/merged" -o \
    "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" 2>/dev/null &&
    umount "$folder/merged"
}

# What is downloaded and compiled is kept, and the layers with it.
store=$WARMSTART_CACHE/images
mkdir -p "$store/tmp/buildah-cache"
# One at a time; what a run that was killed left behind goes.
exec 8>"$store/lock"
flock 8
export TMPDIR=$store/tmp ENGINE=buildah BUILDAH_ISOLATION=chroot
driver=vfs
! can_overlay || driver=overlay
export ENGINE_ARGS="--storage-driver $driver --root $store/root --runroot $store/run"
export BASE_IMAGE=localhost/warmstart-base:bookworm
export IMAGE=localhost/warmstart:test
export BUILD_ARGS=--layers
read -ra buildah <<<"buildah $ENGINE_ARGS"
"${buildah[@]}" rm --all >/dev/null

# The compiler's cache is the one that other builds fill.
ccache=$(ccache --get-config cache_dir)
mkdir -p "$ccache"
ln -sfn "$ccache" "$TMPDIR/buildah-cache/warmstart-ccache"

have() {
  "${buildah[@]}" inspect --type image "$1" >/dev/null 2>&1
}

have "$BASE_IMAGE" ||
  tests/image/make_base.sh "$BASE_IMAGE" "$WARMSTART_VENV/bin/python" "${buildah[@]}"
if [[ ${1:-} == --build-only ]]; then
  IMAGE=localhost/warmstart:test-$2 exec deploy/docker/build.sh "$2"
fi
deploy/docker/build.sh cpu
# Layers of former builds are kept until they are many.
gigabytes=$(($(du -sk "$store/root" | cut -f1) / 1000000))
((gigabytes < 15)) || "${buildah[@]}" rmi --prune >/dev/null

# A machine with systemd, of the packages that its guide names.
machine=localhost/warmstart-machine:$(
  cat docs/deploy/systemd.md tests/image/make_machine.sh | sha256sum | cut -c1-12)
have "$machine" ||
  tests/image/make_machine.sh "$machine" "$BASE_IMAGE" "${buildah[@]}"

# The tests see both as folders, and what the image says of itself as a file.
containers=()
trap '"${buildah[@]}" rm "${containers[@]}" >/dev/null' EXIT
# root_of IMAGE VARIABLE
root_of() {
  containers+=("$("${buildah[@]}" from --pull-never "$1")")
  export "$2=$("${buildah[@]}" mount "${containers[-1]}")"
}
root_of "$IMAGE" WARMSTART_IMAGE_ROOT
root_of "$machine" WARMSTART_MACHINE_ROOT
export WARMSTART_IMAGE_INSPECTED=$PWD/build/image/inspected.json
"${buildah[@]}" inspect --type image "$IMAGE" >"$WARMSTART_IMAGE_INSPECTED"
unset TMPDIR
"$WARMSTART_VENV/bin/python" -m pytest -q -p no:cacheprovider "$@" tests/image
