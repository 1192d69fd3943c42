"""A line to a server that can be cut: then nothing arrives any more, and neither end is told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CHUNK_BYTES = 65_536


@dataclass
class Line:
    """What is sent while it is cut arrives when it is mended, as after a network's outage.

    Attributes:
        port: whoever connects to it speaks to the server.
    """

    port: int
    _whole: threading.Event = field(default_factory=threading.Event)

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def _serve(self, listener: socket.socket, server_port: int) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                client, _ = listener.accept()
                self._whole.wait()
                server = socket.create_connection(("127.0.0.1", server_port))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with source, suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                self._whole.wait()
                target.sendall(data)
            self._whole.wait()
            target.shutdown(socket.SHUT_WR)


@contextmanager
def line_to(server_port: int) -> Iterator[Line]:
    """A line to a server of this machine, whole at first and at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(listener.getsockname()[1])
        line.mend()
        threading.Thread(target=line._serve, args=(listener, server_port), daemon=True).start()
        try:
            yield line
        finally:
            line.mend()
            listener.shutdown(socket.SHUT_RDWR)
