"""A server of scripted answers, for tests of the client."""

from __future__ import annotations

from concurrent import futures

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2
from warmstart.v1 import (
    architectures_pb2_grpc,
    checkpoints_pb2_grpc,
    lineage_pb2_grpc,
    model_initializer_pb2_grpc,
    server_info_pb2_grpc,
    uploads_pb2_grpc,
)

METHODS = {
    model_initializer_pb2_grpc.ModelInitializerServicer: [
        "SaveModel",
        "WarmStart",
        "Forward",
    ],
    server_info_pb2_grpc.ServerInformationServicer: ["GetServerInfo"],
    uploads_pb2_grpc.UploadsServicer: ["FindMissingTensors"],
    checkpoints_pb2_grpc.CheckpointsServicer: [
        "GetCheckpoint",
        "ListCheckpoints",
        "UpdateCheckpoint",
        "DeleteCheckpoint",
        "DownloadCheckpoint",
        "GetManifest",
        "DiffCheckpoints",
        "SetAlias",
        "DeleteAlias",
        "ListAliases",
    ],
    lineage_pb2_grpc.LineageServicer: ["GetLineage", "ReproduceCheckpoint"],
    architectures_pb2_grpc.ArchitecturesServicer: [
        "RegisterArchitecture",
        "GetArchitecture",
        "ListArchitectures",
        "DeleteArchitecture",
    ],
}


class Failure(Exception):  # noqa: N818  it is what a server answers
    """An answer that is a failure."""

    def __init__(self, code: grpc.StatusCode, message: str = "", details=()) -> None:
        """Names the code, the message and the details' messages."""
        super().__init__(message)
        self.code, self.message, self.details = code, message, details

    def abort(self, context: grpc.ServicerContext) -> None:
        """Sends it."""
        if self.details:
            status = status_pb2.Status(code=self.code.value[0], message=self.message)
            for detail in self.details:
                packed = any_pb2.Any()
                packed.Pack(detail)
                status.details.append(packed)
            context.set_trailing_metadata(
                [("grpc-status-details-bin", status.SerializeToString())]
            )
        context.abort(self.code, self.message)


class FakeServer:
    """Answers each call with the next of the answers given for its method.

    A method for which none were given is UNIMPLEMENTED, as on an old server.

    An answer is a message, a list of messages (for a stream; a Failure in it
    breaks the stream off), or a Failure. Requests are kept in `requests`, a
    stream of them as a list, and what came with them in `metadata`.
    """

    def __init__(self) -> None:
        """Listens on a free port."""
        self.requests: dict[str, list] = {}
        self.metadata: dict[str, list[dict[str, str]]] = {}
        self._answers: dict[str, list] = {}
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        architectures_pb2_grpc.add_ArchitecturesServicer_to_server(
            self._servicer(architectures_pb2_grpc.ArchitecturesServicer), self._server
        )
        checkpoints_pb2_grpc.add_CheckpointsServicer_to_server(
            self._servicer(checkpoints_pb2_grpc.CheckpointsServicer), self._server
        )
        lineage_pb2_grpc.add_LineageServicer_to_server(
            self._servicer(lineage_pb2_grpc.LineageServicer), self._server
        )
        model_initializer_pb2_grpc.add_ModelInitializerServicer_to_server(
            self._servicer(model_initializer_pb2_grpc.ModelInitializerServicer),
            self._server,
        )
        server_info_pb2_grpc.add_ServerInformationServicer_to_server(
            self._servicer(server_info_pb2_grpc.ServerInformationServicer),
            self._server,
        )
        uploads_pb2_grpc.add_UploadsServicer_to_server(
            self._servicer(uploads_pb2_grpc.UploadsServicer), self._server
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def answer(self, method: str, *answers) -> None:
        """Sets what is answered, once each, in this order."""
        self._answers[method] = list(answers)

    def stop(self) -> None:
        """Stops listening."""
        self._server.stop(grace=None).wait()

    def _servicer(self, base: type):
        methods = {name: self._method(name) for name in METHODS[base]}
        return type("Fake", (base,), methods)()

    def _method(self, name: str):
        if name in ("DownloadCheckpoint", "ReproduceCheckpoint"):

            def stream(_, request, context):
                yield from self._next(name, request, context)

            return stream
        return lambda _, request, context: self._next(name, request, context)

    def _next(self, name: str, request, context: grpc.ServicerContext):
        if name == "SaveModel":
            request = list(request)
        copied = request
        if not isinstance(request, list):
            copied = type(request)()
            copied.CopyFrom(request)
        self.requests.setdefault(name, []).append(copied)
        metadata = dict(context.invocation_metadata())
        self.metadata.setdefault(name, []).append(metadata)
        if name not in self._answers:
            Failure(grpc.StatusCode.UNIMPLEMENTED).abort(context)
        answer = self._answers[name].pop(0)
        if isinstance(answer, Failure):
            answer.abort(context)
        if isinstance(answer, list):
            return self._stream(answer, context)
        return answer

    @staticmethod
    def _stream(answers: list, context: grpc.ServicerContext):
        for answer in answers:
            if isinstance(answer, Failure):
                answer.abort(context)
            yield answer
