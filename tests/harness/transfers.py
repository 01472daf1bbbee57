"""Uploads and downloads that stop in the middle, for as long as a test wants."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator

import torch
from warmstart.v1 import (
    checkpoints_pb2,
    checkpoints_pb2_grpc,
    model_initializer_pb2,
    model_initializer_pb2_grpc,
)

from harness.server import Server


def state(seed: int) -> dict[str, torch.Tensor]:
    """Some tensors, which follow from a seed."""
    generator = torch.Generator().manual_seed(seed)
    return {f"layer{i}": torch.randn(50, 50, generator=generator) for i in range(3)}


class StalledUpload:
    """An upload of `state(2)` that sent some bytes, and waits for `finish`."""

    def __init__(self, server: Server, alias: str = "") -> None:
        """Sends the first bytes."""
        self._channel = server.channel()
        self._sent, self._finish = threading.Event(), threading.Event()
        stub = model_initializer_pb2_grpc.ModelInitializerStub(self._channel)
        self.call = stub.SaveModel.future(self._messages(alias))
        assert self._sent.wait(10)
        # The server has what was sent once a file is there for it.
        deadline = time.monotonic() + 10
        while not server.staged() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.staged()

    def finish(self) -> None:
        """Sends the rest."""
        self._finish.set()

    def close(self) -> None:
        """Ends the connection."""
        self._finish.set()
        self._channel.close()

    def _messages(self, alias: str) -> Iterator:
        out = io.BytesIO()
        torch.save(state(2), out)
        data = out.getvalue()
        half = len(data) // 2
        request = model_initializer_pb2.SaveModelRequest
        yield request(header={"alias": alias})
        yield request(file={"name": "a.pt"})
        yield request(chunk=data[:half])
        self._sent.set()
        self._finish.wait(60)
        yield request(chunk=data[half:])


class StalledDownload:
    """A download that took its first chunk, and takes the rest when asked to.

    It stalls the server only where the file is much larger than what the connection
    buffers, some megabytes.
    """

    def __init__(self, server: Server, handle: str) -> None:
        """Takes the first chunk."""
        self._channel = server.channel()
        stub = checkpoints_pb2_grpc.CheckpointsStub(self._channel)
        request = checkpoints_pb2.DownloadCheckpointRequest(name=handle)
        self.call = stub.DownloadCheckpoint(request)
        self._data = bytearray()
        while not self._data:
            self._take(next(self.call))

    def rest(self) -> bytes:
        """Takes what is left, and returns the whole file."""
        for response in self.call:
            self._take(response)
        assert len(self._data) == self.file_size
        return bytes(self._data)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def _take(self, response: checkpoints_pb2.DownloadCheckpointResponse) -> None:
        if response.HasField("file_size"):
            self.file_size = response.file_size
        self._data += response.chunk
