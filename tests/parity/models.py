"""Random models, small and of every kind that matters to a state_dict."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
NAMES = ["fc", "conv", "bn", "norm", "emb", "rnn", "block", "head", "stem", "act"]


class Scalars(nn.Module):
    """Parameters and buffers without dimensions, and an empty one."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.one = nn.Parameter(torch.zeros(1))
        self.register_buffer("steps", torch.tensor(0, dtype=rng.choice(INTEGERS)))
        self.register_buffer("frozen", torch.tensor(False))
        self.register_buffer("empty", torch.zeros(0, 3))


class Buffers(nn.Module):
    """Buffers of every dtype, one that is not persistent, one that is None."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        dtypes = [*FLOATS, *INTEGERS, torch.bool, torch.complex64, torch.float8_e4m3fn]
        for i, dtype in enumerate(rng.sample(dtypes, 4)):
            self.register_buffer(f"b{i}", torch.zeros(2, 3).to(dtype))
        self.register_buffer("cache", torch.zeros(3), persistent=False)
        self.register_buffer("nothing", None)


class Lists(nn.Module):
    """Containers of parameters."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            torch.zeros(i + 1, 2) for i in range(rng.randint(1, 3))
        )
        self.table = nn.ParameterDict({"b": torch.zeros(2), "a": torch.zeros(3)})


class Tied(nn.Module):
    """Two layers with one weight, as language models have."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        size, width = rng.randint(3, 6), rng.randint(2, 4)
        self.embed = nn.Embedding(size, width)
        self.decode = nn.Linear(width, size, bias=rng.random() < 0.5)
        self.decode.weight = self.embed.weight


def _norm(rng: random.Random) -> nn.Module:
    size = 2 * rng.randint(1, 3)
    return rng.choice(
        [
            lambda: nn.BatchNorm1d(size),
            lambda: nn.BatchNorm2d(size, affine=rng.random() < 0.5),
            lambda: nn.BatchNorm1d(size, track_running_stats=False),
            lambda: nn.LayerNorm(size),
            lambda: nn.GroupNorm(2, size),
            lambda: nn.InstanceNorm1d(size, affine=True, track_running_stats=True),
        ]
    )()


def _linear(rng: random.Random) -> nn.Module:
    bias = rng.random() < 0.8
    return nn.Linear(rng.randint(1, 6), rng.randint(1, 6), bias=bias)


def _conv(rng: random.Random) -> nn.Module:
    kind = rng.choice([nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d])
    return kind(rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 3))


def _recurrent(rng: random.Random) -> nn.Module:
    kind = rng.choice([nn.LSTM, nn.GRU])
    sizes = rng.randint(1, 4), rng.randint(1, 4)
    return kind(*sizes, num_layers=rng.randint(1, 2), bidirectional=rng.random() < 0.3)


LEAVES: list[Callable[[random.Random], nn.Module]] = [
    _linear,
    _linear,
    _conv,
    _norm,
    _norm,
    _recurrent,
    Scalars,
    Buffers,
    Lists,
    Tied,
    lambda rng: nn.Embedding(rng.randint(2, 5), rng.randint(2, 4)),
    lambda rng: rng.choice([nn.ReLU, nn.Identity, nn.PReLU])(),
    lambda rng: nn.MultiheadAttention(4, 2, bias=rng.random() < 0.5),
]


def _random_names(rng: random.Random, count: int) -> list[str]:
    names = [name + rng.choice(["", "1", "2", "_a"]) for name in NAMES]
    return rng.sample(names, count)


def _container(rng: random.Random, depth: int) -> nn.Module:
    children = [random_module(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    kind = rng.randrange(4)
    if kind == 0:
        return nn.Sequential(*children)
    if kind == 1:
        return nn.ModuleList(children)
    names = _random_names(rng, len(children))
    if kind == 2:
        return nn.ModuleDict(dict(zip(names, children, strict=True)))
    return nn.Sequential(OrderedDict(zip(names, children, strict=True)))


def random_module(rng: random.Random, depth: int) -> nn.Module:
    """A layer, or a container of such with at most `depth` levels."""
    if depth > 0 and rng.random() < 0.4:
        module = _container(rng, depth)
    else:
        module = rng.choice(LEAVES)(rng)
    if rng.random() < 0.1:
        module = module.to(rng.choice(FLOATS))
    return module


def random_model(rng: random.Random, name: str) -> nn.Module:
    """A model of a class called `name`, with at least one entry."""
    model = type(name, (nn.Module,), {})()
    children = [
        _linear(rng),
        *(random_module(rng, 2) for _ in range(rng.randint(1, 5))),
    ]
    rng.shuffle(children)
    names = _random_names(rng, len(children))
    for child_name, child in zip(names, children, strict=True):
        if rng.random() < 0.2:
            setattr(model, f"p_{child_name}", nn.Parameter(torch.zeros(2, 2)))
        setattr(model, child_name, child)
    return model


def fill_randomly(model: nn.Module, generator: torch.Generator) -> None:
    """Gives every entry of the model's state_dict random values."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(random_values(tensor.shape, tensor.dtype, generator))


def random_values(
    shape: torch.Size, dtype: torch.dtype, generator: torch.Generator
) -> torch.Tensor:
    """Values that every dtype that they may be cast to can hold."""
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape, generator=generator).to(dtype)
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).to(dtype)
    return torch.randint(0, 100, shape, generator=generator).to(dtype)


def fill_with_constants(model: nn.Module, rng: random.Random) -> dict[str, float]:
    """Fills each entry with one value, and returns the values.

    A server that initializes with the same constants leaves what is not loaded
    as Python does. Tied entries get one value.
    """
    constants: dict[str, float] = {}
    of_storage: dict[int, float] = {}
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            choices = [0.0, 1.0] if tensor.dtype == torch.bool else [0.0, 1.0, 2.0]
            if tensor.dtype.is_floating_point:
                choices += [-1.5, 0.25]
            value = of_storage.setdefault(tensor.data_ptr(), rng.choice(choices))
            tensor.copy_(torch.full(tensor.shape, value, dtype=torch.float64))
            constants[key] = value
    return constants


def tied_keys(model: nn.Module) -> set[str]:
    """Keys whose values stand under another key too."""
    by_storage: dict[int, list[str]] = {}
    for key, tensor in model.state_dict().items():
        if tensor.numel() > 0:
            by_storage.setdefault(tensor.data_ptr(), []).append(key)
    return {key for keys in by_storage.values() if len(keys) > 1 for key in keys}
