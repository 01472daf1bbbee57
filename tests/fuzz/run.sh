#!/usr/bin/env bash
# Runs every fuzzer: first on what once broke a reader, then on inputs of its own
# making, which start from those that make_corpus.py makes and that earlier runs
# found interesting. Stops at the first input that breaks a promise, takes more
# than 10 seconds or more than 2 GiB, and leaves it in BUILD_FOLDER/fuzz/found/.
#
# Usage: tests/fuzz/run.sh BUILD_FOLDER PYTHON SECONDS [FUZZER...]
#   BUILD_FOLDER   where the target `fuzzers` was built
#   PYTHON         one with torch and safetensors
#   SECONDS        for each fuzzer
set -euo pipefail

build=$(realpath "$1") python=$2 seconds=$3
shift 3
sources=$(realpath "$(dirname "$0")")
seeds=$build/fuzz/seeds
found=$build/fuzz/found
mkdir -p "$found"

# Made anew where what makes them is newer.
if [[ ! -e $seeds/.complete ||
      -n $(find "$sources/make_corpus.py" "$sources/../format/make_testdata.py" \
             "$sources/../format/tar_saver.py" \
             -newer "$seeds/.complete") ]]; then
  rm -rf "$seeds"
  "$python" "$sources/make_corpus.py" "$seeds"
  touch "$seeds/.complete"
fi

dictionary_of() {
  case $1 in
    fuzz_pickle | fuzz_torch_legacy) echo pickle.dict ;;
    fuzz_safetensors* | fuzz_sharded_set) echo json.dict ;;
    fuzz_torch_tar) echo tar.dict ;;
    fuzz_torch_zip) echo zip.dict ;;
    *) echo "run.sh: no dictionary for $1" >&2 && return 1 ;;
  esac
}

fuzzers=("$@")
if [[ ${#fuzzers[@]} -eq 0 ]]; then
  fuzzers=("$build"/bin/fuzz/*)
fi
for fuzzer in "${fuzzers[@]##*/}"; do
  binary=$build/bin/fuzz/$fuzzer
  corpus=$build/fuzz/corpus/$fuzzer
  mkdir -p "$corpus"
  options=(-rss_limit_mb=2048 -timeout=10 "-artifact_prefix=$found/$fuzzer-")
  regressions=("$sources/regressions/$fuzzer"/*)
  if [[ -e ${regressions[0]} ]]; then
    "$binary" "${options[@]}" "${regressions[@]}" 2>"$found/$fuzzer.log" ||
      { tail -n 40 "$found/$fuzzer.log" >&2 && exit 1; }
  fi
  dictionary=$(dictionary_of "$fuzzer")
  echo "$fuzzer: $seconds s"
  "$binary" "${options[@]}" -max_len=20000 "-max_total_time=$seconds" \
    "-dict=$sources/$dictionary" -print_final_stats=1 \
    "$corpus" "$seeds/$fuzzer" 2>"$found/$fuzzer.log" ||
    { tail -n 60 "$found/$fuzzer.log" >&2 && exit 1; }
  grep -E 'number_of_executed_units|peak_rss_mb' "$found/$fuzzer.log"
done
