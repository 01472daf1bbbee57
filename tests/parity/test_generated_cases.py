"""The server against PyTorch, case by generated case.

Each case saves a file, warm-starts a model from it, and compares everything that
load_state_dict tells and leaves behind: messages, lists of keys with their order,
and every value bit for bit.
"""

from __future__ import annotations

import collections

import grpc
import pytest
import torch
import warmstart
from harness.tensors import assert_same_state

from parity import cases, edits, oracle


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the files are."""
    return tmp_path_factory.mktemp("files")


def register(client: warmstart.Client, case: cases.Case) -> None:
    """Registers the target; each entry starts as the constant it is filled with."""
    architecture = warmstart.architecture_of(case.name, case.model)
    for entry in architecture.entries:
        entry.initializer.constant.value = case.constants[entry.key]
    client.register_architecture(architecture)


def warm_start(client, case: cases.Case, handle: str, **options):
    """The answer to a warm start, or the error; both have the report."""
    try:
        return client.warm_start(case.name, handle, **case.request.options, **options)
    except warmstart.WarmstartError as error:
        return error


def assert_same_verdict(answer, expected: oracle.Outcome) -> None:
    """Compares what was said."""
    failed = isinstance(answer, warmstart.WarmstartError)
    assert answer.report.summary == expected.summary
    assert failed == expected.failed
    if failed:
        assert answer.code == grpc.StatusCode.FAILED_PRECONDITION
        assert answer.message == expected.summary
    else:
        assert list(answer.report.missing_keys) == expected.missing
        assert list(answer.report.unexpected_keys) == expected.unexpected


@pytest.mark.parametrize("index", range(cases.COUNT))
def test_server_does_what_pytorch_does(client, folder, index):
    case = cases.make_case(index, folder)
    register(client, case)
    handle = client.save(case.file).checkpoint.name

    strict = warm_start(client, case, handle, strict=True, dry_run=True)
    assert_same_verdict(strict, oracle.load(case, strict=True))

    expected = oracle.load(case, strict=False)
    lenient = warm_start(client, case, handle)
    assert_same_verdict(lenient, expected)
    if not expected.failed:
        result = client.state_dict(lenient.checkpoint.name)
        assert_same_state(result, expected.state)
        assert result._metadata == {
            path: {"version": entry["version"]}
            for path, entry in case.model.state_dict()._metadata.items()
        }


def test_cases_cover_every_edit_and_container(tmp_path):
    made = [cases.make_case(index, tmp_path) for index in range(cases.COUNT)]
    counts = collections.Counter(
        name for case in made for name in [case.container, *set(case.edits)]
    )
    wanted = [edit.__name__ for edit in edits.EDITS] + list(cases.CONTAINERS)
    wanted += [edit.__name__ for chain in edits.RENAMINGS for edit in chain]
    assert min(counts[name] for name in wanted) >= 10, counts


def test_cases_reach_every_kind_of_outcome(tmp_path):
    made = [cases.make_case(index, tmp_path) for index in range(cases.COUNT)]
    outcomes = [oracle.load(case, strict=False) for case in made]
    assert sum(outcome.failed for outcome in outcomes) >= 30
    assert sum(bool(outcome.missing) for outcome in outcomes) >= 100
    assert sum(bool(outcome.unexpected) for outcome in outcomes) >= 50
    matched = [not o.failed and not o.missing and not o.unexpected for o in outcomes]
    assert sum(matched) >= 50


def test_the_same_number_gives_the_same_case(tmp_path):
    for index in range(0, cases.COUNT, 40):
        first, again = (cases.make_case(index, tmp_path) for _ in range(2))
        assert first.request.options == again.request.options
        assert_same_state(first.model.state_dict(), again.model.state_dict())
        assert torch.equal(
            torch.tensor(list(first.constants.values())),
            torch.tensor(list(again.constants.values())),
        )
