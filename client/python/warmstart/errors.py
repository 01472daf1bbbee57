"""What a request that failed raises."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2

from warmstart.v1 import report_pb2


class WarmstartError(Exception):
    """A request that the server, or the way to it, failed.

    Attributes:
        code: The canonical code, e.g. `grpc.StatusCode.NOT_FOUND`.
        message: One sentence: what was wrong and what to do.
        reason: The machine-readable reason, e.g. "CHECKPOINT_NOT_FOUND"; empty
            where the failure is not the server's own, e.g. a lost connection.
        metadata: What the reason is about: the key, field or resource.
        report: The account of every key, where a policy that the request set
            (strict, shapes, dtypes, coverage) was not met.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        metadata: dict[str, str] | None = None,
        report: report_pb2.MatchReport | None = None,
    ) -> None:
        """Makes the error of a failed request."""
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}
        self.report = report


# Where gRPC carries a google.rpc.Status.
_DETAILS_KEY = "grpc-status-details-bin"


def _details(error: grpc.RpcError):
    """The messages, as Any, that the server attached to a failure."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            return status_pb2.Status.FromString(value).details
    return ()


def from_rpc_error(error: grpc.RpcError) -> WarmstartError:
    """Turns what gRPC raised into a `WarmstartError`, with its details."""
    info = error_details_pb2.ErrorInfo()
    report = None
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(report_pb2.MatchReport.DESCRIPTOR):
            report = report_pb2.MatchReport()
            detail.Unpack(report)
    return WarmstartError(
        error.code(),
        error.details() or "",
        reason=info.reason,
        metadata=dict(info.metadata),
        report=report,
    )
