"""Whether a data folder holds what its catalog names, and nothing else."""

from __future__ import annotations

import contextlib
import sqlite3

from harness.server import Server


def assert_tidy(server: Server) -> None:
    """Looks into the folder behind the server's back, while no request runs."""
    assert server.staged() == []
    catalog = f"file:{server.data_dir / 'catalog.sqlite3'}?mode=ro"
    with contextlib.closing(sqlite3.connect(catalog, uri=True)) as db:
        packs = dict(db.execute("SELECT name, num_bytes FROM packs"))
        [(intact,)] = db.execute("PRAGMA integrity_check")
        [(unreferenced,)] = db.execute(
            "SELECT count(*) FROM blobs WHERE num_bytes > 0 AND id NOT IN "
            "(SELECT blob FROM entries UNION SELECT blob FROM storages)"
        )
    assert server.packs() == packs
    assert intact == "ok"
    assert unreferenced == 0
