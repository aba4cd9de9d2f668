"""Serves the page of `aezoo explore` to this machine's own browser, and nothing else. Standard library only.

It answers GET and HEAD of regular files that lie in the folder, of the kinds that a page has: no list of a
folder, no link, nothing hidden. It answers to the names of this machine alone, else a foreign page whose name
leads here (DNS rebinding) could read it.
"""

import contextlib
import functools
import http
import http.server
import os
import pathlib
import socket
import socketserver
import stat
import sys
import threading
import urllib.parse
from collections import OrderedDict
from typing import Any, BinaryIO

from aezoo.core.errors import OptionError

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".bin": "application/octet-stream",
    ".onnx": "application/octet-stream",
}
# The meta element of index.html says the same, for hosts that send no headers; `frame-ancestors` works in a
# header alone.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # a page that was written anew is shown anew
}
_MOST = 32  # connections at a time, each with a thread; a browser opens six
_SECONDS = 20  # without a byte, after which a connection ends
_CHUNK = 2**16


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request, and ends."""

    timeout = _SECONDS
    server_version, sys_version = "aezoo", ""
    server: "_Server"

    def __init__(self, *arguments: Any, folder: pathlib.Path) -> None:
        self.folder = folder
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def _answer(self, with_content: bool) -> None:
        self.server.is_at_work(self.connection)
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            self.send_error(http.HTTPStatus.MISDIRECTED_REQUEST, explain=f"Open {self.server.address}")
            return
        path = urllib.parse.unquote(self.path.partition("?")[0].removeprefix("/"))
        path += "index.html" if not path or path.endswith("/") else ""
        kind = _TYPES.get(pathlib.PurePosixPath(path).suffix)
        file = None if kind is None else open_inside(self.folder, path)
        if kind is None or file is None:
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return
        with file:
            self.send_response(http.HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            while with_content and (piece := file.read(_CHUNK)):
                self.wfile.write(piece)
                self.server.is_at_work(self.connection)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        """Says nothing: requests of one's own browser are no news."""


def open_inside(folder: pathlib.Path, path: str) -> BinaryIO | None:
    """Opens a file of a folder; None unless it is a regular file that is reached without a link.

    Args:
        folder: as it is named, which may be a link itself.
        path: of the file within it, with slashes; no part of it may be hidden.
    """
    parts = path.split("/")
    if "\0" in path or "\\" in path or any(part.startswith(".") or not part for part in parts):
        return None
    root = folder.resolve()
    place = root.joinpath(*parts)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if place.resolve(strict=True) != place:
            return None
        number = os.open(place, flags | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(number).st_mode):
        return os.fdopen(number, "rb")
    os.close(number)
    return None


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A thread for each of a few connections; where one more comes, another ends for it.

    That is the oldest of those that have not asked for anything yet, else the one whose answer rests longest.
    """

    daemon_threads = True  # Ctrl-C waits for none of them
    request_queue_size = 128

    def __init__(self, port: int, folder: pathlib.Path) -> None:
        self._connections: OrderedDict[socket.socket, bool] = OrderedDict()  # whether it has asked
        self._lock = threading.Lock()
        self._threads_left = threading.Semaphore(_MOST)
        super().__init__(("127.0.0.1", port), functools.partial(_Handler, folder=folder))
        names = ("127.0.0.1", "localhost", "[::1]")
        self.hosts = {f"{name}:{self.server_port}" for name in names}
        self.hosts |= set(names) if self.server_port == 80 else set()
        self.address = f"http://127.0.0.1:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._connections) == _MOST:
                silent = (each for each, has_asked in self._connections.items() if not has_asked)
                ended = next(silent, next(iter(self._connections)))
                del self._connections[ended]
                with contextlib.suppress(OSError):  # it has ended by itself
                    ended.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
            self._connections[request] = False
        self._threads_left.acquire()  # at once, or when that thread is done
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._threads_left.release()

    def is_at_work(self, request: socket.socket) -> None:
        """Notes that a connection has asked for something, and takes it; others end before it."""
        with self._lock:
            if request in self._connections:
                self._connections[request] = True
                self._connections.move_to_end(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a visitor who left in between, which is no news either."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def open_server(folder: str | os.PathLike[str], port: int = 8000) -> _Server:
    """Returns a server of a page on 127.0.0.1; `serve_forever()` begins, `server_port` says where.

    Args:
        folder: of the page.
        port: 0 takes any that is free.

    Raises:
        OptionError: the port is taken, not allowed, or no port.
    """
    try:
        return _Server(port, pathlib.Path(folder))
    except (OSError, OverflowError) as error:
        raise OptionError(
            "the page cannot be served on this port",
            got=f"port={port}: {getattr(error, 'strerror', None) or error}",
            expected="a free port from 1024 to 65535; 0 takes any",
            fix="pass port=0",
        ) from error
