"""Start new PyTorch models from the checkpoints on a Warmstart server.

    import warmstart

    client = warmstart.Client("localhost:50051")
    saved = client.save(net_a.state_dict(), architecture="NetA")
    started = client.warm_start("NetB", saved.checkpoint.name)
    print(started.report.summary)
    net_b.load_state_dict(client.state_dict(started.checkpoint.name))

Requests and answers are the messages of the API, in `warmstart.v1`, whose protos
are its manual. PyTorch is needed only where a state_dict comes in or goes out.
"""

from warmstart.client import Client
from warmstart.conversions import rules_from_transformers
from warmstart.errors import WarmstartError
from warmstart.schema import architecture_of
from warmstart.v1.matching_pb2 import ConvertStep, KeyRule, LoraAdapter, Widening
from warmstart.v1.model_initializer_pb2 import RandomTensor, Source

__all__ = [
    "Client",
    "ConvertStep",
    "KeyRule",
    "LoraAdapter",
    "RandomTensor",
    "Source",
    "WarmstartError",
    "Widening",
    "architecture_of",
    "rules_from_transformers",
]
