"""What PyTorch itself does with a case."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from dataclasses import dataclass

import torch

from parity.cases import Case


@dataclass
class Outcome:
    """What load_state_dict returned or raised, and what it left in the model."""

    summary: str
    missing: list[str]
    unexpected: list[str]
    failed: bool
    state: dict[str, torch.Tensor]


def load(case: Case, *, strict: bool) -> Outcome:
    """Loads the case's file into a copy of its model, with Python."""
    source = case.load()
    state = OrderedDict(source)
    if hasattr(source, "_metadata"):
        state._metadata = copy.deepcopy(source._metadata)
    model = copy.deepcopy(case.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # imaginary parts that a cast discards
        try:
            result = model.load_state_dict(
                case.request.prepare(state), strict=strict, assign=case.request.assign
            )
        except RuntimeError as error:
            return Outcome(str(error), [], [], True, {})
    return Outcome(
        repr(result),
        result.missing_keys,
        result.unexpected_keys,
        False,
        model.state_dict(),
    )
