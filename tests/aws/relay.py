"""A TCP relay on loopback that counts what a client sends, and may stop passing it on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Relay:
    """A running relay."""

    url: str
    holds_after_bytes: int | None
    """What it passes on before it holds everything back, for ever."""
    sent_bytes: int = 0
    holding: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def passes(self, count: int) -> bool:
        """Counts bytes; whether they may go on."""
        with self.lock:
            self.sent_bytes += count
            if self.holds_after_bytes is not None and self.sent_bytes > self.holds_after_bytes:
                self.holding.set()
            return not self.holding.is_set()


@contextmanager
def relayed(url: str, holds_after_bytes: int | None = None) -> Iterator[Relay]:
    """A relay to the server at `url`, until the block ends."""
    target = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        relay = Relay(f"{target.scheme}://127.0.0.1:{listener.getsockname()[1]}", holds_after_bytes)
        open_sockets: list[socket.socket] = []
        accepting = threading.Thread(
            target=_accept, args=(listener, (target.hostname, target.port), relay, open_sockets)
        )
        accepting.start()
        try:
            yield relay
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for one in open_sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()


def _accept(
    listener: socket.socket,
    target: tuple[str | None, int | None],
    relay: Relay,
    open_sockets: list[socket.socket],
) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection((target[0] or "", target[1] or 0))
            open_sockets += [client, server]
            threading.Thread(target=_pass, args=(client, server, relay), daemon=True).start()
            threading.Thread(target=_pass, args=(server, client, None), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket, relay: Relay | None) -> None:
    with suppress(OSError):
        while content := source.recv(1 << 16):
            if relay is not None and not relay.passes(len(content)):
                return
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)
