"""Files to and from the server's streams."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Union

from warmstart.v1.model_initializer_pb2 import (
    FileHeader,
    SaveModelHeader,
    SaveModelRequest,
)

if TYPE_CHECKING:
    import torch

PathLike = Union[str, "os.PathLike[str]"]
FilesOrState = Union[
    PathLike, Sequence[PathLike], Mapping[str, "torch.Tensor"], "torch.nn.Module"
]

CHUNK_BYTES = 1 << 20


def state_of(model: FilesOrState) -> FilesOrState:
    """The state_dict of a module; anything else as it is."""
    state_dict = getattr(model, "state_dict", None)
    return state_dict() if callable(state_dict) else model


@contextmanager
def as_files(model: FilesOrState) -> Iterator[list[Path]]:
    """The files to upload; those of a state_dict are written and removed."""
    if isinstance(model, Mapping):
        import torch  # noqa: PLC0415  needed only here

        with tempfile.TemporaryDirectory(prefix="warmstart-") as folder:
            path = Path(folder) / "state_dict.pt"
            torch.save(model, path)
            yield [path]
    elif isinstance(model, (str, os.PathLike)):
        yield [Path(model)]
    else:
        yield [Path(one) for one in model]


def upload_stream(
    header: SaveModelHeader, files: Sequence[Path]
) -> Iterator[SaveModelRequest]:
    """The messages of one SaveModel call; raises where a file is not there."""
    # Here and not while gRPC iterates: it would hide what went wrong.
    sizes = [path.stat().st_size for path in files]
    return _upload_stream(header, files, sizes)


def _upload_stream(
    header: SaveModelHeader, files: Sequence[Path], sizes: Sequence[int]
) -> Iterator[SaveModelRequest]:
    yield SaveModelRequest(header=header)
    for path, size in zip(files, sizes, strict=True):
        yield SaveModelRequest(file=FileHeader(name=path.name, size=size))
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield SaveModelRequest(chunk=chunk)


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` once all of it is there."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with scratch.open("xb") as file:
            yield file
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
