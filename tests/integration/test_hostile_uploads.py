"""Files that are broken, or made to do harm."""

from __future__ import annotations

import io
import os
import pickle
import random
import re
import struct
import zipfile
from pathlib import Path

import grpc
import pytest
import safetensors.torch
import torch
import warmstart
from harness.server import Server
from warmstart.v1 import model_initializer_pb2, model_initializer_pb2_grpc

FLIPS = 150
RECOGNIZED = 256
CUTS = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of this module, which leave each other alone."""
    with Server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        f"layer{i}.weight": torch.randn(6, 5, generator=generator) for i in range(4)
    }


def zip_file() -> bytes:
    out = io.BytesIO()
    torch.save(state(), out)
    return out.getvalue()


def legacy_file() -> bytes:
    out = io.BytesIO()
    torch.save(state(), out, _use_new_zipfile_serialization=False)
    return out.getvalue()


def safetensors_file() -> bytes:
    return safetensors.torch.save(state())


FILES = {"zip": zip_file, "legacy": legacy_file, "safetensors": safetensors_file}
EVERY_FORMAT = pytest.mark.parametrize("make", FILES.values(), ids=FILES)


class Uploader:
    """Uploads bytes to a server that must survive it."""

    def __init__(self, server, client, folder: Path) -> None:
        """Takes where to, and where files can be written."""
        self._server, self._client = server, client
        self._path = folder / "model.pt"

    def __call__(self, data: bytes):
        """The answer, or the error."""
        self._path.write_bytes(data)
        try:
            return self._client.save(self._path)
        except warmstart.WarmstartError as error:
            refusal = error
        assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT, refusal
        return refusal

    def refused(self, data: bytes) -> warmstart.WarmstartError:
        """The error of a file that must not be accepted."""
        before = self._server.stored()
        error = self(data)
        assert isinstance(error, warmstart.WarmstartError), "it was stored"
        assert error.reason == "INVALID_FILE"
        assert self._server.stored() == before
        return error


@pytest.fixture
def upload(server, own_client, tmp_path):
    """Uploads bytes; at the end the server is as well as before."""
    pid = server.pid
    yield Uploader(server, own_client, tmp_path)
    assert server.running()
    assert server.pid == pid
    assert server.staged() == []
    assert own_client.save(state()).checkpoint.tensor_count == 4


@EVERY_FORMAT
def test_a_truncated_file_is_refused_with_name_and_place(upload, make):
    data = make()
    rng = random.Random(1)
    cuts = {1, 8, len(data) // 2, len(data) - 1}
    cuts |= {rng.randrange(1, len(data)) for _ in range(CUTS)}
    for cut in sorted(cuts):
        error = upload.refused(data[:cut])
        assert "model.pt" in error.message
        # A shorter file is not recognized, which is no matter of place.
        if cut >= RECOGNIZED:
            assert re.search(r"\d|layer", error.message), error.message


@EVERY_FORMAT
def test_a_flipped_bit_is_refused_or_harmless(upload, make):
    data = make()
    rng = random.Random(2)
    refused = 0
    for _ in range(FLIPS):
        broken = bytearray(data)
        broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        answer = upload(bytes(broken))
        refused += isinstance(answer, warmstart.WarmstartError)
    assert refused > 0


def test_a_flipped_bit_in_a_tensor_of_a_zip_file_is_noticed(upload):
    data = zip_file()
    values = state()["layer2.weight"].numpy().tobytes()
    assert data.count(values) == 1
    broken = bytearray(data)
    broken[data.index(values) + 17] ^= 4
    error = upload.refused(bytes(broken))
    assert "layer2.weight" in error.message or "data/2" in error.message


class RunsCommand:
    """Leaves a file where it was unpickled."""

    def __init__(self, command: str) -> None:
        """Names the command."""
        self.command = command

    def __reduce__(self):
        """What pickle would call."""
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_nothing_in_a_file_is_run(upload, own_client, tmp_path, zipped):
    marker = tmp_path / "marker"
    evil = RunsCommand(f"touch {marker}")
    contents = {
        "weight": torch.ones(2),
        "nested": {"evil": evil, "bias": torch.ones(1)},
    }
    out = io.BytesIO()
    torch.save(contents, out, _use_new_zipfile_serialization=zipped)
    saved = upload(out.getvalue())
    assert [value.path for value in saved.skipped_values] == ["nested.evil"]
    assert "system" in saved.skipped_values[0].reason
    assert list(own_client.state_dict(saved.checkpoint.name)) == [
        "weight",
        "nested.bias",
    ]
    assert not marker.exists()
    # The file does what it is said to do.
    torch.load(io.BytesIO(out.getvalue()), weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_of_nothing_but_a_command_is_refused(upload, tmp_path, zipped):
    marker = tmp_path / "marker"
    out = io.BytesIO()
    torch.save(
        RunsCommand(f"touch {marker}"), out, _use_new_zipfile_serialization=zipped
    )
    upload.refused(out.getvalue())
    upload.refused(pickle.dumps(RunsCommand(f"touch {marker}")))
    assert not marker.exists()


def replaced_in_zip(name: str, data: bytes, compression=zipfile.ZIP_STORED) -> bytes:
    """The zip file, with other bytes for one of its entries."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(zip_file())) as old,
        zipfile.ZipFile(out, "w", compression) as new,
    ):
        for entry in old.namelist():
            new.writestr(entry, data if entry.endswith(name) else old.read(entry))
    return out.getvalue()


BROKEN = {
    "one byte": b"x",
    "text": b"these are not the weights that you are looking for",
    "zeros": bytes(100_000),
    "an archive of nothing": b"PK\x05\x06" + bytes(18),
    "a pickle of garbage": replaced_in_zip("data.pkl", b"\x80\x02garbage."),
    "a pickle of nothing": replaced_in_zip("data.pkl", b""),
    "a pickle without an end": replaced_in_zip("data.pkl", b"\x80\x02}"),
    "a deep pickle": replaced_in_zip(
        "data.pkl", b"\x80\x02" + b"(" * 500_000 + b"l" * 500_000 + b"."
    ),
    "deep nesting": replaced_in_zip(
        "data.pkl", b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    ),
    "a pickle that doubles itself": replaced_in_zip(
        "data.pkl", b"\x80\x02]q\x00" + b"(h\x00h\x00lq\x00" * 60 + b"."
    ),
    "a long integer that is not there": replaced_in_zip(
        "data.pkl", b"\x80\x02\x8b\xff\xff\xff\x7f."
    ),
    "a string that is not there": replaced_in_zip(
        "data.pkl", b"\x80\x02X\xff\xff\xff\x7fabc."
    ),
    "a storage that is too short": replaced_in_zip("data/1", b"1234"),
    "a storage that is a bomb": replaced_in_zip(
        "data/1", bytes(200 << 20), zipfile.ZIP_DEFLATED
    ),
    "a header without an end": struct.pack("<Q", 1 << 60) + b"{}",
    "a header of nothing": struct.pack("<Q", 0),
    "a header that is no JSON": struct.pack("<Q", 4) + b"{{{{",
    "a deep header": struct.pack("<Q", 100_000) + b"[" * 100_000,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_file_that_makes_no_sense_is_refused(upload, data):
    assert upload.refused(data).message


def header_of(entries: str) -> bytes:
    """A safetensors file with this header and 64 bytes of data."""
    text = entries.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(text)) + text + bytes(64)


HEADERS = {
    "overlap": (
        '{"a": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]},'
        ' "b": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}'
    ),
    "hole": '{"a": {"dtype": "F32", "shape": [8], "data_offsets": [32, 64]}}',
    "beyond": '{"a": {"dtype": "F32", "shape": [32], "data_offsets": [0, 128]}}',
    "backwards": '{"a": {"dtype": "F32", "shape": [16], "data_offsets": [64, 0]}}',
    "negative": '{"a": {"dtype": "F32", "shape": [-16], "data_offsets": [0, 64]}}',
    "overflow": (
        '{"a": {"dtype": "F32", "shape": [4294967296, 4294967296, 16],'
        ' "data_offsets": [0, 64]}}'
    ),
    "no dtype": '{"a": {"dtype": "F31", "shape": [16], "data_offsets": [0, 64]}}',
    "twice": (
        '{"a": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]},'
        ' "a": {"dtype": "F32", "shape": [8], "data_offsets": [32, 64]}}'
    ),
    "no UTF-8": '{"\udcff": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}',
    "path": '{"../a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}',
    "root": '{"/etc/a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}',
    "control": (
        '{"a\\u001b[2J": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}'
    ),
    "no key": '{"": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}',
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_that_lies_is_refused(upload, header):
    assert upload.refused(header_of(header)).message.isprintable()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\x1b[2J", ""])
def test_the_name_of_a_file_names_no_path(server, own_client, upload, name):
    request = model_initializer_pb2.SaveModelRequest
    messages = [request(header={}), request(file={"name": name})]
    messages.append(request(chunk=zip_file()))
    with server.channel() as channel:
        stub = model_initializer_pb2_grpc.ModelInitializerStub(channel)
        call = stub.SaveModel.future(iter(messages))
        assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)
    assert {path.name for path in server.data_dir.iterdir()} <= {
        "LOCK",
        "catalog.sqlite3",
        "catalog.sqlite3-wal",
        "catalog.sqlite3-shm",
        "packs",
        "staging",
        "uploads",
    }
