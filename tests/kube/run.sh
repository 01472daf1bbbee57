#!/usr/bin/env bash
# Usage: tests/kube/run.sh [PYTEST ARGUMENT...]
# Tries the Helm chart on Kubernetes' own API server, with etcd behind it: both are
# built from source the first time, which takes ten minutes or more on two cores. There
# are no nodes, so nothing runs; what the API server checks and admits is for real.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools/setup.sh
tools/setup_deploy.sh
source tools/env.sh

export WARMSTART_KUBE=$WARMSTART_CACHE/kube-$(
  cat tests/kube/go.* | sha256sum | cut -c1-12)
if [[ ! -e $WARMSTART_KUBE/.complete ]]; then
  mkdir -p "$WARMSTART_KUBE"
  for package in go.etcd.io/etcd/server/v3 k8s.io/kubernetes/cmd/kube-apiserver; do
    name=$(basename "${package%/server/v3}")
    echo "building $name"
    (cd tests/kube && GOTOOLCHAIN=local CGO_ENABLED=0 \
      "$WARMSTART_VENV/bin/go" build -p "$WARMSTART_JOBS" -trimpath -ldflags '-s -w' \
      -o "$WARMSTART_KUBE/$name" "$package")
  done
  touch "$WARMSTART_KUBE/.complete"
fi
exec "$WARMSTART_VENV/bin/python" -m pytest -q -p no:cacheprovider "$@" tests/kube
