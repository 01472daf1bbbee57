"""Collections of garbage, asked for as no Python client does."""

from __future__ import annotations

import grpc
from warmstart.v1 import admin_pb2, admin_pb2_grpc


def collect(
    channel: grpc.Channel, **options: object
) -> admin_pb2.CollectGarbageResponse:
    """One collection; `options` are the request's fields."""
    stub = admin_pb2_grpc.AdminStub(channel)
    return stub.CollectGarbage(admin_pb2.CollectGarbageRequest(**options), timeout=60)
