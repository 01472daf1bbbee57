#!/usr/bin/env bash
# Usage: make_machine.sh NAME BASE BUILDAH [ARGUMENT...]
# Makes an image of a machine with systemd, and with the packages that the guide says a
# machine needs which the server is copied to; nothing else.
set -euo pipefail

name=$1
base=$2
buildah=("${@:3}")
guide=docs/deploy/systemd.md

packages=$(sed -n '/--no-install-recommends/,/^```/p' "$guide" |
  sed 's/.*--no-install-recommends//; s/\\//; /```/d' | xargs)
container=$("${buildah[@]}" from --pull-never "$base")
# shellcheck disable=SC2086  # several packages
"${buildah[@]}" run "$container" -- sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive \
  apt-get install -q -y --no-install-recommends systemd "$@" && rm -rf /var/lib/apt/lists/*' \
  sh $packages >"$TMPDIR/machine.log" 2>&1 || { cat "$TMPDIR/machine.log" >&2; exit 1; }
"${buildah[@]}" commit --quiet --rm "$container" "$name" >/dev/null
