"""Many clients at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import torch
import warmstart
from harness.nets import NetA
from harness.tensors import assert_same_state

CLIENTS = 8


def state_of(seed: int) -> dict[str, torch.Tensor]:
    state = NetA().state_dict()
    generator = torch.Generator().manual_seed(seed)
    for key, tensor in state.items():
        state[key] = torch.randn(tensor.shape, generator=generator)
    return state


def in_parallel(work, count: int = CLIENTS) -> list:
    """Runs work(0) to work(count - 1), all beginning together."""
    begin = threading.Barrier(count)

    def run(number: int):
        begin.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_clients_do_not_see_each_others_tensors(server):
    def work(number: int) -> None:
        with server.client() as client:
            for round_ in range(4):
                state = state_of(100 * number + round_)
                handle = client.save(state, architecture="NetA").checkpoint.name
                started = client.warm_start("NetB", handle, strict=True)
                name = started.checkpoint.name
                assert_same_state(client.state_dict(name), state)
                client.delete(handle)
                assert_same_state(client.state_dict(name), state)

    in_parallel(work)
    names, _, _, staged = server.stored()
    assert len(names) == 4 * CLIENTS
    assert staged == []


def test_one_request_sent_by_many_is_done_once(server):
    state = state_of(1)

    def work(_: int):
        with server.client() as client:
            saved = client.save(state, request_id="one").checkpoint
            started = client.warm_start("NetB", saved.name, request_id="two")
            return saved.name, started.checkpoint.name

    assert len(set(in_parallel(work))) == 1
    assert len(server.stored()[0]) == 2


def test_equal_tensors_saved_by_many_are_stored_once(server):
    state = {"w": torch.randn(100_000)}

    def work(_: int) -> str:
        with server.client() as client:
            return client.save(state).checkpoint.name

    names = in_parallel(work)
    assert len(set(names)) == CLIENTS
    assert sum(server.packs().values()) < 2 * 400_000
    with server.client() as client:
        for name in names[1:]:
            client.delete(name)
        assert_same_state(client.state_dict(names[0]), state)


def test_a_source_that_is_deleted_meanwhile_does_no_harm(server):
    with server.client() as client:
        sources = [client.save(state_of(i)).checkpoint.name for i in range(CLIENTS)]

    codes = []

    def work(number: int) -> list[tuple[int, str]]:
        made = []
        with server.client(attempts=1) as client:
            for i, source in enumerate(sources):
                try:
                    if i == number:
                        client.delete(source)
                    else:
                        started = client.warm_start("NetB", source)
                        made.append((i, started.checkpoint.name))
                except warmstart.WarmstartError as error:
                    codes.append(error.code)
        return made

    made = [one for some in in_parallel(work) for one in some]
    assert set(codes) <= {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED}
    with server.client() as client:
        for source, name in made:
            assert_same_state(client.state_dict(name), state_of(source))
    assert server.staged() == []


def test_an_alias_moved_by_many_points_to_one(server):
    def work(number: int) -> str:
        with server.client() as client:
            return client.save(state_of(number), alias="best").checkpoint.name

    names = in_parallel(work)
    _, aliases, _, _ = server.stored()
    [(alias, name)] = aliases
    assert alias == "aliases/best"
    assert name in names
