#!/usr/bin/env bash
# Installs what building and testing need: Debian packages, and a virtual
# environment that all clones share. Does nothing where that is done already.
set -euo pipefail

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

list_packages() {
  sed 's/#.*//' "$(dirname "$0")/apt-packages.txt" | xargs -n1
}

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' \
                "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "these Debian packages are missing, and there is no sudo to install" \
         "them with. As root, run: apt-get install --no-install-recommends" \
         "${missing[*]}"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@"
}

install_packages() {
  local wanted
  mapfile -t wanted < <(list_packages)
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "no Debian packages here: see tools/apt-packages.txt for what is needed"
    return
  fi
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  if ((${#missing[@]} == 0)); then
    say "Debian packages: all ${#wanted[@]} are installed"
    return
  fi
  say "Debian packages: installing ${#missing[@]} of ${#wanted[@]}:" \
      "${missing[*]}"
  apt_get update >/dev/null || fail "apt-get update failed"
  apt_get install --no-install-recommends "${missing[@]}" >"$log" 2>&1 || {
    cat "$log" >&2
    fail "apt-get could not install them"
  }
}

# The wheels of torch and CUDA take 5 GB unpacked, and pip keeps what it downloads.
require_space() {
  local free_gib
  free_gib=$(($(df -Pk "$WARMSTART_CACHE" | awk 'NR == 2 {print $4}') / 1048576))
  ((free_gib >= 10)) ||
    fail "$WARMSTART_CACHE has $free_gib GiB left, and 10 are needed." \
         "WARMSTART_CACHE=FOLDER puts it elsewhere."
}

make_venv() {
  [[ -n $WARMSTART_BASE_PYTHON ]] || fail "there is no python3"
  mkdir -p "$WARMSTART_CACHE"
  require_space
  # pip's scripts hold the path that they were installed at, so the environment is
  # made where it stays. One maker at a time, and a stamp says that it is whole.
  exec 9>"$WARMSTART_VENV.lock"
  flock -n 9 || { say "waiting for another set-up to end"; flock 9; }
  [[ ! -e $WARMSTART_VENV/.complete ]] || return 0

  say "virtual environment: making $WARMSTART_VENV (5 GB, a few minutes)"
  rm -rf "$WARMSTART_VENV"
  "$WARMSTART_BASE_PYTHON" -m venv "$WARMSTART_VENV"
  local pip=("$WARMSTART_VENV/bin/python" -m pip
             --disable-pip-version-check --no-input)
  [[ -t 1 ]] || pip+=(--quiet)
  "${pip[@]}" install -r tools/requirements.txt -r tools/requirements-models.txt
  "${pip[@]}" install --no-deps -r tools/requirements-data.txt
  touch "$WARMSTART_VENV/.complete"
}

cd "$(dirname "$0")/.."
[[ $(uname -s) == Linux ]] || fail "this works on Linux alone"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install_packages
source tools/env.sh
[[ -e $WARMSTART_VENV/.complete ]] || make_venv
say "virtual environment: $WARMSTART_VENV"
say "LibTorch: $(sed -n 's/^torch==//p' tools/requirements.txt), the wheel's;" \
    "for your own: make build CMAKE_ARGS=-DLIBTORCH_ROOT=/path/to/libtorch"
