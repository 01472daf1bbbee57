"""What the values of a tensor are, as far as its making tells.

Each class is a distribution, which arithmetic carries on: normal values that are
halved are normal values of half the deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from warmstart import layers
from warmstart.v1.architectures_pb2 import Initializer

SQRT2 = math.sqrt(2.0)
_MATRIX = 2  # dimensions


@dataclass(frozen=True)
class Values:
    """What a tensor's values are; of this class itself, nobody can tell."""

    def times(self, factor: float) -> Values:
        """The values, each multiplied."""
        return UNKNOWN

    def plus(self, term: float) -> Values:
        """The values, each with `term` added."""
        return UNKNOWN

    def clamped(self, low: float, high: float) -> Values:
        """The values, none outside of [low, high]."""
        return UNKNOWN

    def initializer(self, shape: Sequence[int]) -> Initializer | None:
        """What makes such values in a tensor of that shape, if anything does."""
        return None


@dataclass(frozen=True)
class Unset(Values):
    """Whatever the memory held."""


@dataclass(frozen=True)
class Constant(Values):
    """All one value."""

    value: float

    def times(self, factor: float) -> Values:
        return Constant(self.value * factor)

    def plus(self, term: float) -> Values:
        return Constant(self.value + term)

    def clamped(self, low: float, high: float) -> Values:
        return Constant(min(max(self.value, low), high))

    def initializer(self, shape: Sequence[int]) -> Initializer | None:
        return layers.constant(self.value) if math.isfinite(self.value) else None


@dataclass(frozen=True)
class Normal(Values):
    """Of a normal distribution, and then some elements in a row zeroed."""

    mean: float
    std: float
    # Where those elements begin, and how many they are.
    zeros: tuple[int, int] | None = None

    def times(self, factor: float) -> Values:
        return replace(self, mean=self.mean * factor, std=self.std * abs(factor))

    def plus(self, term: float) -> Values:
        if self.zeros is not None and term != 0:
            return UNKNOWN
        return replace(self, mean=self.mean + term)

    def initializer(self, shape: Sequence[int]) -> Initializer | None:
        if self.zeros is None:
            return layers.normal(self.mean, self.std)
        start, count = self.zeros
        row = math.prod(shape[1:])
        if count != row or start % row != 0:
            return None
        return layers.normal(self.mean, self.std, zero_row=start // row)


@dataclass(frozen=True)
class Uniform(Values):
    """Of a uniform distribution."""

    low: float
    high: float

    def times(self, factor: float) -> Values:
        ends = self.low * factor, self.high * factor
        return Uniform(min(ends), max(ends))

    def plus(self, term: float) -> Values:
        return Uniform(self.low + term, self.high + term)

    def initializer(self, shape: Sequence[int]) -> Initializer | None:
        return layers.uniform(self.low, self.high)


@dataclass(frozen=True)
class InverseErf(Values):
    """erfinv(uniform in [low, high]) * scale + shift: trunc_normal_ on its way."""

    low: float
    high: float
    scale: float = 1.0
    shift: float = 0.0

    def times(self, factor: float) -> Values:
        if factor <= 0:
            return UNKNOWN
        return replace(self, scale=self.scale * factor, shift=self.shift * factor)

    def plus(self, term: float) -> Values:
        return replace(self, shift=self.shift + term)

    def clamped(self, low: float, high: float) -> Values:
        # The ends of the uniform distribution are those that trunc_normal_ takes
        # for these bounds, or it is something else.
        ends = [math.erf((x - self.shift) / self.scale) for x in (low, high)]
        near = [
            math.isclose(end, given, rel_tol=1e-9, abs_tol=1e-12)
            for end, given in zip(ends, (self.low, self.high), strict=True)
        ]
        if not all(near):
            return UNKNOWN
        return TruncNormal(self.shift, _divided_by_sqrt2(self.scale), low, high)


@dataclass(frozen=True)
class TruncNormal(Values):
    """Of a normal distribution, only values in [low, high]."""

    mean: float
    std: float
    low: float
    high: float

    def times(self, factor: float) -> Values:
        if factor <= 0:
            return UNKNOWN
        ends = self.low * factor, self.high * factor
        return TruncNormal(self.mean * factor, self.std * factor, *ends)

    def plus(self, term: float) -> Values:
        ends = self.low + term, self.high + term
        return TruncNormal(self.mean + term, self.std, *ends)

    def initializer(self, shape: Sequence[int]) -> Initializer | None:
        return Initializer(
            trunc_normal=Initializer.TruncNormal(
                mean=self.mean, std=self.std, a=self.low, b=self.high
            )
        )


@dataclass(frozen=True)
class Eye(Values):
    """An identity matrix."""

    def initializer(self, shape: Sequence[int]) -> Initializer | None:
        return Initializer(eye=Initializer.Eye()) if len(shape) == _MATRIX else None


UNKNOWN = Values()
UNSET = Unset()


def _divided_by_sqrt2(scale: float) -> float:
    """The shortest number that, times sqrt(2), is `scale`: what trunc_normal_ got."""
    for digits in range(1, 18):
        std = float(f"{scale / SQRT2:.{digits}g}")
        if std * SQRT2 == scale:
            return std
    return scale / SQRT2
