#!/usr/bin/env bash
# Usage: fetch_libtorch.sh cpu|cuda
# Unpacks LibTorch into /opt/python, of the version in tools/requirements.txt, with
# the wheels of CUDA that it needs: on a CPU, the two that libtorch_cpu.so is linked
# with. Run in the build of the image.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=/opt/python
# Where the Dockerfile mounts a cache.
export PIP_CACHE_DIR=/root/.cache/pip

pinned() {
  grep -E "^$1==" tools/requirements.txt
}

# What torch requires, one a line and without the conditions, as pip takes it.
torch_requires() {
  sed -n 's/^Requires-Dist: \([^;]*\).*/\1/p' "$folder"/torch-*.dist-info/METADATA
}

# --target is to hold exactly what is named here.
fetch() {
  python3 -m pip install --quiet --root-user-action=ignore --no-warn-conflicts \
    --target "$folder" "$@"
}

case $1 in
  cpu)
    fetch --no-deps "$(pinned torch)" "$(pinned googleapis-common-protos)"
    fetch "cuda-toolkit[cudart,cupti]$(
      torch_requires | sed -n 's/^cuda-toolkit\[.*\]//p')"
    ;;
  cuda)
    mapfile -t wheels < <(torch_requires | grep -E '^(cuda-toolkit|nvidia-)')
    fetch --upgrade "${wheels[@]}"
    ;;
  *)
    echo "Usage: fetch_libtorch.sh cpu|cuda" >&2
    exit 2
    ;;
esac
