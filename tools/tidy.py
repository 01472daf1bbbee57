#!/usr/bin/env python3
"""Runs clang-tidy over the project's own sources, in parallel.

A file that was found clean is not looked at again until something changes that the
result depends on: the file, what it includes, its compile command, the checks, or
clang-tidy itself. build/ must be up to date: Ninja knows there what includes what.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = tuple(f"{ROOT}/{top}/" for top in ("server", "client", "tests"))


@cache
def digest(path: str) -> bytes:
    return hashlib.sha256(Path(path).read_bytes()).digest()


def read_dependencies(build: Path) -> dict[str, list[str]]:
    """The files that each object was compiled from, as Ninja's log has them."""
    log = subprocess.run(
        ["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True
    )
    dependencies: dict[str, list[str]] = {}
    current: list[str] = []
    for line in log.stdout.splitlines():
        if line.startswith("    "):
            current.append(os.path.join(build, line.strip()))
        elif line.endswith("(VALID)"):
            current = dependencies[line.split(":")[0]] = []
        else:
            current = []
    return dependencies


class Tidy:
    def __init__(self, program: str, build: Path, store: Path):
        self.program = program
        self.build = build
        self.store = store
        self.dependencies = read_dependencies(build)
        version = subprocess.run(
            [program, "--version"], capture_output=True, check=True
        )
        self.base = hashlib.sha256(version.stdout + digest(f"{ROOT}/.clang-tidy"))

    def stamp(self, entry: dict) -> Path | None:
        """The file whose presence says that the source is clean."""
        dependencies = self.dependencies.get(entry["output"])
        if not dependencies:
            return None
        key = self.base.copy()
        key.update(entry["command"].encode())
        for path in sorted(dependencies):
            key.update(path.encode() + digest(path))
        return self.store / key.hexdigest()

    def check(self, entry: dict) -> bool:
        stamp = self.stamp(entry)
        if stamp and stamp.exists():
            return True
        result = subprocess.run(
            [self.program, "-p", self.build, "--quiet", entry["file"]],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode == 0:
            if stamp:
                stamp.touch()
            return True
        print(result.stdout or result.stderr, flush=True)
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clang-tidy", default="clang-tidy")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--cache", type=Path, required=True, help="where stamps go")
    parser.add_argument("files", nargs="*", help="all, if none is given")
    options = parser.parse_args()

    options.cache.mkdir(parents=True, exist_ok=True)
    build = options.build.resolve()
    wanted = {str(Path(name).resolve()) for name in options.files}
    entries = [
        entry
        for entry in json.loads((build / "compile_commands.json").read_text())
        if (entry["file"] in wanted if wanted else entry["file"].startswith(OURS))
    ]
    if not entries:
        sys.exit("tidy: no such file is compiled")
    tidy = Tidy(options.clang_tidy, build, options.cache)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(tidy.check, entries))
    failed = results.count(False)
    print(f"clang-tidy: {len(results)} files, {failed} with complaints")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
