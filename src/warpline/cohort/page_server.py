"""Pages of an output folder over HTTP: for one person, on this machine, and nothing but the files of that folder.

Every other user of the machine reaches a port of it, and so does every web page that a browser here has open. So each
address carries a token that only the one who started the server knows, and a request must name this machine as its
host, which a page of another name cannot (DNS rebinding). Only regular files inside the folder are given, by names
without a leading dot; nothing is listed, nothing is written.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import threading
import urllib.parse
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from warpline.errors import UsageError

MAX_CONNECTIONS = 32
"""Open connections; one more closes the oldest, so that idle ones block nobody."""

REQUEST_SECONDS = 10.0
"""Seconds in which a client must send its request."""

HOSTS = frozenset({"127.0.0.1", "localhost"})
"""What a request may call this machine; the port may differ, behind a tunnel."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """A server of the files in a folder, bound to this machine.

    Parameters
    ----------
    folder : Path
        Its files are served, links that leave it are not.
    port : int
        0 takes a free one.

    Raises
    ------
    UsageError
        When the port cannot be used.
    """

    daemon_threads = True
    request_queue_size = 4 * MAX_CONNECTIONS

    def __init__(self, folder: Path, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self._open: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), partial(_Handler, folder.resolve(), self.token))
        except (OSError, OverflowError) as error:
            raise UsageError(f"port {port} cannot be used: {error}; choose another with --port") from None

    def address(self, page: str) -> str:
        """The URL of a file of the folder."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.token}/{page}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; of too many connections the oldest is ended."""
        with self._lock:
            self._open[request] = None
            oldest = next(iter(self._open)) if len(self._open) > MAX_CONNECTIONS else None
            if oldest is not None:
                del self._open[oldest]
        if oldest is not None:
            _end(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that is over."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that went away."""


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)  # its thread then reads the end
    except OSError:
        return


class _Handler(SimpleHTTPRequestHandler):
    timeout = REQUEST_SECONDS
    server_version, sys_version = "warpline", ""

    def __init__(self, folder: Path, token: str, *arguments: Any) -> None:
        self._folder, self._token = folder, token
        super().__init__(*arguments, directory=str(folder))

    def send_head(self) -> Any:
        """Send a file, or an error with its reason."""
        host = urllib.parse.urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in HOSTS:
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this machine is called 127.0.0.1 or localhost here")
        token, _, name = urllib.parse.urlsplit(self.path).path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return self._refuse(HTTPStatus.FORBIDDEN, "open the page by the whole address that the command printed")
        found = inside(self._folder, urllib.parse.unquote(name))
        if found is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "there is no such file in the folder")
        self.path = "/" + urllib.parse.quote(found.relative_to(self._folder).as_posix())
        return super().send_head()

    def end_headers(self) -> None:
        """Add headers that stop other sites from reading or framing the pages."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing about each request."""

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.send_error(status, explain=reason)


def inside(folder: Path, name: str) -> Path | None:
    """The regular file of that name in a folder, links followed; None when it is hidden, elsewhere or no file.

    Parameters
    ----------
    folder : Path
        Without links.
    name : str
        Relative, with slashes.
    """
    parts = name.split("/")
    if "\0" in name or "\\" in name or any(part.startswith(".") or not part for part in parts):
        return None
    try:
        found = Path(os.path.realpath(folder.joinpath(*parts)))
    except (OSError, ValueError):
        return None
    return found if found.is_relative_to(folder) and found.is_file() else None
