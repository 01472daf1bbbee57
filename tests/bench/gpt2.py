"""A model of GPT-2's keys and shapes, and files of it with random values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

CLASSES = 10


@dataclass(frozen=True)
class Size:
    """How large the model is; the number of keys is always 148."""

    name: str
    width: int
    vocabulary: int = 50257
    context: int = 1024
    layers: int = 12


SMALL = Size("124M", 768)
# Nearly as many times the parameters, with the same number of keys.
WIDER = {2: Size("250M", 1152), 5: Size("620M", 1920), 10: Size("1.2B", 2768)}

QUICK_SMALL = Size("quick", 64, vocabulary=1000, context=64)
QUICK_WIDER = {10: Size("quick x10", 208, vocabulary=1000, context=64)}


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = _Attention(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width)


class Gpt2(nn.Module):
    """The source: a pretrained body."""

    def __init__(self, size: Size) -> None:
        """Makes it with the default device and values."""
        super().__init__()
        self.wte = nn.Embedding(size.vocabulary, size.width)
        self.wpe = nn.Embedding(size.context, size.width)
        self.h = nn.ModuleList(_Block(size.width) for _ in range(size.layers))
        self.ln_f = nn.LayerNorm(size.width)


class Gpt2Classifier(Gpt2):
    """The target: the same body and a new head."""

    def __init__(self, size: Size) -> None:
        """Makes it with the default device and values."""
        super().__init__(size)
        self.score = nn.Linear(size.width, CLASSES)


def source_on_meta(size: Size) -> Gpt2:
    """The source without memory."""
    with torch.device("meta"):
        return Gpt2(size)


def target_on_meta(size: Size) -> Gpt2Classifier:
    """The target without memory."""
    with torch.device("meta"):
        return Gpt2Classifier(size)


def bytes_of(size: Size) -> int:
    """Bytes of the source's tensors."""
    state = source_on_meta(size).state_dict()
    return sum(tensor.nbytes for tensor in state.values())


def write_file(size: Size, path: Path, seed: int) -> None:
    """Writes a checkpoint of random values, others for each seed."""
    generator = torch.Generator().manual_seed(seed)
    state = source_on_meta(size).state_dict()
    for key, tensor in state.items():
        state[key] = torch.empty(tensor.shape).uniform_(-1, 1, generator=generator)
    torch.save(state, path)
