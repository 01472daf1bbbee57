#!/usr/bin/env python3
"""Checks that each room knows only what the arrows of ARCHITECTURE.md allow.

Reads the #include lines and CMakeLists.txt of server/, client/ and tests/, and,
with --compile-commands, the include folders that the compiler really gets.
Prints one line for each broken rule and exits with 1 if there is any.
"""

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Room:
    """What the files of one folder may include, besides their own."""

    knows: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()


def room(*knows: str, libraries: tuple[str, ...] = ()) -> Room:
    return Room(frozenset(knows), frozenset(libraries))


_PARTS = ("server/format", "server/planner", "server/store", "server/torch")
_VOCABULARY = ("server/base", "server/model")

ROOMS = {
    "server/base": room(),
    "server/model": room("server/base"),
    "server/format": room(*_VOCABULARY),
    "server/planner": room(*_VOCABULARY),
    "server/store": room(*_VOCABULARY, libraries=("SQLite",)),
    "server/torch": room(*_VOCABULARY, libraries=("LibTorch",)),
    "server/service": room(*_VOCABULARY, *_PARTS),
    # Records of the store are what the service hands out.
    "server/rpc": room(
        *_VOCABULARY,
        "server/service",
        "server/store",
        libraries=("HTTP", "Prometheus", "gRPC"),
    ),
    # main.cc wires everything.
    "server": room(
        *_VOCABULARY, *_PARTS, "server/service", "server/rpc", libraries=("gRPC",)
    ),
    "client/cpp": room(libraries=("gRPC",)),
    "client/cli": room("client/cpp", libraries=("gRPC",)),
    "tests/testing": room(*_VOCABULARY),
    "tests/client": room(
        "client/cpp", "client/cli", "tests/testing", libraries=("gRPC",)
    ),
    "tests/bench": room(
        *_VOCABULARY,
        "server/planner",
        "server/store",
        "tests/store",
        "tests/testing",
        libraries=("gRPC",),
    ),
    "tests/fuzz": room(*_VOCABULARY, "server/format", "tests/format", "tests/testing"),
}


@dataclass(frozen=True)
class Library:
    """How a library that only some rooms may use shows itself."""

    include: re.Pattern[str]
    target: re.Pattern[str]
    # A file in its include folder, where that folder must not be seen by others.
    marker: str = ""


LIBRARIES = {
    "LibTorch": Library(
        re.compile(r"(torch|ATen|c10|caffe2)/"),
        re.compile(r"LibTorch(::\w+)?|torch_(cpu|cuda)|c10"),
        marker="ATen/ATen.h",
    ),
    "gRPC": Library(
        re.compile(r"(grpc|grpcpp|grpc\+\+|google/protobuf)/|.*\.pb\.h$"),
        re.compile(r"gRPC::.*|protobuf::.*|warmstart_proto"),
    ),
    "HTTP": Library(re.compile(r"httplib\.h"), re.compile(r"PkgConfig::HTTPLIB")),
    "Prometheus": Library(
        re.compile(r"prometheus/"), re.compile(r"PkgConfig::PROMETHEUS")
    ),
    "SQLite": Library(re.compile(r"sqlite3"), re.compile(r"SQLite::\w+")),
}


def room_of(path: str) -> str | None:
    """The room that a path (from the root) belongs to."""
    folder = "/".join(Path(path).parts[:-1][:2])
    # tests/ mirrors server/.
    mirrored = re.sub("^tests/", "server/", folder)
    return folder if folder in ROOMS or mirrored in ROOMS else None


def allowed(name: str) -> Room:
    """What a room may know. A room's tests know the room, what that knows, and the
    helpers of the tests of that."""
    if name in ROOMS:
        return ROOMS[name]
    tested = "server/" + Path(name).name
    knows = ROOMS[tested].knows | {tested}
    helpers = {known.replace("server/", "tests/") for known in knows}
    return Room(knows | helpers | {"tests/testing"}, ROOMS[tested].libraries)


@dataclass
class Lint:
    root: Path
    errors: list[str] = field(default_factory=list)

    def report(self, path: Path, line: int, message: str) -> None:
        self.errors.append(f"{path.relative_to(self.root)}:{line}: {message}")

    def files(self, *patterns: str) -> Iterator[tuple[Path, str]]:
        """The files of all rooms that fit a pattern, each with its room."""
        for top in ("server", "client", "tests"):
            for pattern in patterns:
                for path in sorted((self.root / top).rglob(pattern)):
                    relative = path.relative_to(self.root).as_posix()
                    name = room_of(relative)
                    if name is not None:
                        yield path, name
                    elif path.suffix in {".h", ".cc"}:
                        self.report(path, 1, "is in no room that this lint knows")

    def check_knows(self, path: Path, line: int, me: str, other: str) -> None:
        if other != me and other not in allowed(me).knows:
            self.report(path, line, f"{me} must not know {other}")

    def check_library(self, path: Path, line: int, me: str, name: str) -> None:
        if name not in allowed(me).libraries:
            self.report(path, line, f"{me} must not know {name}")

    # Includes and guards.

    def check_sources(self) -> None:
        for path, me in self.files("*.h", "*.cc"):
            text = path.read_text()
            for number, line in enumerate(text.splitlines(), 1):
                match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
                if match:
                    self.check_include(path, number, me, match[1])
            if path.suffix == ".h":
                self.check_guard(path, text)

    def check_include(self, path: Path, line: int, me: str, target: str) -> None:
        other = room_of(target)
        if other is not None:
            self.check_knows(path, line, me, other)
        elif (path.parent / target).exists():
            self.report(path, line, f'"{target}" is to be included by its full path')
        for name, library in LIBRARIES.items():
            if library.include.match(target):
                self.check_library(path, line, me, name)

    def check_guard(self, path: Path, text: str) -> None:
        relative = path.relative_to(self.root).as_posix()
        guard = "WARMSTART_" + re.sub(r"\W", "_", relative).upper() + "_"
        opening = re.search(r"^#ifndef (\w+)\n#define (\w+)$", text, re.MULTILINE)
        if not (
            opening
            and opening[1] == opening[2] == guard
            and text.rstrip().endswith(f"#endif  // {guard}")
        ):
            self.report(path, 1, f"the include guard should be {guard}")

    # CMake's targets.

    def check_targets(self) -> None:
        targets = dict(self.find_targets())
        for path, me in self.files("CMakeLists.txt"):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                for token in re.findall(r"[\w:+.]+", line.split("#")[0]):
                    if targets.get(token, me) != me:
                        self.check_knows(path, number, me, targets[token])
                    for name, library in LIBRARIES.items():
                        if library.target.fullmatch(token):
                            self.check_library(path, number, me, name)

    def find_targets(self) -> Iterator[tuple[str, str]]:
        for path, me in self.files("CMakeLists.txt"):
            text = re.sub(r"#.*", "", path.read_text())
            for name in re.findall(r"\bwarmstart_room\(\s*(\w+)", text):
                yield "warmstart_" + name, me
            for name in re.findall(r"\badd_library\(\s*(\w+)", text):
                yield name, me

    # What the compiler gets.

    def check_compile_commands(self, database: Path) -> None:
        for entry in json.loads(database.read_text()):
            path = Path(entry["directory"], entry["file"]).resolve()
            me = None
            if path.is_relative_to(self.root):
                me = room_of(path.relative_to(self.root).as_posix())
            may = allowed(me).libraries if me else ()  # none: it is generated
            for name, library in LIBRARIES.items():
                if name not in may and library.marker:
                    for folder in include_folders(entry):
                        if (folder / library.marker).exists():
                            self.errors.append(
                                f"{path}: is compiled with {name}'s include "
                                f"folder {folder}"
                            )


def include_folders(entry: dict) -> Iterator[Path]:
    arguments = entry.get("arguments") or shlex.split(entry["command"])
    for flag, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if flag in {"-I", "-isystem", "-iquote"}:
            yield Path(entry["directory"], following)
        elif flag.startswith("-I"):
            yield Path(entry["directory"], flag[2:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).resolve().parent.parent
    )
    parser.add_argument("--compile-commands", type=Path, metavar="FILE")
    options = parser.parse_args()

    lint = Lint(options.root.resolve())
    lint.check_sources()
    lint.check_targets()
    if options.compile_commands:
        lint.check_compile_commands(options.compile_commands)
    print(*lint.errors, sep="\n", end="\n" if lint.errors else "")
    return 1 if lint.errors else 0


if __name__ == "__main__":
    sys.exit(main())
