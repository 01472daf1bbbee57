"""Saving what is in memory by its manifest: tensors the server has stay here.

A `Model` is the same checkpoint that the file is which torch.save would write of the
same value. What only a file can express (classes of one's own, quantized tensors, ...)
is no `Model`, and goes as a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmstart.transfer import CHUNK_BYTES
from warmstart.v1.checkpoints_pb2 import (
    Manifest,
    ManifestEntry,
    ModuleVersion,
    SharedStorage,
)
from warmstart.v1.model_initializer_pb2 import (
    FileHeader,
    SaveModelHeader,
    SaveModelRequest,
)

if TYPE_CHECKING:
    import torch

# The name of the file that brings what is missing.
FILE_NAME = "delta.safetensors"

# Entries in a message: about 1 MiB.
_ENTRIES_IN_MESSAGE = 4096

# Deeper ones, and those that enclose themselves, are left to torch.save.
_MAX_NESTING = 64
# What the vector instructions of whoever maps the file like.
_ALIGNMENT = 64
# Integers beyond it are text in metadata, as in proto3's JSON.
_MAX_EXACT_INT = 1 << 53
_MAX_INT64 = (1 << 63) - 1

_DTYPES = frozenset(
    [
        *("bool", "uint8", "int8", "int16", "int32", "int64"),
        *("uint16", "uint32", "uint64"),
        *("float16", "bfloat16", "float32", "float64"),
        *("complex32", "complex64", "complex128"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"),
        "float8_e8m0fnu",
    ]
)

# Of tensors on a GPU, one at a time has a copy in main memory while it is digested.
_on_device = threading.Lock()


@dataclass(frozen=True)
class Blob:
    """Bytes that the server keeps once: a tensor's values, or a whole storage."""

    tensor: torch.Tensor
    digest: str
    size: int


@dataclass(frozen=True)
class Model:
    """A checkpoint in memory, by its manifest."""

    manifest: Manifest
    blobs: dict[str, Blob]
    """What the server needs to have, by digest."""


def describe(state: Mapping) -> Model | None:
    """Digests a state_dict, or nested ones; None where it has to go as a file."""
    tree = _Tree()
    try:
        plain, has_tensors = tree.visit(state, "", 0)
    except _NeedsFileError:
        return None
    if not has_tensors:
        return None
    metadata = "" if plain is _NOTHING else json.dumps(plain, ensure_ascii=False)
    return tree.model(metadata)


def missing(
    model: Model, find_missing: Callable[[Sequence[str]], Collection[str]]
) -> list[Blob]:
    """The blobs to send, as `find_missing` tells of up to 10000 digests."""
    digests = list(model.blobs)
    found: list[str] = []
    for first in range(0, len(digests), 10000):
        found += find_missing(digests[first : first + 10000])
    return [model.blobs[digest] for digest in found]


def upload_stream(
    header: SaveModelHeader, model: Model, blobs: Sequence[Blob]
) -> Iterator[SaveModelRequest]:
    """The messages of one SaveModel call that brings `blobs`."""
    yield SaveModelRequest(header=header)
    whole = model.manifest
    rest = Manifest()
    rest.CopyFrom(whole)
    rest.ClearField("entries")
    yield SaveModelRequest(manifest=rest)
    for first in range(0, len(whole.entries), _ENTRIES_IN_MESSAGE):
        entries = whole.entries[first : first + _ENTRIES_IN_MESSAGE]
        yield SaveModelRequest(manifest=Manifest(entries=entries))
    if not blobs:
        return
    # Each begins at a multiple of its own element's size: what is a multiple of the
    # most comes first.
    blobs = sorted(blobs, key=lambda blob: -_power_of_two_in(blob.size))
    head = _safetensors_head(blobs)
    size = len(head) + sum(blob.size for blob in blobs)
    yield SaveModelRequest(file=FileHeader(name=FILE_NAME, size=size))
    for first in range(0, len(head), CHUNK_BYTES):
        yield SaveModelRequest(chunk=head[first : first + CHUNK_BYTES])
    for blob in blobs:
        with _bytes_of(blob.tensor) as data:
            for first in range(0, len(data), CHUNK_BYTES):
                chunk = bytes(data[first : first + CHUNK_BYTES])
                yield SaveModelRequest(chunk=chunk)


class _NeedsFileError(Exception):
    """The value can only be expressed by a file."""


@dataclass
class _Storage:
    """A storage, and the entries that are views of it."""

    tensor: torch.Tensor  # one on it
    views: list[int] = field(default_factory=list)


class _Tree:
    """The walk over nested dicts and lists, as the server makes it of a pickle."""

    def __init__(self) -> None:
        self._manifest = Manifest()
        self._tensors: list[torch.Tensor] = []
        # By their identity, in the order of their first tensors.
        self._storages: dict[int, _Storage] = {}
        # PyTorch refuses to save one memory as two types.
        self._dtype_at: dict[int, torch.dtype] = {}
        self._keys: set[str] = set()

    def visit(self, value: object, path: str, depth: int) -> tuple[object, bool]:
        """What of a value is metadata (or `_NOTHING`), and whether it has tensors."""
        if depth > _MAX_NESTING:
            raise _NeedsFileError
        if type(value) in (dict, OrderedDict):
            return self._visit_dict(value, path, depth)
        if type(value) in (list, tuple):
            return self._visit_list(value, path, depth)
        if _is_tensor(value):
            self._add(path, value)
            return _NOTHING, True
        return _plain(value), False

    def model(self, metadata: str) -> Model:
        """All of it, with the digests."""
        self._manifest.metadata_json = metadata
        _keep_first_versions(self._manifest)
        shared = [one for one in self._storages.values() if len(one.views) > 1]
        views = self._describe_views(shared)
        # Of equal views, one stands for all.
        tensor_of = {
            _view_key(tensor) if index in views else index: tensor
            for index, tensor in enumerate(self._tensors)
        }
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            wholes = list(pool.map(_digest, [_whole(one.tensor) for one in shared]))
            values = dict(
                zip(tensor_of, pool.map(_digest, tensor_of.values()), strict=True)
            )
        blobs = {blob.digest: blob for blob in wholes}
        self._manifest.storages.extend(
            SharedStorage(digest=blob.digest, size_bytes=blob.size) for blob in wholes
        )
        for index, entry in enumerate(self._manifest.entries):
            is_view = index in views
            blob = values[_view_key(self._tensors[index]) if is_view else index]
            entry.digest = blob.digest
            if not is_view:
                blobs.setdefault(blob.digest, blob)
        return Model(self._manifest, blobs)

    def _describe_views(self, shared: Sequence[_Storage]) -> set[int]:
        """Says how entries lie in the storages; returns which entries those are."""
        for number, storage in enumerate(shared, start=1):
            for index in storage.views:
                entry, tensor = self._manifest.entries[index], self._tensors[index]
                entry.shared_storage = number
                entry.storage_offset = tensor.storage_offset()
                entry.strides.extend(tensor.stride())
        return {index for storage in shared for index in storage.views}

    def _visit_dict(self, value: Mapping, path: str, depth: int) -> tuple[object, bool]:
        """Of a dict without tensors, neither its path nor its versions stay."""
        subtrees, versions = self._manifest.subtrees, self._manifest.module_versions
        places = len(subtrees), len(versions)
        if type(value) is OrderedDict:
            versions.extend(_module_versions(value, path))
        if depth > 0:
            subtrees.append(path)
        plain, has_tensors = self._visit_members(value, path, depth)
        if not has_tensors:
            del subtrees[places[0] :]
            del versions[places[1] :]
        return plain, has_tensors

    def _visit_members(
        self, value: Mapping, path: str, depth: int
    ) -> tuple[object, bool]:
        plain, any_tensors = {}, False
        names = set()
        for key, member in value.items():
            name = _key(key)
            # Of 1 and "1", a file may have both.
            if name in names:
                raise _NeedsFileError
            names.add(name)
            part, has_tensors = self.visit(member, _join(path, name), depth + 1)
            any_tensors |= has_tensors
            if part is not _NOTHING:
                plain[name] = part
        return (plain if plain or not value else _NOTHING), any_tensors

    def _visit_list(
        self, value: Sequence, path: str, depth: int
    ) -> tuple[object, bool]:
        plain, any_tensors = {}, False
        for index, member in enumerate(value):
            part, has_tensors = self.visit(member, _join(path, str(index)), depth + 1)
            any_tensors |= has_tensors
            if part is not _NOTHING:
                plain[str(index)] = part
        if len(plain) == len(value):
            return list(plain.values()), any_tensors
        return (plain or _NOTHING), any_tensors

    def _add(self, key: str, tensor: torch.Tensor) -> None:
        if not key or key in self._keys or not _can_be_described(tensor):
            raise _NeedsFileError
        self._keys.add(key)
        storage = tensor.untyped_storage()
        if storage.nbytes() > 0:
            dtype = self._dtype_at.setdefault(storage.data_ptr(), tensor.dtype)
            if dtype != tensor.dtype:
                raise _NeedsFileError
        on = self._storages.setdefault(storage._cdata, _Storage(tensor))
        if tensor.numel() > 0:
            on.views.append(len(self._tensors))
        self._tensors.append(tensor)
        self._manifest.entries.append(
            ManifestEntry(
                key=key,
                dtype=str(tensor.dtype).removeprefix("torch."),
                shape=tensor.shape,
            )
        )


_NOTHING = object()


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _key(key: object) -> str:
    if key is None or type(key) in (bool, int):
        return str(key)
    if type(key) is str and key:
        return _utf8(key)
    raise _NeedsFileError


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _NeedsFileError from None
    return text


def _plain(value: object) -> object:
    """A scalar as metadata has it."""
    if value is None or type(value) is bool:
        return value
    if type(value) is int:
        return value if abs(value) <= _MAX_EXACT_INT else str(value)
    if type(value) is float:
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return value
    if type(value) is str:
        return _utf8(value)
    raise _NeedsFileError


def _module_versions(state: OrderedDict, path: str) -> Iterator[ModuleVersion]:
    metadata = getattr(state, "_metadata", None)
    if type(metadata) not in (dict, OrderedDict):
        return
    for key, facts in metadata.items():
        name = key if key == "" else _key(key)
        version = facts.get("version") if type(facts) is dict else None
        if type(version) is int and abs(version) <= _MAX_INT64:
            separator = "." if path and name else ""
            yield ModuleVersion(path=f"{path}{separator}{name}", version=version)


def _keep_first_versions(manifest: Manifest) -> None:
    """A module may be named by its parent's _metadata and by its own."""
    first: dict[str, ModuleVersion] = {}
    for module in manifest.module_versions:
        first.setdefault(module.path, module)
    kept = list(first.values())
    if len(kept) < len(manifest.module_versions):
        copies = [ModuleVersion(path=one.path, version=one.version) for one in kept]
        del manifest.module_versions[:]
        manifest.module_versions.extend(copies)


def _is_tensor(value: object) -> bool:
    import torch  # noqa: PLC0415  needed only here

    return type(value) in (torch.Tensor, torch.nn.Parameter)


def _can_be_described(tensor: torch.Tensor) -> bool:
    import torch  # noqa: PLC0415  needed only here

    return (
        tensor.layout == torch.strided
        and tensor.device.type in ("cpu", "cuda")
        and not tensor.is_quantized
        and str(tensor.dtype).removeprefix("torch.") in _DTYPES
        and not tensor.is_conj()
        and not tensor.is_neg()
        # Attributes of its own make it a value of another kind in a pickle.
        and not vars(tensor)
    )


def _view_key(tensor: torch.Tensor) -> tuple:
    return (
        tensor.untyped_storage()._cdata,
        tensor.storage_offset(),
        tensor.dtype,
        tuple(tensor.shape),
        tensor.stride(),
    )


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    """All bytes of a tensor's storage."""
    import torch  # noqa: PLC0415  needed only here

    whole = torch.empty(0, dtype=torch.uint8, device=tensor.device)
    return whole.set_(tensor.untyped_storage())


@contextlib.contextmanager
def _bytes_of(tensor: torch.Tensor) -> Iterator[memoryview]:
    """The values: contiguous, row-major; little-endian as every host of PyTorch is."""
    import torch  # noqa: PLC0415  needed only here

    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    size = flat.numel()
    # Without numpy, which PyTorch need not have.
    memory = (ctypes.c_char * size).from_address(flat.data_ptr()) if size else b""
    yield memoryview(memory).cast("B")


def _digest(tensor: torch.Tensor) -> Blob:
    alone = _on_device if tensor.device.type != "cpu" else contextlib.nullcontext()
    with alone, _bytes_of(tensor) as data:
        return Blob(tensor, hashlib.sha256(data).hexdigest(), len(data))


def _power_of_two_in(size: int) -> int:
    return min(size & -size, _ALIGNMENT)


def _safetensors_head(blobs: Sequence[Blob]) -> bytes:
    """The start of a file of one uint8 tensor for each blob, named by its digest."""
    tensors, begin = {}, 0
    for blob in blobs:
        tensors[blob.digest] = {
            "dtype": "U8",
            "shape": [blob.size],
            "data_offsets": [begin, begin + blob.size],
        }
        begin += blob.size
    text = json.dumps(tensors, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
