"""Writes what real PyTorch computes, for the tests of server/torch to equal.

Usage: make_torch_expectations.py OUTPUT.json

Tensors are told by the SHA-256 of their contiguous bytes; inputs and small
results are given whole, in hexadecimal.
"""

import hashlib
import json
import math
import sys
import warnings

import torch
from torch import nn

WHOLE = ["bool", "uint8", "int8", "int16", "int32", "int64"]
WHOLE += ["uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64", "float16", "bfloat16"]
COMPLEXES = ["complex64", "complex128"]
FLOAT8S = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
FLOAT8S += ["float8_e8m0fnu"]
DTYPES = [*WHOLE, *FLOATS, "complex32", *COMPLEXES, *FLOAT8S]

MODULE_SEEDS = [0, 1, 7, 42, 2**31, 2**32 - 1, 2**32 + 5, 2**63, 2**64 - 1]
SCHEMA_SEEDS = [0, 7, 2**32 + 5, 2**64 - 1]

# Elements that server/torch/host_placement.cc draws or casts at once.
PIECE = 2**19


class Net(nn.Module):
    """The recipe's NetA, which is also its NetB."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = x.view(-1, 16 * 5 * 5)
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


def seeded_net(seed):
    torch.manual_seed(seed)
    return Net()


def dtype_name(tensor):
    return str(tensor.dtype).removeprefix("torch.")


def raw(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def sha256(tensor):
    return hashlib.sha256(raw(tensor)).hexdigest()


def whole(tensor):
    return {
        "dtype": dtype_name(tensor),
        "shape": list(tensor.shape),
        "hex": raw(tensor).hex(),
    }


def modules():
    """Fresh state dicts, and the schema that they have."""
    state = seeded_net(0).state_dict()
    return {
        "schema": [
            {"key": key, "dtype": dtype_name(t), "shape": list(t.shape)}
            for key, t in state.items()
        ],
        "metadata": [
            {"path": path, "version": entry["version"]}
            for path, entry in state._metadata.items()
        ],
        "fresh": [
            {
                "seed": seed,
                "sha256": [sha256(t) for t in seeded_net(seed).state_dict().values()],
            }
            for seed in MODULE_SEEDS
        ],
    }


def forward_cases():
    """Inputs, and what a network with the weights of seed 7 makes of them."""
    net = seeded_net(7).eval()
    generator = torch.Generator().manual_seed(1)

    def rand(*shape, dtype=torch.float32):
        return torch.randn(shape, generator=generator).to(dtype)

    inputs = {
        "one": rand(1, 3, 32, 32),
        "batch": rand(5, 3, 32, 32),
        "unbatched": rand(3, 32, 32),
        "larger images fold into the batch": rand(2, 3, 92, 92),
        "wrong channels": rand(1, 4, 32, 32),
        "wrong rank": rand(32, 32),
        "too small": rand(1, 3, 4, 4),
        "no multiple of 400": rand(1, 3, 40, 32),
        "empty batch": rand(0, 3, 32, 32),
        "float64": rand(1, 3, 32, 32, dtype=torch.float64),
        "integers": rand(1, 3, 32, 32, dtype=torch.int64),
    }
    return [
        {"name": name, "input": whole(tensor), **outcome(net, tensor)}
        for name, tensor in inputs.items()
    ]


def outcome(net, tensor):
    with torch.no_grad():
        try:
            return {"output": whole(net(tensor))}
        except RuntimeError as error:
            return {"error": str(error).splitlines()[0]}


def initializer_cases():
    """(dtype, shape, initializer) of every case of schemas()."""
    # ATen draws fewer than 16 normal values by another way than more.
    shapes = [[], [1], [5], [15], [16], [17], [31], [33], [4, 4], [0], [0, 5]]
    shapes += [[10, 768], [70001]]
    for dtype in FLOATS + COMPLEXES + FLOAT8S:
        for shape in shapes:
            yield dtype, shape, {"kind": "normal", "mean": 0.5, "std": 0.02}
            yield dtype, shape, {"kind": "uniform", "low": -0.25, "high": 1.5}
    for dtype in ["float8_e4m3fn", "float32"]:
        for count in [PIECE - 1, PIECE + 15, PIECE + 16, 2 * PIECE + 7]:
            yield dtype, [count], {"kind": "normal", "mean": 0, "std": 1}
            yield dtype, [count], {"kind": "uniform", "low": 0, "high": 1}
    for dtype in ["float32", "float64", "bfloat16", "float8_e5m2"]:
        for shape in [[10, 84], [6, 3, 5, 5], [4, 3, 2], [2, 3, 4, 5, 2], [0, 4]]:
            for mode in ["fan_in", "fan_out"]:
                for a in [math.sqrt(5), 0.0, 0.01, -1.5]:
                    yield dtype, shape, kaiming(mode, "leaky_relu", a)
                for nonlinearity in ["relu", "linear", "tanh"]:
                    yield dtype, shape, kaiming(mode, nonlinearity, 0.3)
    yield from fan_cases()
    yield from trunc_normal_cases()
    yield from matrix_cases()
    yield from embedding_cases()
    yield from dirac_cases()
    for fan_in in [0, 1, 75, 400, 784]:
        yield "float32", [10], {"kind": "fan_in_uniform", "fan_in": fan_in}
        yield "float64", [120], {"kind": "fan_in_uniform", "fan_in": fan_in}
    for dtype in DTYPES:
        for value in constants(dtype):
            yield dtype, [7, 3], {"kind": "constant", "value": value}


def fan_cases():
    """Xavier and kaiming_normal: of every type that they do, of every rank."""
    shapes = [[10, 84], [3, 5], [4, 3, 2], [6, 3, 5, 5], [2, 3, 4, 5, 2], [0, 4]]
    for dtype in FLOATS + COMPLEXES + FLOAT8S:
        for shape in shapes:
            for gain in [1.0, 5.0 / 3, 0.0]:
                yield dtype, shape, {"kind": "xavier_uniform", "gain": gain}
                yield dtype, shape, {"kind": "xavier_normal", "gain": gain}
            for mode in ["fan_in", "fan_out"]:
                normal = kaiming(mode, "leaky_relu", 0.0)
                yield dtype, shape, {**normal, "kind": "kaiming_normal"}
    for shape in [[10, 84], [6, 3, 5, 5]]:
        for name in ["leaky_relu", "relu", "linear", "tanh", "sigmoid", "selu"]:
            yield "float32", shape, kaiming("fan_in", name, 0.3)
            normal = kaiming("fan_out", name, 0.3)
            yield "float32", shape, {**normal, "kind": "kaiming_normal"}
    yield "float32", [0], kaiming("fan_in", "relu", 0.0)
    big = [3, PIECE // 2 + 9]
    for kind in ["xavier_uniform", "xavier_normal"]:
        yield "float32", big, {"kind": kind, "gain": 1.0}
        yield "float8_e4m3fn", big, {"kind": kind, "gain": 1.0}


def trunc_normal_cases():
    """As timm and others call it, too: narrow, and cut off on one side."""
    bounds = [(0.0, 1.0, -2.0, 2.0), (0.0, 0.02, -2.0, 2.0), (0.5, 0.1, 0.45, 3.0)]
    shapes = [[], [1], [15], [16], [33], [4, 4], [0, 5], [3, 2, 4, 5, 2], [70001]]
    for dtype in FLOATS + FLOAT8S:
        for shape in shapes:
            for mean, std, a, b in bounds:
                yield dtype, shape, trunc_normal(mean, std, a, b)
    for dtype in ["float8_e5m2", "float32", "float64", "bfloat16"]:
        for count in [PIECE - 1, PIECE + 15, 2 * PIECE + 7]:
            yield dtype, [count], trunc_normal(0.0, 1.0, -2.0, 2.0)


def matrix_cases():
    """What needs the whole tensor, or is of two dimensions alone."""
    shapes = [[7, 3], [3, 7], [5, 5], [1, 9], [9, 1], [1, 1], [0, 3], [3, 0]]
    for shape in [*shapes, [4, 3, 2], [2, 3, 4, 5], [40, 2, 2, 2, 2], [96, 64]]:
        for dtype in ["float32", "float64"]:
            for gain in [1.0, math.sqrt(2), -0.5]:
                yield dtype, shape, {"kind": "orthogonal", "gain": gain}
    yield "float32", [900, 700], {"kind": "sparse", "sparsity": 0.3, "std": 1.0}
    for shape in [*shapes, [64, 40]]:
        for dtype in [*FLOATS, "complex32", *COMPLEXES, *FLOAT8S]:
            for sparsity in [0.0, 0.1, 0.5, 1.0]:
                sparse = {"kind": "sparse", "sparsity": sparsity, "std": 0.01}
                yield dtype, shape, sparse
    for shape in shapes:
        for dtype in DTYPES:
            if dtype not in ["complex32", "uint16", "uint32", "uint64"]:
                yield dtype, shape, {"kind": "eye"}


def embedding_cases():
    """The rows that nn.Embedding(padding_idx=...) makes zero."""
    shapes = [([10, 16], 3), ([4], 0), ([3, 5], 2), ([2, PIECE], 1)]
    for shape, row in shapes:
        for dtype in ["float32", "bfloat16", "complex64", "float8_e4m3fn"]:
            normal = {"kind": "normal", "mean": 0.0, "std": 1.0, "zero_row": row}
            yield dtype, shape, normal


def dirac_cases():
    shapes = [[6, 3, 5], [4, 8, 3, 3], [6, 2, 3, 4, 5], [2, 2, 1, 1], [0, 3, 2]]
    for dtype in DTYPES:
        for shape in shapes:
            for groups in [1, 2]:
                yield dtype, shape, {"kind": "dirac", "groups": groups}


def trunc_normal(mean, std, a, b):
    return {"kind": "trunc_normal", "mean": mean, "std": std, "a": a, "b": b}


def constants(dtype):
    if dtype == "float8_e8m0fnu":  # has powers of two alone
        return [0.0, 1.0, 0.25]
    return [0.0, 1.0, 3.0] + ([] if dtype in WHOLE else [0.1, -2.5, -0.0])


def kaiming(mode, nonlinearity, a):
    return {
        "kind": "kaiming_uniform",
        "mode": mode,
        "nonlinearity": nonlinearity,
        "a": a,
    }


def key_seed(seed, key):
    digest = hashlib.sha256(seed.to_bytes(8, "little") + key.encode()).digest()
    return int.from_bytes(digest[:8], "little")


def initialize(tensor, init, generator):
    kind = init["kind"]
    function = getattr(nn.init, f"{kind}_", None)
    arguments = {key: value for key, value in init.items() if key != "kind"}
    row = arguments.pop("zero_row", None)
    if kind == "constant" and str(init["value"]) == "0.0":
        nn.init.zeros_(tensor)
    elif kind == "constant":
        nn.init.constant_(tensor, init["value"])
    elif kind in ["eye", "dirac"]:
        function(tensor, **arguments)
    elif kind == "uniform":
        nn.init.uniform_(tensor, init["low"], init["high"], generator=generator)
    elif kind == "sparse":
        # Its permutations come from the default generator.
        torch.default_generator.set_state(generator.get_state())
        nn.init.sparse_(tensor, **arguments)
    elif kind != "fan_in_uniform":
        function(tensor, **arguments, generator=generator)
    elif init["fan_in"] == 0:
        nn.init.zeros_(tensor)
    else:
        bound = 1 / math.sqrt(init["fan_in"])
        nn.init.uniform_(tensor, -bound, bound, generator=generator)
    if row is not None:
        tensor[row].zero_()


def fresh(dtype, shape, init, seed, key):
    # PyTorch draws no float8.
    is_drawn = init["kind"] not in ["constant", "eye", "dirac"]
    float8 = dtype.startswith("float8") and is_drawn
    drawn = torch.empty(shape, dtype=getattr(torch, "float32" if float8 else dtype))
    generator = torch.Generator().manual_seed(key_seed(seed, key))
    initialize(drawn, init, generator)
    return drawn.to(getattr(torch, dtype))


def schemas():
    entries = [
        {"key": f"layer{i}.é", "dtype": dtype, "shape": shape, "init": init}
        for i, (dtype, shape, init) in enumerate(initializer_cases())
    ]
    return {
        "entries": entries,
        "fresh": [
            {
                "seed": seed,
                "sha256": [
                    sha256(fresh(e["dtype"], e["shape"], e["init"], seed, e["key"]))
                    for e in entries
                ],
            }
            for seed in SCHEMA_SEEDS
        ],
        "key_seeds": [
            {"seed": seed, "key": key, "key_seed": key_seed(seed, key)}
            for seed in SCHEMA_SEEDS
            for key in ["", "a", "fc3.weight", "é"]
        ],
    }


def special_values(dtype):
    """Values at which conversions differ, in the dtype's own bits."""
    if dtype in WHOLE:
        if dtype == "bool":
            return torch.tensor([False, True])
        info = torch.iinfo(getattr(torch, dtype))
        values = [0, 1, 2, 126, 127, info.max, info.max - 1, info.min]
        return torch.tensor(values, dtype=getattr(torch, dtype))
    reals = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 127.5, 255.5, 256.0]
    reals += [448.0, 465.0, 57344.0, 65504.0, 65520.0, 2.0**31, 2.0**63, 2.0**64]
    reals += [-129.0, 1e-45, 1e-40, 6e-8, 2.0**-14, 1e300, -1e300, 1e38]
    reals += [math.inf, -math.inf, math.nan]
    if dtype.startswith("complex"):
        pairs = [complex(a, b) for a in reals for b in (0.0, -0.0, math.nan)]
        return torch.tensor(pairs, dtype=torch.complex128).to(getattr(torch, dtype))
    return torch.tensor(reals, dtype=torch.float64).to(getattr(torch, dtype))


def random_values(dtype, count, generator):
    kind = getattr(torch, dtype)
    if dtype == "bool":
        return torch.randint(0, 2, (count,), generator=generator).to(kind)
    size = count * kind.itemsize
    bits = torch.randint(0, 256, (size,), generator=generator, dtype=torch.uint8)
    return bits.view(kind)


def casts():
    """Every dtype to every dtype: special values, then random bits."""
    generator = torch.Generator().manual_seed(2)
    result = []
    for source in DTYPES:
        tensor = torch.cat(
            [special_values(source), random_values(source, 333, generator)]
        )
        targets = {}
        for target in DTYPES:
            if target == source:
                continue
            cast = torch.empty(tensor.shape, dtype=getattr(torch, target))
            targets[target] = whole(cast.copy_(tensor))
        result.append({"source": whole(tensor), "targets": targets})
    return result


def large_cast():
    """A cast of more elements than the server takes at once."""
    source = fresh(
        "float32", [3 * PIECE + 5], {"kind": "normal", "mean": 0, "std": 1}, 3, "x"
    )
    return {"count": source.numel(), "sha256": sha256(source.to(torch.bfloat16))}


def main():
    warnings.simplefilter("ignore")
    # As the server does. Where a conversion is undefined (1e10 to uint32), its
    # result depends on how the work is cut up.
    torch.set_num_threads(1)
    expectations = {
        "modules": modules(),
        "forward": forward_cases(),
        "schemas": schemas(),
        "casts": casts(),
        "large_cast": large_cast(),
    }
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(expectations, file)


if __name__ == "__main__":
    main()
