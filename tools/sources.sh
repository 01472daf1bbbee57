#!/usr/bin/env bash
# Usage: tools/sources.sh PATTERN...
# Lists the files of this clone that fit, new ones too, ignored ones not.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files --cached --others --exclude-standard --deduplicate -- "$@" |
  while read -r file; do
    # A file that was removed is listed until that is committed.
    [[ ! -e $file ]] || echo "$file"
  done
