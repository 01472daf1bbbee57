"""The way to the server: a channel, and when a call is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import grpc

from warmstart import errors

Answer = TypeVar("Answer")

# Failures after which the same request may succeed: the server was not there, or
# a source was deleted while it was read.
_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED})

_FIRST_DELAY_SECONDS = 0.2

# The report of a large model is large, in answers and in error details; of the
# latter, the server sends only as much as the client says that it takes.
_MAX_ERROR_BYTES = 32 << 20
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The bytes of details travel as text.
    ("grpc.max_metadata_size", 2 * _MAX_ERROR_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * _MAX_ERROR_BYTES),
)
_METADATA = (("warmstart-max-error-bytes", str(_MAX_ERROR_BYTES)),)


class Connection:
    """A channel to one server. Thread-safe."""

    def __init__(self, address: str, *, timeout: float | None, attempts: int) -> None:
        """Connects when the first call is made."""
        if attempts < 1:
            raise ValueError("attempts must be at least 1")
        self.channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        # Of every call.
        self.call_options = {"timeout": timeout, "metadata": _METADATA}
        self._attempts = attempts

    def close(self) -> None:
        """Ends the connection; calls under way fail."""
        self.channel.close()

    def once(self, method: Callable[..., Answer], request: object) -> Answer:
        """Calls a method that must not run twice."""
        try:
            return method(request, **self.call_options)
        except grpc.RpcError as error:
            raise errors.from_rpc_error(error) from error

    def call(self, method: Callable[..., Answer], request: object) -> Answer:
        """Calls a method that may run twice, again after passing failures."""
        return self.retry(lambda: method(request, **self.call_options))

    def retry(self, attempt: Callable[[], Answer]) -> Answer:
        """Runs `attempt`, again after passing failures, a while apart."""
        for tried in range(1, self._attempts + 1):
            try:
                return attempt()
            except grpc.RpcError as error:
                if tried == self._attempts or error.code() not in _PASSING:
                    raise errors.from_rpc_error(error) from error
            time.sleep(_FIRST_DELAY_SECONDS * 2 ** (tried - 1))
        raise AssertionError("the last attempt returns or raises")
