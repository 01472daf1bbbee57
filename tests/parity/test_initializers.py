"""Every initializer, of every dtype and rank, made by the server and by Python."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
import torch
import warmstart
from harness.tensors import assert_same_state
from torch import nn
from warmstart.v1 import architectures_pb2

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64"]
DTYPES += ["uint16", "uint32", "uint64"]
DTYPES += ["float16", "bfloat16", "float32", "float64"]
DTYPES += ["complex32", "complex64", "complex128"]
DTYPES += ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
DTYPES += ["float8_e8m0fnu"]

# Of each rank, with and without elements, and around the 16 values that PyTorch
# draws at once.
SHAPES = [[], [1], [17], [3, 5], [5, 3], [16, 1], [6, 4, 3], [4, 2, 3, 3]]
SHAPES += [[2, 4, 1, 3, 2], [2, 1, 2, 1, 2, 1], [0], [0, 3], [3, 0], [0, 0]]
SHAPES += [[0, 2, 3], [2, 0, 3], [2, 2, 0]]

# More elements than the server makes at once.
LARGE = [3, 2**18 + 9]

# The arguments that torch.nn.init's functions and the API call the same.
KINDS = [
    ("zeros", {}),
    ("ones", {}),
    ("normal", {}),
    ("normal", {"mean": 0.5, "std": 0.02}),
    ("uniform", {}),
    ("uniform", {"low": -0.25, "high": 1.5}),
    ("kaiming_uniform", {"a": 5**0.5}),
    ("kaiming_uniform", {"a": 0.0, "mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal", {}),
    ("kaiming_normal", {"a": 0.2, "mode": "fan_out", "nonlinearity": "leaky_relu"}),
    ("kaiming_normal", {"nonlinearity": "selu"}),
    ("xavier_uniform", {}),
    ("xavier_uniform", {"gain": 5 / 3}),
    ("xavier_normal", {}),
    ("xavier_normal", {"gain": 0.5}),
    ("trunc_normal", {}),
    ("trunc_normal", {"std": 0.02}),
    ("trunc_normal", {"mean": 0.5, "std": 0.1, "a": 0.45, "b": 3.0}),
    ("orthogonal", {}),
    ("orthogonal", {"gain": -0.5}),
    ("sparse", {"sparsity": 0.3}),
    ("sparse", {"sparsity": 1.0, "std": 2.0}),
    ("eye", {}),
    ("dirac", {}),
    ("dirac", {"groups": 2}),
]
DRAWN = {kind for kind, _ in KINDS} - {"zeros", "ones", "eye", "dirac"}


@dataclass
class Case:
    """One tensor of one initializer."""

    key: str
    kind: str
    arguments: dict[str, object]
    dtype: str
    shape: list[int]

    def entry(self) -> architectures_pb2.ArchitectureEntry:
        """As it is registered."""
        initializer = architectures_pb2.Initializer(**{self.kind: self.arguments})
        return architectures_pb2.ArchitectureEntry(
            key=self.key, shape=self.shape, dtype=self.dtype, initializer=initializer
        )

    def fresh(self, seed: int) -> torch.Tensor:
        """What PyTorch makes; raises where it refuses."""
        dtype = getattr(torch, self.dtype)
        # It draws no float8; the server casts what it draws in float32.
        drawn = torch.float32 if self.casts() else dtype
        generator = torch.Generator().manual_seed(key_seed(seed, self.key))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no elements; complex32
            tensor = torch.zeros(self.shape, dtype=drawn)
            self._initialize(tensor, generator)
            return tensor.to(dtype)

    def casts(self) -> bool:
        """Whether float32 values are cast, to a float8."""
        is_drawn = self.kind in DRAWN - {"orthogonal"}
        return self.dtype.startswith("float8") and is_drawn

    def _initialize(self, tensor: torch.Tensor, generator: torch.Generator) -> None:
        function = getattr(nn.init, f"{self.kind}_")
        names = {"low": "a", "high": "b"} if self.kind == "uniform" else {}
        arguments = {names.get(k, k): v for k, v in self.arguments.items()}
        if self.kind == "sparse":
            # It permutes by the default generator.
            torch.default_generator.set_state(generator.get_state())
        elif self.kind in DRAWN:
            arguments["generator"] = generator
        function(tensor, **arguments)


def key_seed(seed: int, key: str) -> int:
    """The seed of the stream that a key of a schema has of its own."""
    digest = hashlib.sha256(seed.to_bytes(8, "little") + key.encode()).digest()
    return int.from_bytes(digest[:8], "little")


def cases() -> Iterator[Case]:
    """Every dtype of a shape that suits the kind, and every shape of float32."""
    numbers = itertools.count()

    def case(kind: str, arguments: dict[str, object], dtype: str, shape: list[int]):
        return Case(f"w{next(numbers)}.é", kind, arguments, dtype, shape)

    for kind, arguments in KINDS:
        for dtype in DTYPES:
            shape = [6, 4, 3] if kind == "dirac" else [7, 5]
            yield case(kind, arguments, dtype, shape)
        for shape in SHAPES:
            yield case(kind, arguments, "float32", shape)
        if kind not in {"dirac", "orthogonal", "sparse"}:
            for dtype in ["float32", "float16", "float8_e4m3fn"]:
                yield case(kind, arguments, dtype, LARGE)


def torch_refuses(case: Case) -> bool:
    """Whether PyTorch raises."""
    try:
        case.fresh(0)
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError):
        return True
    return False


@pytest.fixture(scope="module")
def sorted_cases() -> Iterator[tuple[list[Case], list[Case]]]:
    """The cases that PyTorch makes, and those that it refuses."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    every = list(cases())
    refused = {case.key for case in every if torch_refuses(case)}
    yield (
        [case for case in every if case.key not in refused],
        [case for case in every if case.key in refused],
    )
    torch.set_num_threads(threads)


def test_fresh_values_equal_those_of_torch_nn_init(client, sorted_cases):
    made, _ = sorted_cases
    client.register_architecture(
        architectures_pb2.Architecture(
            name="AllInitializers", entries=[case.entry() for case in made]
        )
    )
    assert {case.kind for case in made} == {kind for kind, _ in KINDS}
    for seed in [0, 2**64 - 1]:
        saved = client.save_fresh("AllInitializers", seed=seed)
        assert_same_state(
            client.state_dict(saved.checkpoint.name),
            {case.key: case.fresh(seed) for case in made},
        )


def test_what_torch_nn_init_refuses_is_refused(client, sorted_cases):
    _, refused = sorted_cases
    assert refused
    for case in refused:
        architecture = architectures_pb2.Architecture(
            name="Refused", entries=[case.entry()]
        )
        with pytest.raises(warmstart.WarmstartError, match=case.kind) as failure:
            client.register_architecture(architecture)
        assert failure.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_an_embeddings_padding_row_is_zero(client):
    entry = architectures_pb2.ArchitectureEntry(key="weight", shape=[10, 16])
    entry.initializer.normal.zero_row = 3
    client.register_architecture(
        architectures_pb2.Architecture(name="Padded", entries=[entry])
    )
    saved = client.save_fresh("Padded", seed=5)
    torch.manual_seed(key_seed(5, "weight"))
    wanted = nn.Embedding(10, 16, padding_idx=3).state_dict()
    assert_same_state(client.state_dict(saved.checkpoint.name), wanted)


def test_a_warm_start_takes_every_kind_but_stored(client):
    kinds = dict(KINDS)
    shapes = {kind: [4, 3, 2] if kind == "dirac" else [4, 3] for kind in kinds}
    entries = [
        architectures_pb2.ArchitectureEntry(key=kind, shape=shape)
        for kind, shape in shapes.items()
    ]
    entries.append(architectures_pb2.ArchitectureEntry(key="loaded", shape=[1]))
    client.register_architecture(
        architectures_pb2.Architecture(name="Overridden", entries=entries)
    )
    source = client.save({"loaded": torch.ones(1)}).checkpoint.name
    started = client.warm_start(
        "Overridden",
        source,
        seed=9,
        initialize={kind: {kind: arguments} for kind, arguments in kinds.items()},
    )
    wanted = {
        kind: Case(kind, kind, kinds[kind], "float32", shape).fresh(9)
        for kind, shape in shapes.items()
    }
    wanted["loaded"] = torch.ones(1)
    assert_same_state(client.state_dict(started.checkpoint.name), wanted)

    with pytest.raises(warmstart.WarmstartError, match="belong to an architecture"):
        client.warm_start("Overridden", source, initialize={"eye": "stored"})
