"""Writes the files that golden_test.cc reads, and what it has to find in them.

Usage: make_testdata.py FOLDER

Every file is written by PyTorch itself, or by its own algorithm where PyTorch no
longer has it (tar). The expectations, in FOLDER/expected.json, are computed from
the tensors that were saved, not by loading the files again.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import os
import pathlib
import sys
import types
import warnings
import zipfile

import numpy
import torch
from tar_saver import TarSaver

warnings.filterwarnings("ignore")

DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.bfloat16,
    torch.float32, torch.float64, torch.complex32, torch.complex64,
    torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu,
]  # fmt: skip


def values(dtype, *shape):
    """A tensor of arbitrary bits; bools are 0 or 1."""
    count = 1
    for size in shape:
        count *= size
    size = torch.empty(0, dtype=dtype).element_size()
    seed = count * len(DTYPES) + DTYPES.index(dtype)
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    raw = torch.randint(0, 256, (count * size,), dtype=torch.uint8, generator=generator)
    return raw.view(dtype).reshape(shape)


def raw_bytes(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    if flat.numel() == 0:
        return b""
    return flat.view(torch.uint8).numpy().tobytes()


def describe(key, tensor):
    return {
        "key": key,
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "sha256": hashlib.sha256(raw_bytes(tensor)).hexdigest(),
    }


class Data:
    def __init__(self, folder):
        self.folder = folder
        self.expected = []

    def expect(
        self,
        file,
        format,
        tensors,
        skipped=(),
        subtrees=(),
        metadata=None,
        module_versions=(),
        error=None,
    ):
        """`tensors` maps keys to tensors; `skipped` has (path, reason's start)."""
        self.expected.append(
            {
                "file": file,
                "format": format,
                "tensors": [describe(k, t) for k, t in tensors.items()],
                "skipped": [list(s) for s in skipped],
                "subtrees": list(subtrees),
                "metadata": metadata,
                "module_versions": [list(v) for v in module_versions],
                "error": error,
            }
        )

    def save(self, name, value, tensors, **facts):
        """Saves as a zip and as a legacy file."""
        self.save_zip(name, value, tensors, **facts)
        self.save_legacy(name, value, tensors, **facts)

    def save_zip(self, name, value, tensors, protocol=2, **facts):
        file = f"{name}.zip.pt"
        torch.save(value, self.folder / file, pickle_protocol=protocol)
        self.expect(file, "torch-zip", tensors, **facts)

    def save_legacy(self, name, value, tensors, protocol=2, **facts):
        file = f"{name}.legacy.pt"
        torch.save(
            value,
            self.folder / file,
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=False,
        )
        self.expect(file, "torch-legacy", tensors, **facts)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, bias=False)
        self.norm = torch.nn.BatchNorm2d(4)
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU())
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.register_buffer("cache", torch.zeros(3), persistent=False)
        self.register_buffer("steps", torch.tensor([7]))

    def forward(self, x):
        return self.layers(self.norm(self.conv(x)).mean((2, 3))) * self.scale


class Config:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Sealed:
    """Has no state to look into."""

    def __reduce__(self):
        return (Sealed, ())


class TaggedTensor(torch.Tensor):
    pass


def module_versions(state_dict, path=""):
    return [
        (".".join(filter(None, (path, name))), facts["version"])
        for name, facts in state_dict._metadata.items()
    ]


def dtypes(data):
    tensors = {str(d).removeprefix("torch."): values(d, 3, 5) for d in DTYPES}
    data.save("dtypes", tensors, tensors)
    # Types that only older or later versions can name are skipped.
    other = {
        "known": torch.ones(2),
        "bits8": torch.empty(4, dtype=torch.bits8),
        "fp4": torch.empty(4, dtype=torch.float4_e2m1fn_x2),
    }
    data.save(
        "unknown_dtypes",
        other,
        {"known": other["known"]},
        skipped=[
            ("bits8", "tensor of torch.bits8"),
            ("fp4", "tensor of torch.float4_e2m1fn_x2"),
        ],
    )


def views(data):
    base = values(torch.float32, 40, 30)
    deep = values(torch.int16, 4, 5, 6, 7)
    halves = values(torch.complex64, 6, 8)
    expanded = values(torch.float64, 1, 9).expand(50, 9)
    tensors = {
        "base": base,
        "transposed": base.t(),
        "sliced": base[3:20:2, 5:25:3],
        "row": base[7],
        "column": base[:, 3],
        "expanded": expanded,
        "permuted": deep.permute(2, 0, 3, 1),
        "channels_last": deep.contiguous(memory_format=torch.channels_last),
        "complex_transposed": halves.t(),
        "scalar": base[2, 2],
        "empty": torch.empty(0),
        "empty_matrix": torch.empty(3, 0, 2),
        "empty_slice": base[5:5],
        "one": torch.tensor(3, dtype=torch.int32),
        "bool_scalar": torch.tensor(True),
        "singleton_strides": torch.as_strided(base, (1, 30, 1), (999, 1, 77)),
        "large_transposed": values(torch.uint8, 2000, 1500).t(),
        "wide_transposed": values(torch.float32, 700_000, 2).t(),
        "large_strided": values(torch.float16, 1200, 1000)[:, ::2],
    }
    data.save("views", tensors, tensors)
    tied = torch.nn.Parameter(values(torch.float32, 8, 4))
    data.save(
        "tied",
        {"embedding.weight": tied, "head.weight": tied, "again": tied.data},
        {"embedding.weight": tied, "head.weight": tied, "again": tied},
    )


def state_dicts(data):
    torch.manual_seed(1)
    net = Net()
    state = net.state_dict()
    for protocol in (2, 3, 4, 5):
        data.save(
            f"state_dict_{protocol}",
            state,
            state,
            protocol=protocol,
            module_versions=module_versions(state),
        )
    legacy_only = {"a": torch.arange(5), "b": {"c": torch.ones(2)}}
    data.save_legacy(
        "protocol_1",
        legacy_only,
        {"a": legacy_only["a"], "b.c": legacy_only["b"]["c"]},
        protocol=1,
        subtrees=["b"],
    )
    many = {f"layer.{i}.weight": torch.full((2,), i) for i in range(3000)}
    data.save("many", many, many)


def nested(data):
    torch.manual_seed(2)
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.5)
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    checkpoint = {
        "epoch": 3,
        "model_state": net.state_dict(),
        "optimizer_state": state,
        "best": float("inf"),
        "loss": [0.5, float("nan"), None],
        "big": 2**60,
        "huge": -(2**100),
        "done": True,
        "name": "Grüße \u4f60",
        "models": [net.state_dict(), {"bias": torch.zeros(1)}],
        7: torch.tensor([7.0]),
        "pair": (1, "two"),
        "mixed": [torch.ones(1), 5],
        "nothing": {},
        "size": torch.Size([2, 3]),
        "dtype": torch.float16,
        "device": torch.device("cuda", 1),
        "set": {4},
        "counts": collections.Counter({"a": 2}),
        "table": collections.defaultdict(list, {"k": [1]}),
    }
    tensors = {f"model_state.{k}": v for k, v in net.state_dict().items()}
    for index in state["state"]:
        for name, value in state["state"][index].items():
            tensors[f"optimizer_state.state.{index}.{name}"] = value
    for key, value in net.state_dict().items():
        tensors[f"models.0.{key}"] = value
    tensors["models.1.bias"] = torch.zeros(1)
    tensors["7"] = checkpoint[7]
    tensors["mixed.0"] = checkpoint["mixed"][0]
    group = {
        k: (list(v) if isinstance(v, tuple) else v)
        for k, v in state["param_groups"][0].items()
    }
    data.save(
        "nested",
        checkpoint,
        tensors,
        subtrees=[
            "model_state",
            "optimizer_state",
            "optimizer_state.state",
            "optimizer_state.state.0",
            "optimizer_state.state.1",
            "models.0",
            "models.1",
        ],
        module_versions=[
            *module_versions(net.state_dict(), "model_state"),
            *module_versions(net.state_dict(), "models.0"),
        ],
        metadata={
            "epoch": 3,
            "optimizer_state": {"param_groups": [group]},
            "best": "Infinity",
            "loss": [0.5, "NaN", None],
            "big": str(2**60),
            "huge": str(-(2**100)),
            "done": True,
            "name": "Grüße \u4f60",
            "pair": [1, "two"],
            "mixed": {"1": 5},
            "nothing": {},
            "size": [2, 3],
            "dtype": "torch.float16",
            "device": "cuda:1",
            "set": [4],
            "counts": {"a": 2},
            "table": {"k": [1]},
        },
    )
    two = [net.state_dict(), 5]
    data.save(
        "list",
        two,
        {f"0.{k}": v for k, v in net.state_dict().items()},
        subtrees=["0"],
        module_versions=module_versions(net.state_dict(), "0"),
        metadata={"1": 5},
    )


def objects(data):
    torch.manual_seed(3)
    net = Net()
    data.save("module", net, net.state_dict())
    weight = torch.ones(2)
    config = Config(lr=0.1, weight=weight)
    config.me = config
    lightning = {
        "pytorch-lightning_version": "2.0.0",
        "state_dict": net.state_dict(),
        "hyper_parameters": argparse.Namespace(lr=0.1, layers=[1, 2]),
        "simple": types.SimpleNamespace(a=1),
        "model": net,
        "config": config,
        "config_again": config,
        "sealed": Sealed(),
        "class": Net,
        "array": numpy.arange(3),
        "float": numpy.float64(0.25),
        "int": numpy.int32(-5),
        "uint": numpy.uint8(200),
        "flag": numpy.bool_(True),
        "bytes": b"\xff\xfe",
        "text_bytes": b"text",
    }
    tensors = {f"state_dict.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"model.{k}": v for k, v in net.state_dict().items()}
    tensors["config.weight"] = weight
    facts = {
        "subtrees": ["state_dict", "model", "config"],
        "module_versions": module_versions(net.state_dict(), "state_dict"),
        "metadata": {
            "pytorch-lightning_version": "2.0.0",
            "hyper_parameters": {"lr": 0.1, "layers": [1, 2]},
            "simple": {"a": 1},
            "config": {"lr": 0.1},
            "float": 0.25,
            "int": -5,
            "uint": 200,
            "flag": True,
            "text_bytes": "text",
        },
        "skipped": [
            ("config", "object of class __main__.Config; its attributes were read"),
            ("config.me", "reference to a value that encloses it"),
            (
                "config_again",
                "object of class __main__.Config, which was read at another path",
            ),
            ("sealed", "object of class __main__.Sealed"),
            ("class", "class or function __main__.Net"),
            ("array", "object of class numpy.ndarray"),
            ("bytes", "bytes"),
        ],
    }
    # Below protocol 3, bytes are a call of _codecs.encode.
    skipped = [*facts["skipped"][:-1], ("bytes", "object of class _codecs.encode")]
    data.save("objects_2", lightning, tensors, **{**facts, "skipped": skipped})
    data.save("objects_4", lightning, tensors, protocol=4, **facts)


def unreadable(data):
    plain = torch.ones(3)
    tensors = {
        "plain": plain,
        "sparse": torch.eye(3).to_sparse(),
        "sparse_csr": torch.eye(3).to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
        "meta": torch.empty(3, device="meta"),
        "nested": torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]),
        "subclass": torch.ones(2).as_subclass(TaggedTensor),
        "conjugated": torch.ones(2, dtype=torch.complex64).conj(),
        "uninitialized": torch.nn.parameter.UninitializedParameter(),
        "storage": torch.ones(2).untyped_storage(),
    }
    attributed = torch.full((2,), 4.0)
    attributed.note = "a plain tensor with an attribute"
    tensors["attributed"] = attributed
    parameter = torch.nn.Parameter(torch.full((2,), 5.0))
    parameter.note = "so is this"
    tensors["parameter"] = parameter
    data.save(
        "unreadable",
        tensors,
        {"plain": plain, "attributed": attributed, "parameter": parameter},
        skipped=[
            ("sparse", "sparse tensor"),
            ("sparse_csr", "sparse tensor"),
            ("quantized", "quantized tensor"),
            ("meta", "tensor on the meta device"),
            ("nested", "nested tensor"),
            ("subclass", "tensor subclass __main__.TaggedTensor"),
            ("conjugated", "lazily conjugated or negated tensor"),
            (
                "uninitialized",
                "object of class torch.nn.parameter.UninitializedParameter",
            ),
            ("storage", "storage without a tensor"),
        ],
    )
    data.save("no_tensors", {"a": 1, "b": Sealed()}, {}, error="no tensor")
    data.save("bare_tensor", torch.ones(2), {}, error="without a name")


def rewrite_zip(source, target, edit):
    """Copies a zip file; `edit` takes the name and the data of each record."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, edit(info.filename, old.read(info)))


def swap_words(raw, size):
    return b"".join(raw[i : i + size][::-1] for i in range(0, len(raw), size))


def byte_orders(data):
    tensors = {str(d).removeprefix("torch."): values(d, 4, 3) for d in DTYPES}
    word = {}
    for tensor in tensors.values():
        size = tensor.element_size()
        word[raw_bytes(tensor)] = size // 2 if tensor.is_complex() else size
    source = data.folder / "big_endian_source.pt"
    torch.save(tensors, source)

    def edit(name, raw):
        if name.endswith("/byteorder"):
            return b"big"
        if "/data/" in name:
            return swap_words(raw, word[raw])
        return raw

    rewrite_zip(source, data.folder / "big_endian.pt", edit)
    source.unlink()
    data.expect("big_endian.pt", "torch-zip", tensors)

    views = {"t": values(torch.int32, 30, 20)}
    torch.save({"t": views["t"].t()}, source)

    def edit_int32(name, raw):
        if name.endswith("/byteorder"):
            return b"big"
        return swap_words(raw, 4) if "/data/" in name else raw

    rewrite_zip(source, data.folder / "big_endian_view.pt", edit_int32)
    source.unlink()
    data.expect("big_endian_view.pt", "torch-zip", {"t": views["t"].t()})


def zip_variants(data):
    tensors = {"a": values(torch.float32, 10), "b": torch.zeros(3)}
    torch.serialization.set_crc32_options(False)
    data.save_zip("no_crc32", tensors, tensors)
    torch.serialization.set_crc32_options(True)
    with torch.serialization.skip_data():
        torch.save(tensors, data.folder / "skip_data.pt")
    data.expect(
        "skip_data.pt",
        "torch-zip",
        {k: torch.zeros_like(v) for k, v in tensors.items()},
    )
    # Versions before 2.1 wrote neither byteorder nor the other small records.
    source = data.folder / "source.pt"
    torch.save(tensors, source)
    with zipfile.ZipFile(source) as old:
        names = old.namelist()
        kept = [n for n in names if "data" in n and "serialization_id" not in n]
        with zipfile.ZipFile(data.folder / "first_versions.pt", "w") as new:
            for name in kept:
                new.writestr(name, old.read(name))
            new.writestr(names[0].split("/")[0] + "/version", b"3\n")
        with zipfile.ZipFile(
            data.folder / "deflated.pt", "w", zipfile.ZIP_DEFLATED
        ) as new:
            for name in names:
                new.writestr(name, old.read(name))
    source.unlink()
    data.expect("first_versions.pt", "torch-zip", tensors)
    data.expect("deflated.pt", "torch-zip", {}, error="save it again with torch.save")
    net = Net().eval()
    torch.jit.save(torch.jit.script(net), data.folder / "script.pt")
    # The buffers that are not persistent are saved in TorchScript archives.
    state = dict(net.state_dict())
    state["cache"] = net.cache
    data.expect("script.pt", "torch-zip", state, metadata="any")
    data.expected[-1]["any_order"] = True


def tars(data):
    base = values(torch.float32, 6, 5)
    tensors = {
        "weight": base,
        "part": base[2:],
        "transposed": base.t(),
        "count": torch.tensor(5),
        "bytes": values(torch.uint8, 11),
    }
    value = collections.OrderedDict(tensors)
    value["epoch"] = 9
    TarSaver().save(value, data.folder / "tensors.tar.pt")
    data.expect("tensors.tar.pt", "torch-tar", tensors, metadata={"epoch": 9})
    # TarSaver is right if PyTorch reads what it wrote.
    loaded = torch.load(data.folder / "tensors.tar.pt", weights_only=False)
    for key, tensor in tensors.items():
        assert raw_bytes(loaded[key]) == raw_bytes(tensor), key


def hostile(data):
    """Files that PyTorch writes and a careful reader refuses."""
    t = torch.ones(1)
    same = "two tensors have the key 'a.b'"
    data.save("same_key", {"a": {"b": t}, "a.b": t}, {}, error=same)
    data.save("numbers_as_keys", {1: t, "1": t}, {}, error="the key '1'")
    data.save("climbing_key", {"a/../b": t}, {}, error="'..'")
    data.save("absolute_key", {"/etc/passwd": t}, {}, error="'/'")
    data.save("control_key", {"a\nb": t}, {}, error="control")
    data.save("empty_key", {"": {"a": t}}, {}, error="empty key")
    data.save("surrogate_key", {"a\udc80": t}, {}, error="UTF-8")
    expanded = {"x": torch.ones(1).expand(1 << 40)}
    data.save("expanded", expanded, {}, error="expand to more than 8 times")
    shared = [t]
    for _ in range(40):
        shared = [shared, shared]
    data.save("doubling", shared, {}, error="shared so often")
    numbers = [1]
    for _ in range(40):
        numbers = [numbers, numbers]
    data.save("doubling_plain", {"t": t, "n": numbers}, {}, error="shared so often")
    cycle = {"t": t}
    cycle["self"] = cycle
    data.save(
        "cycle",
        cycle,
        {"t": t},
        skipped=[("self", "reference to a value that encloses it")],
    )
    deep = t
    with deep_recursion():
        for _ in range(300):
            deep = {"d": deep}
        data.save("deep", deep, {}, error="256 levels")


@contextlib.contextmanager
def deep_recursion():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(limit)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    data = Data(folder)
    for part in (
        dtypes, views, state_dicts, nested, objects, unreadable, byte_orders,
        zip_variants, tars, hostile,
    ):  # fmt: skip
        part(data)
    # Written last: it stands for the whole folder.
    (folder / "expected.json.new").write_text(json.dumps(data.expected))
    os.replace(folder / "expected.json.new", folder / "expected.json")


if __name__ == "__main__":
    main()
