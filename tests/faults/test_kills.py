"""A server that is killed at random moments, again and again, under load.

Each client keeps an account of every answer, and the next server has to agree
with it. KILL_ROUNDS says how often, KILL_SEED which requests are sent; when the
server dies, nobody can say twice.
"""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from harness.collecting import collect
from harness.server import Server

from faults.account import GONE, Account, register_architectures
from faults.tidiness import assert_tidy

ROUNDS = int(os.environ.get("KILL_ROUNDS", "20"))
SEED = int(os.environ.get("KILL_SEED", "1"))
CLIENTS = 4
LONGEST_LOAD_SECONDS = 0.6
LONGEST_START_SECONDS = 0.15


def collect_until(server: Server, stop: threading.Event) -> int:
    """Collects garbage until the server is gone, and counts how often."""
    answers = 0
    with server.channel() as channel:
        while not stop.is_set():
            try:
                collect(channel, min_live_share=0.9)
            except grpc.RpcError as error:
                if error.code() in GONE:
                    break
                raise
            answers += 1
    return answers


def load_and_kill(server: Server, accounts: list[Account], seconds: float) -> int:
    """Sends requests from all clients, and kills the server among them.

    Collects garbage beside them, and returns how often.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(len(accounts) + 1) as pool:
        collecting = pool.submit(collect_until, server, stop)
        running = [pool.submit(one.run, server.address, stop) for one in accounts]
        time.sleep(seconds)
        server.kill()
        stop.set()
        for one in running:
            one.result()
        return collecting.result()


def kill_while_it_starts(server: Server, seconds: float) -> None:
    """What is swept and mended at the start may be broken off, too."""
    process = server.spawn()
    time.sleep(seconds)
    process.kill()
    process.wait()


def test_a_killed_server_has_all_that_it_answered(tmp_path):
    chance = random.Random(SEED)
    server = Server(tmp_path / "data").start()
    with server.client() as client:
        register_architectures(client)
    accounts = [Account(f"client{i}", SEED * CLIENTS + i) for i in range(CLIENTS)]
    collections = 0
    for round_ in range(ROUNDS):
        seconds = chance.uniform(0, LONGEST_LOAD_SECONDS)
        collections += load_and_kill(server, accounts, seconds)
        if chance.random() < 0.3:
            kill_while_it_starts(server, chance.uniform(0, LONGEST_START_SECONDS))
        server.start()
        assert_tidy(server)
        with server.client() as client:
            for account in accounts:
                account.settle(client)
                account.check(client, everything=round_ == ROUNDS - 1)
            listed = {checkpoint.name for checkpoint in client.list()}
        assert listed == {name for account in accounts for name in account.live}
        assert_tidy(server)

    answers = sum(account.answers for account in accounts)
    broken_off = sum(account.open_requests for account in accounts)
    print(f"{ROUNDS} kills, {answers} answers, {broken_off} requests broken off")
    print(f"{collections} collections")
    # Else nothing was tried.
    assert answers > 10 * ROUNDS
    assert broken_off > ROUNDS // 2
    assert collections > ROUNDS // 2
    assert server.stop() == 0
    with server, server.client() as client:
        assert_tidy(server)
        for account in accounts:
            account.check(client, everything=True)
