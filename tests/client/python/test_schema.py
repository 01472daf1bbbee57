"""How models are described."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
import warmstart
from torch import nn
from warmstart import schema
from warmstart.v1.architectures_pb2 import Initializer


class Model(nn.Module):
    """Layers that are known, a parameter of its own, and buffers."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.norm = nn.BatchNorm1d(2)
        self.act = nn.ReLU()
        self.own = nn.Parameter(torch.zeros((), dtype=torch.bfloat16))
        self.register_buffer("cache", torch.zeros(2), persistent=False)
        self.register_buffer("table", torch.arange(3))


def described(model, **options) -> dict:
    architecture = warmstart.architecture_of("Model", model, **options)
    return {entry.key: entry for entry in architecture.entries}


def kinds(model, **options) -> dict[str, str]:
    entries = described(model, **options)
    return {key: e.initializer.WhichOneof("kind") for key, e in entries.items()}


def test_entries_are_those_of_the_state_dict():
    state = Model().state_dict()
    entries = described(Model())
    assert list(entries) == list(state)
    assert "cache" not in entries
    for key, tensor in state.items():
        assert list(entries[key].shape) == list(tensor.shape)
        assert f"torch.{entries[key].dtype}" == str(tensor.dtype)


def test_buffers_are_told_from_parameters():
    buffers = [key for key, entry in described(Model()).items() if entry.buffer]
    assert buffers == [
        "table",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]


def test_modules_are_listed_with_their_versions():
    architecture = warmstart.architecture_of("Model", Model())
    listed = [(module.path, module.version) for module in architecture.modules]
    assert listed == [("", 1), ("linear", 1), ("norm", 2), ("act", 1)]


def test_a_class_a_function_and_a_module_are_described_alike():
    with_module = warmstart.architecture_of("Model", Model())
    assert warmstart.architecture_of("Model", Model) == with_module
    assert warmstart.architecture_of("Model", lambda: Model()) == with_module


def test_values_that_nothing_makes_are_stored():
    description = schema.describe("Model", Model())
    assert kinds(Model())["table"] == "stored"
    assert list(description.stored) == ["table"]
    assert torch.equal(description.stored["table"], torch.arange(3))


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.zeros(2, 3), "zeros"),
        (torch.ones(3, dtype=torch.bfloat16), "ones"),
        (torch.full((3,), 0.1), "constant"),
        (torch.full((2,), -7, dtype=torch.int64), "constant"),
        (torch.tensor(True), "ones"),
        (torch.ones(2, dtype=torch.float8_e4m3fn), "ones"),
        (torch.full((2,), 2**62 + 1), "stored"),
        (torch.tensor([0.0, -0.0]), "stored"),
        (torch.tensor([torch.nan, torch.nan]), "stored"),
        (torch.zeros(2, dtype=torch.complex64), "stored"),
        (torch.tensor([1.0, 2.0]), "stored"),
        (torch.empty(0, 3), "zeros"),
    ],
)
def test_one_value_is_a_constant_and_others_are_stored(tensor, kind):
    model = nn.Module()
    model.register_buffer("own", tensor)
    [entry] = described(model).values()
    assert entry.initializer.WhichOneof("kind") == kind
    if kind == "constant":
        exact = torch.full_like(tensor, entry.initializer.constant.value)
        assert torch.equal(exact, tensor)


def test_an_infinity_is_a_constant_of_no_server():
    model = nn.Module()
    model.register_buffer("own", torch.full((2,), -torch.inf))
    assert kinds(model) == {"own": "stored"}


def test_the_meta_device_has_no_values_and_says_so():
    with torch.device("meta"):
        model = Model()
    with pytest.warns(UserWarning, match=r"Model: own, table start as zeros: .*glob"):
        found = kinds(model)
    assert found["linear.weight"] == "kaiming_uniform"
    assert found["own"] == found["table"] == "zeros"


def test_what_is_chosen_is_not_warned_of():
    with torch.device("meta"):
        model = Model()
    found = kinds(model, initializers={"own": "ones", "t*": "zeros"})
    assert found["own"] == "ones"


def test_a_model_of_any_size_is_described_on_the_meta_device():
    with torch.device("meta"):
        model = nn.Linear(1 << 20, 1 << 20)
    entries = described(model)
    assert list(entries["weight"].shape) == [1 << 20, 1 << 20]
    assert entries["bias"].initializer.fan_in_uniform.fan_in == 1 << 20


def test_memory_that_nobody_sets_starts_as_zeros_and_is_named():
    class Forgetful(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(3))

    with pytest.warns(UserWarning, match="weight start as zeros: the factory leaves"):
        assert kinds(Forgetful) == {"weight": "zeros"}


# What the caller chooses.


def test_given_initializers_win_and_the_first_that_matches_is_taken():
    entries = described(
        Model(),
        initializers={
            "linear.weight": Initializer(eye=Initializer.Eye()),
            "linear.*": {"normal": {"std": 0.5}},
            "own": "stored",
        },
    )
    assert entries["linear.weight"].initializer.WhichOneof("kind") == "eye"
    assert entries["linear.bias"].initializer.normal.std == 0.5
    assert entries["norm.weight"].initializer.WhichOneof("kind") == "ones"
    assert entries["own"].initializer.WhichOneof("kind") == "stored"


def test_a_glob_without_keys_is_refused():
    with pytest.raises(ValueError, match="no key matches 'lin'"):
        described(Model(), initializers={"lin": "zeros"})


def test_an_initializer_that_is_none_is_refused():
    with pytest.raises(ValueError, match="is none of"):
        described(Model(), initializers={"*": "xavier"})


def test_meta_tensors_cannot_be_stored():
    with torch.device("meta"):
        model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="weight is on the meta device"):
        described(model, initializers={"weight": "stored"})


def test_stored_values_of_another_entry_must_be_there():
    stored = {"stored": {"key": "linear.gone"}}
    with pytest.raises(ValueError, match=r"'linear\.gone': no entry"):
        described(Model(), initializers={"own": stored})


# What is not described.


def test_extra_state_is_left_out_and_named():
    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"epoch": 3}

        def set_extra_state(self, state):
            del state

    with pytest.warns(UserWarning, match="Model: _extra_state left out"):
        architecture = warmstart.architecture_of("Model", Extra(2, 2))
    assert [entry.key for entry in architecture.entries] == ["weight", "bias"]
    assert len(architecture.modules) == 1


def test_sparse_tensors_and_others_are_left_out_and_named():
    state = {
        "a": torch.eye(2).to_sparse(),
        "b": torch.ones(2),
        "c": torch.ones(2).numpy(),
    }
    with pytest.warns(UserWarning, match="State: a, c left out"):
        architecture = warmstart.architecture_of("State", state)
    assert [entry.key for entry in architecture.entries] == ["b"]


def test_lazy_modules_are_refused_in_words():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are under development, says torch
        model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(ValueError, match=r"0\.weight is lazy .* run the model"):
        described(model)


def test_a_factory_must_make_a_module():
    with pytest.raises(TypeError, match="made dict, which is no Module"):
        described(dict)


@pytest.mark.parametrize("model", [nn.Linear(1, 1), {"w": torch.zeros(1)}])
def test_a_device_is_for_factories(model):
    with pytest.raises(ValueError, match="a device is for a factory"):
        described(model, device="meta")


# Ties.


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_tied_tensors_are_one_and_made_as_the_first(device):
    def tied():
        model = nn.Module()
        model.embed = nn.Embedding(5, 3)
        model.head = nn.Linear(3, 5, bias=False)
        model.other = nn.Linear(3, 5, bias=False)
        model.head.weight = model.embed.weight
        return model

    with torch.device(device):
        model = tied()
    expected = [
        ("embed.weight", "", "normal"),
        ("head.weight", "embed.weight", "normal"),
        ("other.weight", "", "kaiming_uniform"),
    ]
    for entries in (described(model), described(tied, device=device)):
        found = [
            (e.key, e.tied_to, e.initializer.WhichOneof("kind"))
            for e in entries.values()
        ]
        assert found == expected


def test_tied_stored_tensors_are_stored_once():
    model = nn.Module()
    model.a = nn.Parameter(torch.tensor([1.0, 2.0]))
    model.b = model.a
    description = schema.describe("Tied", model)
    assert list(description.stored) == ["a"]
    assert description.architecture.entries[1].tied_to == "a"
    assert description.architecture.entries[1].initializer.stored.key == "a"


def test_the_first_of_tied_tensors_is_chosen_for():
    model = nn.Module()
    model.a = nn.Parameter(torch.ones(2))
    model.b = model.a
    entries = described(model, initializers={"a": "zeros"})
    assert [e.initializer.WhichOneof("kind") for e in entries.values()] == ["zeros"] * 2
    with pytest.raises(ValueError, match="b is tied to a"):
        described(model, initializers={"b": "zeros"})


def test_a_parameter_is_not_tied_to_a_buffer():
    model = nn.Module()
    model.register_buffer("a", torch.ones(2))
    model.b = nn.Parameter(model.a)
    assert [entry.tied_to for entry in described(model).values()] == ["", ""]


# State dicts.


def test_a_state_dict_is_described_by_its_tensors():
    state = Model().state_dict()
    architecture = warmstart.architecture_of("State", state)
    assert [entry.key for entry in architecture.entries] == list(state)
    assert not any(entry.buffer for entry in architecture.entries)
    assert not any(entry.HasField("initializer") for entry in architecture.entries)
    assert len(architecture.modules) == 4
    assert not warmstart.architecture_of("Plain", dict(state)).modules


def test_a_state_dict_can_be_its_own_initial_values():
    state = {"w": torch.tensor([1.0, 2.0])}
    description = schema.describe("State", state, initializers={"*": "stored"})
    assert list(description.stored) == ["w"]


def test_describing_changes_nothing():
    model = Model()
    before = copy.deepcopy(model.state_dict())
    generator = torch.get_rng_state()
    schema.describe("Model", model)
    schema.describe("Model", Model)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)
