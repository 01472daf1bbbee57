"""A client that keeps its own account of all that a server answered."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc
import torch
import warmstart
from harness.tensors import assert_same_tensor
from warmstart.v1 import checkpoints_pb2

Tensors = dict[str, torch.Tensor]

# What a client sees of a server that was killed.
GONE = {grpc.StatusCode.UNAVAILABLE}

# Elements of a tensor: for the catalog, for a pack that is synced beside the
# catalog's rows, and for one that is not.
SIZES = (100, 40_000, 300_000)
MOST_LIVE = 8


def _random_tensor(size: int, seed: int) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


# All clients save these, so that packs are shared between their checkpoints.
BODIES = [_random_tensor(size, seed) for seed in range(4) for size in SIZES]
HEADS = [_random_tensor(size, 100 + size) for size in SIZES[:2]]


def architecture_name(body: torch.Tensor, head: torch.Tensor) -> str:
    """The one of a model with a body and a head of these sizes."""
    return f"Net-{body.numel()}-{head.numel()}"


def register_architectures(client: warmstart.Client) -> None:
    """Registers what all accounts warm-start."""
    for body in BODIES[: len(SIZES)]:
        for head in HEADS:
            state = {"body": body, "head": head}
            name = architecture_name(body, head)
            client.register_architecture(warmstart.architecture_of(name, state))


@dataclass
class Kept:
    """A checkpoint that the server said it has."""

    tensors: Tensors
    # What the server drew itself is known once it was read.
    drawn: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    request: Callable[[warmstart.Client], str] | None = None


class Account:
    """One client's requests, and what has to be true of the server after them.

    Names and aliases are this client's own, so that nobody else changes what it
    knows; the tensors are not.
    """

    def __init__(self, name: str, seed: int) -> None:
        """Begins with nothing."""
        self.name = name
        self.live: dict[str, Kept] = {}
        self.aliases: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.architectures: set[str] = set()
        self.answers = 0
        self.open_requests = 0
        self._random = random.Random(seed)
        self._count = 0
        self._settle: Callable[[warmstart.Client], None] | None = None

    # Requests.

    def run(self, address: str, stop: threading.Event) -> None:
        """Sends requests until it is told to stop, or the server is gone."""
        operations = [self._save, self._save, self._warm_start, self._warm_start]
        operations += [self._save_again, self._delete, self._delete, self._download]
        operations += [self._move_alias, self._label, self._register]
        with warmstart.Client(address, attempts=1, timeout=60) as client:
            while not stop.is_set():
                crowded = len(self.live) > MOST_LIVE
                operation = self._delete if crowded else self._choose(operations)
                try:
                    operation(client)
                except warmstart.WarmstartError as error:
                    if error.code in GONE:
                        self.open_requests += self._settle is not None
                        return
                    raise
                self._settle = None
                self.answers += 1

    def settle(self, client: warmstart.Client) -> None:
        """Finds out what became of the request that had no answer."""
        if self._settle is not None:
            self._settle(client)
            self._settle = None

    def _choose(self, options):
        return self._random.choice(list(options))

    def _next(self) -> str:
        self._count += 1
        return f"{self.name}/{self._count}"

    def _make(self, send: Callable[[warmstart.Client], str], kept: Kept, alias: str):
        """Sends what makes a checkpoint, here and once more where it is open."""

        def settle(client: warmstart.Client) -> None:
            found = self._find(client, f"aliases/{alias}")
            name = send(client)
            # Either it was made as a whole, or it was not.
            assert found is None or found.name == name
            self._keep(name, kept, alias)
            self._check(client, name)

        self._settle = settle
        return settle

    def _keep(self, name: str, kept: Kept, alias: str) -> None:
        assert name not in self.live
        assert name not in self.deleted
        self.live[name] = kept
        self.aliases[alias] = name

    def _save(self, client: warmstart.Client) -> None:
        alias, request_id = self._next(), self._new_id()
        tensors = {"body": self._choose(BODIES), "head": self._choose(HEADS)}
        if self._random.random() < 0.5:
            own = self._choose(SIZES)
            tensors["own"] = _random_tensor(own, self._random.getrandbits(40))

        def send(client: warmstart.Client) -> str:
            answer = client.save(tensors, alias=alias, request_id=request_id)
            return answer.checkpoint.name

        kept = Kept(tensors, request=send)
        self._make(send, kept, alias)
        self._keep(send(client), kept, alias)

    def _warm_start(self, client: warmstart.Client) -> None:
        if not self.live:
            return
        source = self._choose(self.live)
        body = self.live[source].tensors["body"]
        head = self._choose(HEADS)
        alias, request_id = self._next(), self._new_id()
        seed = self._random.getrandbits(30)

        def send(client: warmstart.Client) -> str:
            answer = client.warm_start(
                architecture_name(body, head),
                source,
                exclude="head",
                initialize={"head": {"normal": {"std": 1.0}}},
                seed=seed,
                alias=alias,
                request_id=request_id,
            )
            return answer.checkpoint.name

        kept = Kept({"body": body, "head": head}, drawn={"head"}, request=send)
        self._make(send, kept, alias)
        self._keep(send(client), kept, alias)

    def _save_again(self, client: warmstart.Client) -> None:
        if self.live:
            name = self._choose(self.live)
            assert self.live[name].request(client) == name

    def _delete(self, client: warmstart.Client) -> None:
        if not self.live:
            return
        name = self._choose(self.live)

        def gone() -> None:
            del self.live[name]
            self.deleted.add(name)
            for alias in [a for a, n in self.aliases.items() if n == name]:
                del self.aliases[alias]

        def settle(client: warmstart.Client) -> None:
            if self._find(client, name) is None:
                gone()
            else:
                self._check(client, name)

        self._settle = settle
        client.delete(name, force=True)
        gone()

    def _download(self, client: warmstart.Client) -> None:
        if self.live:
            self._check(client, self._choose(self.live))

    def _move_alias(self, client: warmstart.Client) -> None:
        if not self.live:
            return
        alias, name = f"{self.name}/moving", self._choose(self.live)

        def settle(client: warmstart.Client) -> None:
            found = self._find(client, f"aliases/{alias}")
            assert (found and found.name) in (self.aliases.get(alias), name)
            client.set_alias(alias, name)
            self.aliases[alias] = name

        self._settle = settle
        client.set_alias(alias, name)
        self.aliases[alias] = name

    def _label(self, client: warmstart.Client) -> None:
        if not self.live:
            return
        name = self._choose(self.live)
        labels = {"n": str(self._random.random()), "of": self.name.lower()}

        def settle(client: warmstart.Client) -> None:
            found = dict(client.get(name).labels)
            assert found in (self.live[name].labels, labels)
            self.live[name].labels = found

        self._settle = settle
        client.set_labels(name, labels)
        self.live[name].labels = labels

    def _register(self, client: warmstart.Client) -> None:
        name = self._next().replace("/", "-")
        schema = warmstart.architecture_of(name, {"w": HEADS[0]})

        def settle(client: warmstart.Client) -> None:
            client.register_architecture(schema)
            self.architectures.add(name)

        self._settle = settle
        client.register_architecture(schema)
        self.architectures.add(name)

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128)))

    # What the server has.

    def check(self, client: warmstart.Client, *, everything: bool) -> None:
        """Compares the account with the server: all names, and some tensors."""
        for name in self.live:
            found = client.get(name)
            assert dict(found.labels) == self.live[name].labels
            wanted = {f"aliases/{a}" for a, n in self.aliases.items() if n == name}
            assert set(found.aliases) == wanted
        for name in self.deleted if everything else list(self.deleted)[-3:]:
            assert self._find(client, name) is None
        for name in self.architectures if everything else ():
            architecture = client.get_architecture(name)
            assert architecture.name == f"architectures/{name}/versions/1"
        names = list(self.live)
        if not everything:
            names = self._random.sample(names, k=min(2, len(names)))
        for name in names:
            self._check(client, name)

    def _check(self, client: warmstart.Client, name: str) -> None:
        kept = self.live[name]
        tensors = client.state_dict(name)
        assert list(tensors) == list(kept.tensors)
        for key, tensor in kept.tensors.items():
            if key in kept.drawn:
                assert tensors[key].shape == tensor.shape
                kept.tensors[key] = tensors[key]
            else:
                assert_same_tensor(f"{name} {key}", tensors[key], tensor)
        kept.drawn = set()

    @staticmethod
    def _find(
        client: warmstart.Client, handle: str
    ) -> checkpoints_pb2.Checkpoint | None:
        try:
            return client.get(handle)
        except warmstart.WarmstartError as error:
            if error.code != grpc.StatusCode.NOT_FOUND:
                raise
            return None
