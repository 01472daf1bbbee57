"""Uploads that go on where they stopped when the server or the network was lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc

from warmstart.connection import Connection
from warmstart.transfer import CHUNK_BYTES
from warmstart.v1.model_initializer_pb2 import SaveModelHeader
from warmstart.v1.uploads_pb2 import (
    CreateUploadRequest,
    QueryUploadRequest,
    Upload,
    UploadFile,
    UploadPosition,
    WriteUploadRequest,
)
from warmstart.v1.uploads_pb2_grpc import UploadsStub

# Less is sent again soon, and takes one round trip.
RESUMABLE_BYTES = 16 << 20


def send(
    connection: Connection,
    uploads: UploadsStub,
    header: SaveModelHeader,
    files: Sequence[Path],
) -> str:
    """Sends files for SaveModel, and returns the name of their upload.

    Raises what CreateUpload and WriteUpload answer: ALREADY_EXISTS where the
    header's request was answered before, UNIMPLEMENTED where the server is of a
    time before uploads.
    """
    request = CreateUploadRequest(header=header)
    for path in files:
        request.files.append(UploadFile(name=path.name, size=path.stat().st_size))
    sending = _Sending(connection, uploads, files)
    sending.upload = connection.call(uploads.CreateUpload, request)
    connection.retry(sending.attempt)
    return sending.upload.name


class _Sending:
    """The attempts to write one upload."""

    upload: Upload  # as the server told it last

    def __init__(
        self, connection: Connection, uploads: UploadsStub, files: Sequence[Path]
    ) -> None:
        self._connection = connection
        self._uploads = uploads
        self._files = files
        self._is_retry = False

    def attempt(self) -> None:
        """Sends what the server has not."""
        if self._is_retry:
            self._query()
        self._is_retry = True
        try:
            self._write()
        except grpc.RpcError as error:
            # It had kept more than it told: it was not yet done with what came.
            if error.code() != grpc.StatusCode.OUT_OF_RANGE:
                raise
            self._query()
            self._write()

    def _query(self) -> None:
        self.upload = self._uploads.QueryUpload(
            QueryUploadRequest(name=self.upload.name), **self._connection.call_options
        )

    def _write(self) -> None:
        if all(file.committed_bytes == file.size for file in self.upload.files):
            return
        self._uploads.WriteUpload(self._rest(), **self._connection.call_options)

    def _rest(self) -> Iterator[WriteUploadRequest]:
        for i, (path, sent) in enumerate(
            zip(self._files, self.upload.files, strict=True)
        ):
            if sent.committed_bytes == sent.size:
                continue
            yield WriteUploadRequest(
                begin=UploadPosition(
                    upload=self.upload.name, file=i, offset=sent.committed_bytes
                )
            )
            with path.open("rb") as file:
                file.seek(sent.committed_bytes)
                while chunk := file.read(CHUNK_BYTES):
                    yield WriteUploadRequest(chunk=chunk)
