"""Checks that PyTorch and safetensors read what the writers write.

Runs the program that writes sample files, loads each of them in every way that
the libraries offer, and compares with what the program says it wrote: keys,
types, shapes, strides, values bit for bit, which tensors share a storage,
_metadata. Files of PyTorch's format must also be, but for their serialization
id, the bytes that torch.save writes for the same state_dict.

Usage: check_written_files.py PATH_OF_write_samples
"""

import collections
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile

import safetensors
import safetensors.torch
import torch
from torch.utils.serialization import config

warnings.filterwarnings("ignore", message="ComplexHalf support")
warnings.filterwarnings("ignore", message="TypedStorage is deprecated")

ALIGNMENT = 64
SERIALIZATION_ID_DIGITS = 40
HUGE = "huge"
# torch.save refuses state_dicts where a storage is seen under two types.
NOT_SAVED_BY_TORCH = {"shared_storages"}


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def untyped(hex_bytes):
    data = bytes.fromhex(hex_bytes)
    storage = torch.UntypedStorage(len(data))
    if data:
        storage.copy_(
            torch.frombuffer(bytearray(data), dtype=torch.uint8).untyped_storage()
        )
    return storage


def tensor_on(storage, dtype, offset, shape, strides):
    return torch.empty(0, dtype=dtype).set_(storage, offset, shape, strides)


def contiguous_strides(shape):
    return torch.empty(shape, device="meta").stride()


def state_dict_of(expected):
    """The state_dict that the description speaks of, built by PyTorch."""
    storages = [untyped(hex_bytes) for hex_bytes in expected["storages"]]
    state = collections.OrderedDict()
    for entry in expected["tensors"]:
        dtype = getattr(torch, entry["dtype"])
        shape = entry["shape"]
        if "storage" in entry:
            state[entry["key"]] = tensor_on(
                storages[entry["storage"]],
                dtype,
                entry["offset"],
                shape,
                entry["strides"],
            )
        else:
            state[entry["key"]] = tensor_on(
                untyped(entry["values"]), dtype, 0, shape, contiguous_strides(shape)
            )
    if expected["modules"]:
        state._metadata = collections.OrderedDict(
            (path, {"version": version}) for path, version in expected["modules"]
        )
    return state


def bits(tensor):
    """The values as bytes, in row-major order."""
    width = tensor.element_size()
    flat = torch.empty(tensor.numel() * width, dtype=torch.uint8)
    flat.untyped_storage().copy_(tensor.contiguous().clone().untyped_storage())
    return bytes(flat.numpy())


def check_values(name, state, expected):
    expect(list(state) == [e["key"] for e in expected["tensors"]], f"{name}: keys")
    for entry in expected["tensors"]:
        tensor, where = state[entry["key"]], f"{name}: {entry['key']}"
        expect(tensor.dtype == getattr(torch, entry["dtype"]), f"{where}: dtype")
        expect(list(tensor.shape) == entry["shape"], f"{where}: shape")
        expect(bits(tensor).hex() == entry["values"], f"{where}: values")


def check_sharing(name, state, expected):
    """Tensors share a storage exactly where the manifest says so.

    Storages without bytes are left out: PyTorch makes a new one for each tensor.
    """
    numbers = {}
    owners = {}
    for i, entry in enumerate(expected["tensors"]):
        tensor, where = state[entry["key"]], f"{name}: {entry['key']}"
        if tensor.untyped_storage().nbytes() == 0:
            continue
        number = entry.get("storage", f"own {i}")
        identity = tensor.untyped_storage()._cdata
        expect(numbers.setdefault(number, identity) == identity, f"{where}: not tied")
        expect(owners.setdefault(identity, number) == number, f"{where}: tied")
        if "storage" in entry:
            expect(list(tensor.stride()) == entry["strides"], f"{where}: strides")
            expect(tensor.storage_offset() == entry["offset"], f"{where}: offset")
            size = len(expected["storages"][entry["storage"]]) // 2
            expect(tensor.untyped_storage().nbytes() == size, f"{where}: storage size")


def check_metadata(name, state, expected):
    versions = {path: {"version": v} for path, v in expected["modules"]}
    metadata = getattr(state, "_metadata", None)
    if not versions:
        expect(metadata is None, f"{name}: has _metadata")
        return
    expect(type(metadata) is collections.OrderedDict, f"{name}: type of _metadata")
    expect(list(metadata.items()) == list(versions.items()), f"{name}: _metadata")


def ways_to_load(num_tensors):
    """(whether offsets are calculated rather than read, options of torch.load)."""
    mapped = {"weights_only": True, "mmap": True}
    if num_tensors > 10_000:  # one way takes seconds
        return [(True, mapped)]
    return [
        (False, {"weights_only": True}),
        (False, mapped),
        (True, mapped),
        (False, {"weights_only": False}),
        (False, {"weights_only": False, "mmap": True}),
    ]


def check_loads(path, expected):
    for calculate_offsets, way in ways_to_load(len(expected["tensors"])):
        name = f"{path.name} {way} calculate_offsets={calculate_offsets}"
        config.load.calculate_storage_offsets = calculate_offsets
        state = torch.load(path, **way)
        config.load.calculate_storage_offsets = False
        expect(type(state) is collections.OrderedDict, f"{name}: type")
        check_values(name, state, expected)
        check_sharing(name, state, expected)
        check_metadata(name, state, expected)


def without_serialization_id(data):
    """The archive with zeros for the id and its two checksums."""
    data = bytearray(data)
    name = b"archive/.data/serialization_id"
    local, central = data.find(name), data.rfind(name)
    (extra,) = struct.unpack_from("<H", data, local - 2)
    start = local + len(name) + extra
    end = start + SERIALIZATION_ID_DIGITS
    expect(data[start:end].isdigit(), "the serialization id is no number")
    data[start:end] = bytes(SERIALIZATION_ID_DIGITS)
    data[end + 4 : end + 8] = bytes(4)
    data[central - 30 : central - 26] = bytes(4)
    return bytes(data)


def check_same_as_torch(path, expected):
    with tempfile.TemporaryDirectory() as folder:
        by_torch = pathlib.Path(folder) / "archive.pt"
        torch.save(state_dict_of(expected), by_torch)
        ours = without_serialization_id(path.read_bytes())
        theirs = without_serialization_id(by_torch.read_bytes())
    expect(
        len(ours) == len(theirs), f"{path.name}: {len(ours)} bytes, not {len(theirs)}"
    )
    for i in range(len(ours)):
        if ours[i] != theirs[i]:
            raise AssertionError(f"{path.name}: differs from torch.save at byte {i}")


def check_zip(path):
    with zipfile.ZipFile(path) as archive:
        expect(archive.testzip() is None, f"{path.name}: checksum")
        with open(path, "rb") as file:
            for info in archive.infolist():
                file.seek(info.header_offset + 26)
                name, extra = struct.unpack("<HH", file.read(4))
                start = info.header_offset + 30 + name + extra
                expect(start % ALIGNMENT == 0, f"{path.name}: {info.filename} start")


def check_torch(path, expected):
    check_loads(path, expected)
    check_zip(path)
    if path.stem not in NOT_SAVED_BY_TORCH:
        check_same_as_torch(path, expected)


def records_of(path):
    with zipfile.ZipFile(path) as archive:
        return [
            (info.filename, info.header_offset, info.file_size, bytes(info.extra))
            for info in archive.infolist()
        ]


def check_huge_torch(path, expected):
    """Records past 4 GiB: sparse, so that nobody reads or writes them."""
    sizes = {e["key"]: e["shape"] for e in expected["tensors"]}
    for calculate_offsets in (False, True):
        config.load.calculate_storage_offsets = calculate_offsets
        state = torch.load(path, weights_only=True, mmap=True)
        config.load.calculate_storage_offsets = False
        expect({k: list(v.shape) for k, v in state.items()} == sizes, "huge: shapes")
        for tensor in state.values():
            expect(not tensor[-3:].any(), "huge: values")
            if tensor.numel():
                expect(tensor.data_ptr() % ALIGNMENT == 0, "huge: alignment")

    state = collections.OrderedDict(
        (key, torch.empty(shape, dtype=torch.uint8)) for key, shape in sizes.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        by_torch = pathlib.Path(folder) / "archive.pt"
        with torch.serialization.skip_data():
            torch.save(state, by_torch)
        check_same_around_holes(path, by_torch)


def check_same_around_holes(ours, theirs):
    """All bytes but those of the tensors, and of the serialization id."""
    records = records_of(ours)
    expect(records == records_of(theirs), "huge: directory")
    expect(ours.stat().st_size == theirs.stat().st_size, "huge: file size")
    with open(ours, "rb") as a, open(theirs, "rb") as b:
        tail = records[-1][1]
        for _, offset, size, _ in records[:-1]:
            for position in (offset, offset + size):
                a.seek(position)
                b.seek(position)
                length = min(512, tail - position)
                expect(a.read(length) == b.read(length), f"huge: bytes at {position}")
        a.seek(tail)
        b.seek(tail)
        expect(
            without_serialization_id(a.read()) == without_serialization_id(b.read()),
            "huge: bytes at the end",
        )


def header_of(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return 8 + length, json.loads(file.read(length))


def widest_first(expected):
    entries = sorted(
        expected["tensors"],
        key=lambda entry: -getattr(torch, entry["dtype"]).itemsize,
    )
    return {**expected, "tensors": entries}


def check_safetensors(path, expected):
    expected = widest_first(expected)
    start, header = header_of(path)
    expect(header.pop("__metadata__") == {"format": "pt"}, f"{path.name}: metadata")
    keys = [entry["key"] for entry in expected["tensors"]]
    expect(list(header) == keys, f"{path.name}: order of the header")
    for entry in expected["tensors"]:
        offset = start + header[entry["key"]]["data_offsets"][0]
        width = getattr(torch, entry["dtype"]).itemsize
        expect(offset % width == 0, f"{path.name}: {entry['key']} is not aligned")
    if path.stem == HUGE:
        with safetensors.safe_open(path, framework="pt") as file:
            expect(set(file.keys()) == set(keys), f"{path.name}: keys")
            for entry in expected["tensors"]:
                shape = file.get_slice(entry["key"]).get_shape()
                expect(shape == entry["shape"], f"{path.name}: {entry['key']} shape")
        return
    loaded = safetensors.torch.load_file(path)
    ordered = {key: loaded[key] for key in keys}
    expect(len(loaded) == len(keys), f"{path.name}: number of tensors")
    check_values(path.name, ordered, expected)


def check(path):
    expected = json.loads(pathlib.Path(f"{path}.json").read_text())
    if path.suffix == ".safetensors":
        check_safetensors(path, expected)
    elif path.stem == HUGE:
        check_huge_torch(path, expected)
    else:
        check_torch(path, expected)
    print("ok", path.name)


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        paths = [p for p in pathlib.Path(folder).iterdir() if p.suffix != ".json"]
        expect(len(paths) == 24, f"{len(paths)} files were written")
        for path in sorted(paths):
            check(path)


if __name__ == "__main__":
    main()
