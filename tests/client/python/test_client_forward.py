"""The client's forward, server_info and download of several."""

from __future__ import annotations

import grpc
import pytest
import torch
import warmstart
from client.python.fake_server import Failure
from warmstart.v1 import checkpoints_pb2, model_initializer_pb2, server_info_pb2


def answer(*outputs: tuple[str, torch.Tensor], notes=()):
    response = model_initializer_pb2.ForwardResponse(notes=notes)
    for name, tensor in outputs:
        response.outputs.add(
            name=name,
            tensor={
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "shape": tensor.shape,
                "data": bytes(tensor.reshape(-1).view(torch.uint8).tolist()),
            },
        )
    return response


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6, dtype=torch.float32).reshape(2, 3),
        torch.arange(6).reshape(2, 3).t(),
        torch.tensor(1.5, dtype=torch.bfloat16),
        torch.zeros(0, 4),
        torch.tensor([True, False]),
        torch.randn(2, 2, requires_grad=True),
    ],
)
def test_tensors_go_and_come_as_they_are(fake, fake_client, tensor):
    fake.answer("Forward", answer(("output", tensor.detach().contiguous())))
    result = fake_client.forward("aliases/a", tensor)
    assert torch.equal(result, tensor)
    assert result.dtype == tensor.dtype
    [request] = fake.requests["Forward"]
    assert request.checkpoint == "aliases/a"
    [sent] = request.inputs
    assert (sent.name, tuple(sent.tensor.shape)) == ("", tuple(tensor.shape))
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    assert sent.tensor.data == bytes(flat.tolist())


def test_several_outputs_come_by_name(fake, fake_client):
    fake.answer("Forward", answer(("output", torch.ones(1)), ("h_n", torch.ones(2))))
    result = fake_client.forward("checkpoints/a", torch.ones(1))
    assert list(result) == ["output", "h_n"]


def test_inputs_go_by_name_and_are_drawn_where_that_is_asked(fake, fake_client):
    fake.answer("Forward", answer(("output", torch.ones(1))))
    fake_client.forward(
        "checkpoints/a",
        architecture="Net/versions/2",
        device="cuda:1",
        query=torch.ones(1),
        key=warmstart.RandomTensor(shape=[2, 3], seed=4),
    )
    [request] = fake.requests["Forward"]
    assert [one.name for one in request.inputs] == ["query", "key"]
    assert request.inputs[1].random.seed == 4
    assert (request.architecture, request.device) == ("Net/versions/2", "cuda:1")


def test_inputs_by_position_and_by_name_are_too_much(fake_client):
    with pytest.raises(ValueError, match="all by name"):
        fake_client.forward("checkpoints/a", torch.ones(1), key=torch.ones(1))


def test_a_note_is_a_warning(fake, fake_client):
    fake.answer("Forward", answer(("output", torch.ones(1)), notes=["1 is NaN"]))
    with pytest.warns(UserWarning, match="1 is NaN"):
        fake_client.forward("checkpoints/a", torch.ones(1))


def test_the_servers_words_are_the_answer(fake, fake_client):
    info = server_info_pb2.ServerInfo(version="1.2.3")
    fake.answer("GetServerInfo", info)
    assert fake_client.server_info() == info


def test_several_are_resumed_as_what_they_were_at_the_start(
    fake, fake_client, tmp_path
):
    def part(chunk: bytes, **first):
        return checkpoints_pb2.DownloadCheckpointResponse(chunk=chunk, **first)

    names = {"part_checkpoints": ["checkpoints/1", "checkpoints/2"], "file_size": 4}
    fake.answer(
        "DownloadCheckpoint",
        [part(b"ab", **names), Failure(grpc.StatusCode.UNAVAILABLE)],
        [part(b"cd", **names)],
    )
    path = tmp_path / "both.pt"
    both = fake_client.download({"a": "aliases/a", "b": "aliases/b"}, path)
    assert both == {"a": "checkpoints/1", "b": "checkpoints/2"}
    assert path.read_bytes() == b"abcd"
    first, second = fake.requests["DownloadCheckpoint"]
    assert [one.checkpoint for one in first.parts] == ["aliases/a", "aliases/b"]
    assert [one.checkpoint for one in second.parts] == list(both.values())
    assert [one.key for one in second.parts] == ["a", "b"]
    assert second.offset == 2
