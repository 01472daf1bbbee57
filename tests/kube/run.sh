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
  cat tests/kube/go.* "$0" | sha256sum | cut -c1-12)

# As Kubernetes' own releases are made: the server knows its version, and Helm asks.
version=$(sed -n 's/^\tk8s.io\/kubernetes v//p' tests/kube/go.mod)
known=k8s.io/component-base/version
flags="-s -w -X $known.gitVersion=v$version -X $known.gitMajor=1"
flags+=" -X $known.gitMinor=$(cut -d. -f2 <<<"$version")"

# go_build NAME PACKAGE
go_build() {
  echo "building $1 (minutes)"
  (cd tests/kube && GOPATH=$work/go GOCACHE=$work/cache GOTOOLCHAIN=local \
    CGO_ENABLED=0 "$WARMSTART_VENV/bin/go" build -p "$WARMSTART_JOBS" -trimpath \
    -ldflags "$flags" -o "$WARMSTART_KUBE/$1" "$2") >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
}

if [[ ! -e $WARMSTART_KUBE/.complete ]]; then
  mkdir -p "$WARMSTART_KUBE"
  # What Go downloads and compiles on the way is of no use later.
  work=$(mktemp -d)
  trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
  go_build etcd go.etcd.io/etcd/server/v3
  go_build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
  touch "$WARMSTART_KUBE/.complete"
fi
"$WARMSTART_VENV/bin/python" -m pytest -q -p no:cacheprovider "$@" tests/kube
