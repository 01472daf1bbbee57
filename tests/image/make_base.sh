#!/usr/bin/env bash
# Usage: make_base.sh NAME PYTHON BUILDAH [ARGUMENT...]
# Makes an image of Debian 12 from packages, as the base to build with where no
# registry of images is at hand. It takes packages from where this machine takes
# them: apt's and pip's configuration go along, and so do this machine's certificates.
set -euo pipefail

name=$1
python=$2
buildah=("${@:3}")

# Where apt gets Debian 12, one "URI SUITE COMPONENT" a line.
debian_sources() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' | grep ' bookworm[ -]' | sort -u
}

configure_apt() {
  rm -f "$1"/etc/apt/sources.list.d/*
  debian_sources | sed 's/^/deb /' >"$1/etc/apt/sources.list"
  apt-config dump |
    grep -E '^Acquire::(https?::|Retries|Check-Valid-Until|Check-Date)' \
      >"$1/etc/apt/apt.conf.d/50machine" || true
}

# What pip was told by files and by the environment, but for folders, which are not
# there inside. "global.cert='/x'" and ":env:.cert='/x'" become "cert = /x".
configure_pip() {
  local certificates=/etc/machine-certificates.crt
  cp --dereference "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" \
    "$1$certificates"
  { echo "[global]"
    "$python" -m pip config list |
      sed -nE "s/^[^=]*\.([a-z-]+)='(.*)'$/\1 = \2/p" |
      grep -E '^(index-url|extra-index-url|proxy|trusted-host|default-timeout|retries) =' |
      sort -u -t= -k1,1 || true
    echo "cert = $certificates"
  } >"$1/etc/pip.conf"
}

debian_sources | grep -q . || apt-get update -q >/dev/null
container=$("${buildah[@]}" from scratch)
root=$("${buildah[@]}" mount "$container")
mirror=$(debian_sources | awk '$2 == "bookworm" { print $1; exit }')
debootstrap --variant=minbase bookworm "$root" \
  ${mirror:+"$mirror"} >"$root.log" 2>&1 || { cat "$root.log" >&2; exit 1; }
configure_apt "$root"
configure_pip "$root"
"${buildah[@]}" commit --quiet --rm "$container" "$name" >/dev/null
