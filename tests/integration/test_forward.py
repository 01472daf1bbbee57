"""Running models: what the server computes is what PyTorch computes."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import warmstart
from harness.cli import DONE, FAILED, CommandLine
from harness.nets import NetA, NetB
from harness.tensors import assert_same_state, assert_same_tensor
from harness.transfers import state
from safetensors.torch import load_file


@pytest.fixture(autouse=True)
def one_thread():
    """The server computes each call on one thread; sums of several differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def drawn(seed: int, *shape: int, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=dtype, generator=generator)


def logits(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network.eval()(images)


@pytest.mark.parametrize("network", [NetA, NetB])
@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_logits_equal_pythons_to_the_bit(server, network, batch):
    torch.manual_seed(batch)
    model = network()
    images = torch.randn(batch, 3, 32, 32)
    with server.client() as client:
        saved = client.save(model.state_dict(), architecture=network.__name__)
        result = client.forward(saved.checkpoint.name, images)
    assert_same_tensor("output", result, logits(model, images))


def test_a_fresh_model_runs_as_pythons_of_that_seed(server):
    torch.manual_seed(7)
    model = NetB()
    images = drawn(1, 2, 3, 32, 32)
    with server.client() as client:
        handle = client.save_fresh("NetB", seed=7).checkpoint.name
        assert_same_tensor("", client.forward(handle, images), logits(model, images))


def test_a_warm_started_model_runs_as_the_one_it_was_loaded_from(server):
    model = NetA()
    images = drawn(1, 2, 3, 32, 32)
    with server.client() as client:
        source = client.save(model.state_dict()).checkpoint.name
        started = client.warm_start("NetB", source).checkpoint.name
        result = client.forward(started, images)
    assert_same_tensor("", result, logits(model, images))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_of_another_type_runs_in_that_type(server, dtype):
    model = NetA().to(dtype)
    images = drawn(1, 2, 3, 32, 32, dtype=dtype)
    with server.client() as client:
        handle = client.save(model.state_dict(), architecture="NetA").checkpoint.name
        result = client.forward(handle, images)
    assert_same_tensor("", result, logits(model, images))


def test_what_the_server_draws_is_what_torch_draws(server):
    model = NetA()
    with server.client() as client:
        handle = client.save(model.state_dict(), architecture="NetA").checkpoint.name
        result = client.forward(
            handle, input=warmstart.RandomTensor(shape=[2, 3, 32, 32], seed=11)
        )
    assert_same_tensor("", result, logits(model, drawn(11, 2, 3, 32, 32)))


def test_the_second_call_loads_nothing_and_a_deleted_model_leaves(server):
    with server.client() as client:
        handle = client.save_fresh("NetA").checkpoint.name
        images = drawn(1, 1, 3, 32, 32)
        for _ in range(3):
            client.forward(handle, images)
        resident = client.server_info().devices[0].resident_models
        assert [model.checkpoint for model in resident.models] == [handle]
        assert (resident.hit_count, resident.miss_count) == (2, 1)
        client.delete(handle)
        resident = client.server_info().devices[0].resident_models
        assert list(resident.models) == []
        with pytest.raises(warmstart.WarmstartError) as raised:
            client.forward(handle, images)
        assert raised.value.reason == "CHECKPOINT_NOT_FOUND"


def test_many_calls_at_once_give_what_one_gives(server):
    models = [NetA() for _ in range(4)]
    images = drawn(1, 2, 3, 32, 32)
    with server.client() as client:
        handles = [
            client.save(model.state_dict(), architecture="NetA").checkpoint.name
            for model in models
        ]
        with ThreadPoolExecutor(8) as pool:
            results = list(
                pool.map(lambda i: client.forward(handles[i % 4], images), range(64))
            )
        resident = client.server_info().devices[0].resident_models
    for i, result in enumerate(results):
        assert_same_tensor(str(i), result, logits(models[i % 4], images))
    assert resident.hit_count + resident.miss_count == 64
    assert len(resident.models) == 4


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([torch.zeros(2, 4, 32, 32)], "channels"),
        ([torch.zeros(2, 3, 32, 32, dtype=torch.int64)], "Long|type|dtype"),
        ([torch.zeros(1)] * 2, "there are 2 inputs; the model takes .input."),
        ([], "are missing"),
    ],
)
def test_wrong_inputs_are_refused_in_words(server, inputs, words):
    with server.client() as client:
        handle = client.save_fresh("NetA").checkpoint.name
        with pytest.raises(warmstart.WarmstartError, match=words) as raised:
            client.forward(handle, *inputs)
        assert raised.value.code.name == "INVALID_ARGUMENT"


def test_nans_are_a_warning(server):
    with server.client() as client:
        handle = client.save_fresh("NetA").checkpoint.name
        with pytest.warns(UserWarning, match="20 of the 20 values of 'output'"):
            client.forward(handle, torch.full((2, 3, 32, 32), torch.nan))


def test_the_command_line_runs_a_file_and_shows_the_classes(server, tmp_path):
    model = NetB()
    images = drawn(1, 4, 3, 32, 32)
    path = tmp_path / "batch.pt"
    torch.save({"input": images}, path)
    with server.client() as client:
        client.save(model.state_dict(), architecture="NetB", alias="b")
    tool = CommandLine(server)
    ran = tool.run("forward", "aliases/b", "--input", path, "--json")
    assert ran.code == DONE, ran.err
    [output] = json.loads(ran.out)["outputs"]
    wanted = logits(model, images)
    assert output["argmax"] == wanted.argmax(dim=1).tolist()
    values = torch.tensor(output["values"], dtype=torch.float32)
    assert_same_tensor("", values.reshape(4, 10), wanted)

    out = tmp_path / "logits.pt"
    ran = tool.run("forward", "aliases/b", "--input", path, "-o", out)
    assert ran.code == DONE, ran.err
    assert_same_state(torch.load(out, weights_only=True), {"output": wanted})
    ran = tool.run("info")
    assert ran.code == DONE, ran.err
    assert torch.__version__.split("+", maxsplit=1)[0] in ran.out


def test_the_command_line_makes_a_smoke_test_of_random_input(server):
    with server.client() as client:
        client.save_fresh("NetA", alias="a")
    tool = CommandLine(server)
    ran = tool.run("forward", "aliases/a", "--random-input", "2x3x32x32")
    assert ran.code == DONE, ran.err
    assert "output  float32 [2, 10]" in ran.out
    ran = tool.run("forward", "aliases/a", "--random-input", "2x5")
    assert ran.code == FAILED


def test_the_recipe_of_several_models_in_one_file(server, tmp_path):
    """Save, load and save again, as PyTorch's recipe of that name has it."""
    net_a, net_b = NetA(), NetB()
    path = tmp_path / "model.pt"
    recipe = {
        "modelA_state_dict": net_a.state_dict(),
        "modelB_state_dict": net_b.state_dict(),
    }
    torch.save(recipe, path)
    both = tmp_path / "both.pt"
    with server.client() as client:
        saved = client.save(path).checkpoint.name
        parts = {}
        for key, network in zip(recipe, (NetA, NetB), strict=True):
            started = client.warm_start(network.__name__, saved, subtree=key)
            assert started.report.summary == "<All keys matched successfully>"
            parts[key] = started.checkpoint.name
        assert client.download(parts, both) == parts
        client.download(parts, tmp_path / "both.safetensors", format="safetensors")
    loaded = torch.load(both, weights_only=True)
    assert list(loaded) == list(recipe)
    flat = {}
    for key, wanted in recipe.items():
        assert_same_state(loaded[key], wanted)
        assert loaded[key]._metadata == wanted._metadata
        flat |= {f"{key}.{name}": tensor for name, tensor in wanted.items()}
    net_a.load_state_dict(loaded["modelA_state_dict"])
    net_b.load_state_dict(loaded["modelB_state_dict"])
    found = load_file(tmp_path / "both.safetensors")
    assert_same_state({key: found[key] for key in flat}, flat)
    assert len(found) == len(flat)

    ran = CommandLine(server).run(
        "download", *parts.values(), "-o", tmp_path / "cli.pt", "--as", ",".join(parts)
    )
    assert ran.code == DONE, ran.err
    assert (tmp_path / "cli.pt").read_bytes() == both.read_bytes()


def test_tied_weights_stay_tied_in_a_file_of_several(server, tmp_path):
    weight = torch.randn(3, 4)
    tied = {"embed": weight, "head": weight}
    with server.client() as client:
        handle = client.save(tied).checkpoint.name
        client.download({"a": handle, "b": handle}, tmp_path / "both.pt")
    loaded = torch.load(tmp_path / "both.pt", weights_only=True)
    for part in ("a", "b"):
        assert_same_state(loaded[part], tied)
        pointers = {tensor.data_ptr() for tensor in loaded[part].values()}
        assert len(pointers) == 1
    assert loaded["a"]["head"].data_ptr() != loaded["b"]["head"].data_ptr()


def test_a_file_of_several_is_written_as_torch_writes_it(server, tmp_path):
    parts = {"one": state(1), "two": state(2)}
    with server.client() as client:
        names = {key: client.save(one).checkpoint.name for key, one in parts.items()}
        client.download(names, tmp_path / "both.pt")
    loaded = torch.load(tmp_path / "both.pt", weights_only=True, mmap=True)
    for key, wanted in parts.items():
        assert_same_state(loaded[key], wanted)
    again = io.BytesIO()
    torch.save(loaded, again)
    assert len(again.getvalue()) == (tmp_path / "both.pt").stat().st_size
