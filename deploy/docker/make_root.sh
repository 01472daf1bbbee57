#!/usr/bin/env bash
# Usage: make_root.sh FOLDER
# Makes the root of an image: the programs, all libraries that they need, and what
# scanners and lawyers look for: which Debian packages and wheels those are from, and
# their licenses. Run in the build of the image, after build/ was made.
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$1
wheels=/opt/python
user_id=10001
data=/var/lib/warmstart

# LibTorch comes with names for debuggers, a fifth of it.
install_programs() {
  DESTDIR=$root cmake --install build --prefix /usr --strip
  strip --strip-unneeded "$root"/usr/lib/warmstart/torch/lib/*.so*
}

# What ldd says of all that was installed.
linked_with() {
  find "$root/usr" -type f \( -path '*/bin/*' -o -name '*.so*' \) -print0 | xargs -0 ldd
}

# The files of Debian in that, the loader included.
debian_libraries() {
  grep -oE '/[^ ]+\.so[^ ]*' <<<"$1" | grep -v "^$root" | xargs realpath | sort -u
}

# ldconfig makes the links by which the libraries are asked for, and the cache. The
# loader's own link, in the interpreter's path, is not its affair.
install_debian_libraries() {
  local loader
  loader=$(ldd "$root/usr/bin/warmstart" | grep -oE '^\s*/[^ ]+' | tr -d '[:space:]')
  mkdir -p "$root/usr/lib" "$root/usr/lib64" "$root/etc"
  ln -s usr/lib usr/lib64 "$root"
  cp --parents "$@" "$root"
  ln -sf "$(realpath "$loader")" "$root$loader"
  cp -r /etc/ld.so.conf /etc/ld.so.conf.d "$root/etc"
  ldconfig -r "$root"
}

# Debian's records name some libraries as they were before /lib became a link.
owner_of() {
  { dpkg-query --search "$1" || dpkg-query --search "${1#/usr}"; } 2>/dev/null |
    cut -d: -f1
}

# One file for each package, as distroless images have it.
record_package() {
  local records=$root/var/lib/dpkg/status.d licenses=$root/usr/share/doc/$1
  mkdir -p "$records" "$licenses"
  dpkg-query --status "$1" >"$records/$1"
  cp --dereference "/usr/share/doc/$1/copyright" "$licenses"
}

# The wheels of which libraries were installed, by the list of files that each has.
record_wheels() {
  local info library
  for info in "$wheels"/*.dist-info; do
    while read -r library; do
      if grep -q "^$library," "$info/RECORD"; then
        mkdir -p "$root/usr/lib/warmstart/${info##*/}"
        cp "$info/METADATA" "$root/usr/lib/warmstart/${info##*/}"
        (cd "$info" && find . -iname '*licen[sc]e*' -type f -o -name 'NOTICE*' |
          xargs -r cp --parents -t "$root/usr/lib/warmstart/${info##*/}")
        break
      fi
    done < <(cd "$root/usr/lib/warmstart" && find . -name '*.so*' -type f -printf '%P\n')
  done
}

# Names for the user's number, and for localhost where no engine brings /etc/hosts; a
# /tmp to mount over; and the data's folder, which a new volume gets its owner from.
make_user() {
  echo "warmstart:x:$user_id:$user_id:Warmstart:$data:/nonexistent" \
    >"$root/etc/passwd"
  echo "warmstart:x:$user_id:" >"$root/etc/group"
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' \
    >"$root/etc/nsswitch.conf"
  printf '%s\n' '127.0.0.1 localhost' '::1 localhost' >"$root/etc/hosts"
  mkdir -p "$root/dev" "$root/proc" "$root/sys"
  mkdir -m 1777 "$root/tmp"
  install -d -m 0750 -o "$user_id" -g "$user_id" "$root$data"
}

mkdir -p "$root"
install_programs
linked=$(linked_with)
if grep 'not found' <<<"$linked" >&2; then exit 1; fi
mapfile -t libraries < <(debian_libraries "$linked")
install_debian_libraries "${libraries[@]}"
# nlohmann-json3-dev has headers alone, and is compiled in.
packages=$(for library in "${libraries[@]}"; do owner_of "$library"; done | sort -u)
for package in $packages nlohmann-json3-dev; do
  record_package "$package"
done
record_wheels
make_user
