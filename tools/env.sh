#!/usr/bin/env bash
# Sourced by the other scripts: where things are.
#
#   WARMSTART_ROOT   this clone
#   WARMSTART_CACHE  what all clones share (default: ~/.cache/warmstart)
#   WARMSTART_VENV   the virtual environment; its name follows from what is in it,
#                    so that another version of the requirements gets another one
#   WARMSTART_DEPLOY_TOOLS  the tools that tools/setup_deploy.sh installs
#   WARMSTART_JOBS   how many compilers to run at a time
#
# The cache and the jobs can be set from outside. `tools/env.sh` run as a program
# prints WARMSTART_VENV.

# A user without HOME has a home all the same.
export HOME="${HOME:-$(echo ~)}"

WARMSTART_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${WARMSTART_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/warmstart}"

# Debian's own Python, whatever else is first in PATH.
WARMSTART_BASE_PYTHON=/usr/bin/python3
if [[ ! -x $WARMSTART_BASE_PYTHON ]]; then
  WARMSTART_BASE_PYTHON=$(command -v python3 || true)
fi

WARMSTART_VENV=$WARMSTART_CACHE/venv-$(
  { cat "$WARMSTART_ROOT"/tools/requirements{,-models,-data}.txt
    [[ -z $WARMSTART_BASE_PYTHON ]] || "$WARMSTART_BASE_PYTHON" --version
  } | sha256sum | cut -c1-12)

WARMSTART_HELM_VERSION=3.22.0
WARMSTART_DEPLOY_TOOLS=$WARMSTART_CACHE/deploy-tools-$(
  { echo "$WARMSTART_VENV $WARMSTART_HELM_VERSION"
    cat "$WARMSTART_ROOT/tools/dclint/package-lock.json"
  } | sha256sum | cut -c1-12)

# A compiler of a file with LibTorch's headers takes up to 2 GiB.
if [[ -z ${WARMSTART_JOBS:-} ]]; then
  WARMSTART_JOBS=$(nproc)
  _fit=$(($(awk '/^MemAvailable:/ {print $2}' /proc/meminfo) / 2097152))
  ((_fit >= 1)) || _fit=1
  ((_fit >= WARMSTART_JOBS)) || WARMSTART_JOBS=$_fit
  unset _fit
fi

# Clones in different folders share what ccache keeps; it tells locales apart, in
# which messages of the compiler may differ.
: "${CCACHE_BASEDIR:=$WARMSTART_ROOT}" "${CCACHE_NOHASHDIR:=1}"
unset LC_ALL LC_CTYPE LC_MESSAGES
LANG=C.UTF-8

export WARMSTART_ROOT WARMSTART_CACHE WARMSTART_VENV WARMSTART_JOBS
export WARMSTART_HELM_VERSION WARMSTART_DEPLOY_TOOLS
export CCACHE_BASEDIR CCACHE_NOHASHDIR LANG

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  echo "$WARMSTART_VENV"
fi
