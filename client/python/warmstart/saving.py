"""Saving: files as they are, and what is in memory by what the server lacks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc

from warmstart import delta, errors, transfer, uploads
from warmstart.connection import Connection
from warmstart.v1.model_initializer_pb2 import SaveModelHeader, SaveModelResponse
from warmstart.v1.model_initializer_pb2_grpc import ModelInitializerStub
from warmstart.v1.uploads_pb2 import FindMissingTensorsRequest
from warmstart.v1.uploads_pb2_grpc import UploadsStub

# How often what is missing is asked for, should tensors vanish meanwhile. Then all of
# them are sent: those cannot vanish.
_QUESTIONS = 2


class Saver:
    """Sends SaveModel's streams. Thread-safe.

    A try sends its stream from the start, under the same request_id.
    """

    def __init__(
        self, connection: Connection, models: ModelInitializerStub, uploads: UploadsStub
    ) -> None:
        """The stubs are those of the connection's channel."""
        self._connection = connection
        self._models = models
        self._uploads = uploads
        # Until the server says that it does not.
        self._takes_manifests = True

    def save(
        self, header: SaveModelHeader, model: transfer.FilesOrState
    ) -> SaveModelResponse:
        """Saves files, or a state."""
        state = transfer.state_of(model)
        if isinstance(state, Mapping) and self._takes_manifests:
            described = delta.describe(state)
            saved = described and self._save_described(header, described)
            if saved is not None:
                return saved
        with transfer.as_files(state) as files:
            return self.send(header, files)

    def send(self, header: SaveModelHeader, files: Sequence[Path]) -> SaveModelResponse:
        """Sends a header and files as they are; large ones can be gone on with."""
        if sum(path.stat().st_size for path in files) >= uploads.RESUMABLE_BYTES:
            try:
                header.upload = uploads.send(
                    self._connection, self._uploads, header, files
                )
                files = []
            except errors.WarmstartError as error:
                if error.code == grpc.StatusCode.ALREADY_EXISTS:
                    files = []  # the answer is there to be asked for
                elif error.code != grpc.StatusCode.UNIMPLEMENTED:
                    raise
        return self._connection.retry(
            lambda: self._models.SaveModel(
                transfer.upload_stream(header, files),
                **self._connection.call_options,
            )
        )

    def _save_described(
        self, header: SaveModelHeader, model: delta.Model
    ) -> SaveModelResponse | None:
        """Sends a manifest and what is missing; None where the server is too old."""
        try:
            return self._connection.retry(lambda: self._send_missing(header, model))
        except errors.WarmstartError as error:
            if error.code != grpc.StatusCode.UNIMPLEMENTED:
                raise
            self._takes_manifests = False
            return None

    def _send_missing(
        self, header: SaveModelHeader, model: delta.Model
    ) -> SaveModelResponse:
        """Asks what is missing and sends that, anew where some of it vanished."""
        for _ in range(_QUESTIONS):
            try:
                missing = delta.missing(model, self._find_missing)
                return self._send_blobs(header, model, missing)
            except grpc.RpcError as error:
                if not _has_vanished(error):
                    raise
        return self._send_blobs(header, model, list(model.blobs.values()))

    def _send_blobs(
        self, header: SaveModelHeader, model: delta.Model, blobs: Sequence[delta.Blob]
    ) -> SaveModelResponse:
        stream = delta.upload_stream(header, model, blobs)
        return self._models.SaveModel(stream, **self._connection.call_options)

    def _find_missing(self, digests: Sequence[str]) -> Sequence[str]:
        request = FindMissingTensorsRequest(digests=digests)
        options = self._connection.call_options
        return self._uploads.FindMissingTensors(request, **options).missing


def _has_vanished(error: grpc.RpcError) -> bool:
    """Whether what a manifest refers to was deleted after it was asked for."""
    reason = errors.from_rpc_error(error).reason
    return reason == "TENSORS_MISSING" or error.code() == grpc.StatusCode.ABORTED
