#!/usr/bin/env bash
# Usage: contents.sh ROOT
# Prints what is in an image whose root is the folder ROOT: all files from 1 MB up,
# the rest by folder, and the sum.
set -euo pipefail
cd "$1"

find . -type f -printf '%s %P\n' | sort -rn | awk '
  { sum += $1; count++ }
  $1 >= 1e6 { printf "%8.1f MB  %s\n", $1 / 1e6, $2; next }
  { n = split($2, part, "/")
    folder = n > 3 ? part[1] "/" part[2] "/" part[3] : $2
    sub("/[^/]*$", "", folder)
    if (n > 3) folder = part[1] "/" part[2] "/" part[3]
    small[folder] += $1; files[folder]++ }
  END {
    for (folder in small)
      printf "%8.1f MB  %s (%d files under 1 MB)\n", small[folder] / 1e6, folder, files[folder]
    printf "%8.1f MB  all %d files\n", sum / 1e6, count
  }'
