"""Serves a folder to this machine's own browser. Standard library only."""

import functools
import http.server
import os
import pathlib

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
    "": "application/octet-stream",
}


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = _TYPES  # not the system's table, which may call .mjs or .wasm something else

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # a page that was written anew is shown anew
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        """Says nothing: requests of one's own browser are no news."""


def open_server(folder: str | os.PathLike[str], port: int = 8000) -> http.server.ThreadingHTTPServer:
    """Returns a server of a folder on 127.0.0.1; `serve_forever()` begins, `server_port` says where.

    Args:
        folder: of the page.
        port: 0 takes any that is free.

    Raises:
        OptionError: the port is taken, not allowed, or no port.
    """
    handler = functools.partial(_Handler, directory=str(pathlib.Path(folder)))
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        raise OptionError(
            "the page cannot be served on this port",
            got=f"port={port}: {getattr(error, 'strerror', None) or error}",
            expected="a free port from 1024 to 65535; 0 takes any",
            fix="pass port=0",
        ) from error
