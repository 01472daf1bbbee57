"""A way to a server that counts what passes, stalls, and breaks when it is told."""

from __future__ import annotations

import contextlib
import socket
import threading

from harness.server import Server

_PIECE_BYTES = 1 << 16


class Proxy:
    """Forwards connections to a server, for a `with` block.

    With `hold_after`, it passes so many bytes to the server, and the rest once it
    is released. Has an `address`, as the server has.
    """

    def __init__(self, server: Server, hold_after: int | None = None) -> None:
        """Listens on a free port."""
        self._server = server
        self._hold_after = hold_after
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.sent = 0  # bytes that went to the server

    def __enter__(self) -> Proxy:
        """Begins to forward."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends all connections."""
        self._listener.close()
        self.release()
        self.cut()

    @property
    def address(self) -> str:
        """Where it listens, "127.0.0.1:port"."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def is_holding(self) -> bool:
        """Tells whether all has passed that passes before `release`."""
        return self.sent == self._hold_after

    def release(self) -> None:
        """Lets everything pass from now on."""
        self._released.set()

    def cut(self) -> None:
        """Breaks the connections that there are; new ones are forwarded."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            _close(one)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                client, _ = self._listener.accept()
                threading.Thread(
                    target=self._forward, args=(client,), daemon=True
                ).start()

    def _forward(self, client: socket.socket) -> None:
        try:
            host, port = self._server.address.split(":")
            server = socket.create_connection((host, int(port)))
        except (OSError, ValueError):  # also where its port is not known yet
            _close(client)
            return
        with self._lock:
            self._sockets |= {client, server}
        threading.Thread(target=_pump, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError):
            while self._pass_piece(client, server):
                pass
        _close(client)
        _close(server)

    def _pass_piece(self, client: socket.socket, server: socket.socket) -> bool:
        size = _PIECE_BYTES
        if self._hold_after is not None and not self._released.is_set():
            size = min(size, self._hold_after - self.sent)
            if size == 0:
                self._released.wait()
                return True
        piece = client.recv(size)
        server.sendall(piece)
        self.sent += len(piece)
        return bool(piece)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            target.sendall(piece)
    _close(source)
    _close(target)


def _close(one: socket.socket) -> None:
    # close() alone would leave the other thread waiting in recv().
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
