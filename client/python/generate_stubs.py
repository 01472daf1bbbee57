"""Generates warmstart/v1/, the API's stubs, from the protos.

    python generate_stubs.py [--protos DIR]

The protos' own package path, warmstart/v1, is where the stubs go, so the imports
in generated code are right as protoc writes them. Does nothing while the stubs
are newer than the protos. Needs grpcio-tools.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTOS = HERE.parents[1] / "proto"
STUBS = HERE / "warmstart" / "v1"
INIT = '"""The generated API, package warmstart.v1."""\n'


def up_to_date(sources: list[Path], stubs: Path) -> bool:
    """Tells whether `stubs` were made from `sources` as they are now."""
    stamp = stubs / "__init__.py"
    if not stamp.exists():
        return False
    newest = max(path.stat().st_mtime for path in [*sources, Path(__file__)])
    return stamp.stat().st_mtime >= newest


def run_protoc(protos: Path, names: list[str], out: Path) -> None:
    """Runs protoc for Python, gRPC and type stubs."""
    from grpc_tools import _proto, protoc  # noqa: PLC0415  only where it is needed

    well_known = next(iter(_proto.__path__))
    status = protoc.main(
        [
            "protoc",
            f"-I{protos}",
            f"-I{well_known}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            f"--grpc_python_out={out}",
            *names,
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc failed with {status}")


def generate(protos: Path = PROTOS) -> Path:
    """Makes the stubs where they are missing or old; returns their folder.

    Safe to run from several processes at once: each file is put in place whole,
    the one that says that all are there comes last.
    """
    sources = sorted((protos / "warmstart" / "v1").glob("*.proto"))
    if not sources:
        raise FileNotFoundError(f"no protos in {protos}/warmstart/v1")
    if up_to_date(sources, STUBS):
        return STUBS
    STUBS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".stubs-") as scratch:
        out = Path(scratch)
        run_protoc(protos, [f"warmstart/v1/{p.name}" for p in sources], out)
        for made in sorted((out / "warmstart" / "v1").iterdir()):
            os.replace(made, STUBS / made.name)
        (out / "__init__.py").write_text(INIT)
        os.replace(out / "__init__.py", STUBS / "__init__.py")
    return STUBS


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Generates warmstart/v1/.")
    parser.add_argument("--protos", type=Path, default=PROTOS)
    print(generate(parser.parse_args().protos))
    return 0


if __name__ == "__main__":
    sys.exit(main())
