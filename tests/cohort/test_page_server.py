"""Pages are served to the one who has the address, from one folder, whoever else asks."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from warpline.cohort import page_server
from warpline.cohort.page_server import PageServer, inside
from warpline.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    out = tmp_path / "out"
    (out / "report").mkdir(parents=True)
    (out / "report" / "index.html").write_text("<p>here</p>")
    (out / ".hidden").write_text("hidden")
    (tmp_path / "secret").write_text("SECRET")
    (out / "report" / "link.html").symlink_to(tmp_path / "secret")
    (out / "report" / "own.html").symlink_to("index.html")
    (out / "etc").symlink_to("/etc")
    return out


@pytest.fixture
def server(folder):
    with PageServer(folder, 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def ask(server, target, host="127.0.0.1", method="GET"):
    """Status and whole answer."""
    with socket.create_connection(server.server_address, 5) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return int(answer.split()[1]), answer


def path(server, name):
    return f"/{server.token}/{name}"


def test_the_address_gives_the_page(server):
    assert server.server_address[0] == "127.0.0.1" and len(server.token) >= 32
    for host in ("127.0.0.1", "localhost:9000"):
        status, answer = ask(server, path(server, "report/index.html"), host)
        assert status == 200 and answer.endswith("<p>here</p>")
    assert "nosniff" in answer and "no-referrer" in answer and "Access-Control" not in answer


@pytest.mark.parametrize("target", ["/report/index.html", "/", "/wrong/report/index.html", "//report/index.html"])
def test_without_the_token_nothing_is_given(server, target):
    status, answer = ask(server, target)
    assert status == 403 and "here" not in answer


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "0.0.0.0"])
def test_another_host_is_refused(server, host):
    assert ask(server, path(server, "report/index.html"), host)[0] == 421


@pytest.mark.parametrize(
    "name",
    ["", "report", "report/", ".hidden", "report/../.hidden", "../secret", "%2e%2e/secret", "..%2fsecret",
     "report/link.html", "etc/passwd", "report//index.html", "%00", "none"],
)  # fmt: skip
def test_nothing_else_is_given(server, name):
    status, answer = ask(server, path(server, name))
    assert status == 404 and "SECRET" not in answer and "root:" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "OPTIONS"])
def test_nothing_is_written(server, method):
    assert ask(server, path(server, "report/index.html"), method=method)[0] == 501


def test_links_within_the_folder_are_followed(server, folder):
    assert ask(server, path(server, "report/own.html"))[0] == 200
    assert inside(folder.resolve(), "report/own.html") == folder.resolve() / "report" / "index.html"


def test_idle_clients_keep_nobody_out(server):
    idle = [socket.create_connection(server.server_address, 5) for _ in range(3 * page_server.MAX_CONNECTIONS)]
    try:
        assert ask(server, path(server, "report/index.html"))[0] == 200
        assert threading.active_count() < 2 * page_server.MAX_CONNECTIONS
    finally:
        for connection in idle:
            connection.close()


def test_a_port_that_is_taken_is_named(server, folder):
    with pytest.raises(UsageError, match="choose another with --port"):
        PageServer(folder, server.server_address[1])
    assert os.path.isdir(folder)
