"""What the server of a page answers, to whom, and what it withstands."""

import contextlib
import http.client
import os
import re
import socket
import threading
import time

import pytest
from conftest import ROOT

from aezoo.explorer import server as module
from aezoo.explorer.server import HEADERS, POLICY, open_inside, open_server

SAID = "what the page says"


@pytest.fixture
def folder(tmp_path):
    """A page beside things that are none of its visitors' business, and ways that lead to them."""
    page = tmp_path / "page"
    (page / "runtime" / "inner").mkdir(parents=True)
    (page / ".git").mkdir()
    for name in ("index.html", "explorer.json", "runtime/a.mjs", "runtime/index.html", "notes", "key.pem"):
        (page / name).write_text(SAID, encoding="utf-8")
    for name in (".hidden.html", ".git/a.txt"):
        (page / name).write_text("secret", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_text("secret", encoding="utf-8")
    (page / "link.txt").symlink_to(tmp_path / "secret.txt")
    (page / "inner_link.html").symlink_to(page / "index.html")
    (page / "way").symlink_to(tmp_path / "outside")
    os.mkfifo(page / "pipe.txt")
    return page


@pytest.fixture
def served(folder):
    with open_server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path="/", method="GET", **headers):
    """Returns (status, content, headers)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), answer.headers
    connection.close()
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/index.html",
        "/index.html?a=b",
        "/explorer.json",
        "/runtime/a.mjs",
        "/runtime/",
        "/%69ndex.html",
        "//index.html",
    ],
)
def test_files_of_the_page_are_served(path, served):
    status, content, headers = ask(served, path)
    assert (status, content, headers["Content-Length"]) == (200, SAID, str(len(SAID)))
    status, content, headers = ask(served, path, "HEAD")
    assert (status, content, headers["Content-Length"]) == (200, "", str(len(SAID)))


@pytest.mark.parametrize(
    "path",
    [
        "/runtime",
        "/runtime/inner/",
        "/link.txt",
        "/inner_link.html",
        "/way/a.txt",
        "/way/",
        "/pipe.txt",
        "/../secret.txt",
        "/runtime/../index.html",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/%2fetc/hosts.txt",
        "/./index.html",
        "/index.html%00.txt",
        "/index.html/",
        "/.hidden.html",
        "/.git/a.txt",
        "/notes",
        "/key.pem",
        "/none.html",
        "http://localhost/index.html",
        "/%ff%fe.html",
        "/" + "a" * 5000 + ".html",
    ],
)
def test_nothing_else_is(path, served):
    for method in ("GET", "HEAD"):
        status, content, headers = ask(served, path, method, Host=f"localhost:{served.server_port}")
        assert status == 404
        assert "secret" not in content
        assert headers["Content-Security-Policy"]


def test_a_folder_may_be_a_link_itself(folder, tmp_path):
    (tmp_path / "shown").symlink_to(folder)
    with open_inside(tmp_path / "shown", "index.html") as file:
        assert file.read().decode() == SAID


def test_every_answer_has_the_policy(served):
    for path, method in (("/", "GET"), ("/none", "GET"), ("/", "HEAD"), ("/", "POST")):
        headers = ask(served, path, method)[2]
        assert {name: headers[name] for name in HEADERS} == HEADERS
    assert HEADERS["Content-Security-Policy"].endswith("; frame-ancestors 'none'")
    html = (ROOT / "aezoo" / "explorer" / "page" / "index.html").read_text("utf-8")
    assert re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[1] == POLICY
    told = (ROOT / "docs" / "jobs" / "explorer.md").read_text("utf-8")
    assert all(f"{name}: {value}\n" in told for name, value in HEADERS.items())


def test_only_this_machines_names_are_answered(served):
    port = served.server_port
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert ask(served, Host=f"{host}:{port}")[:2] == (200, SAID)
    others = [f"evil.example:{port}", f"127.0.0.1:{port + 1}", f"0.0.0.0:{port}", f"x@localhost:{port}"]
    for host in (*others, f"localhost.evil.example:{port}", "evil.example", "127.0.0.1", "", None):
        status, content, _ = ask(served, Host=host)
        assert status == 421, host
        assert SAID not in content
        assert f"http://127.0.0.1:{port}/" in content
    with socket.create_connection(("127.0.0.1", port)) as twice:
        twice.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\nHost: evil.example\r\n\r\n".encode())
        assert twice.makefile("rb").readline().split()[1] == b"421"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_only_get_and_head(method, served):
    status, content, _ = ask(served, "/", method)
    assert status == 501
    assert SAID not in content


def has_ended(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:  # the same, with something unread on the other side
        return True


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["silent", "half a request"])
def test_idle_connections_starve_nobody(start, served):
    before, many = threading.active_count(), []
    try:
        for _ in range(200):
            many.append(socket.create_connection(("127.0.0.1", served.server_port), timeout=30))
            many[-1].sendall(start)
        assert ask(served)[:2] == (200, SAID)
        assert threading.active_count() - before <= module._MOST
        assert len(served._connections) <= module._MOST
        assert has_ended(many[0])
    finally:
        for connection in many:
            connection.close()


def test_who_takes_a_file_slowly_is_not_ended_by_idle_ones(served, folder):
    size = 30_000_000
    with open(folder / "large.bin", "wb") as file:
        file.truncate(size)
    slow = socket.create_connection(("127.0.0.1", served.server_port), timeout=30)
    slow.sendall(f"GET /large.bin HTTP/1.1\r\nHost: localhost:{served.server_port}\r\n\r\n".encode())
    with contextlib.ExitStack() as opened:
        opened.enter_context(slow)
        read = len(slow.recv(65536))
        for _ in range(4 * module._MOST):
            address = ("127.0.0.1", served.server_port)
            opened.enter_context(socket.create_connection(address, timeout=30))
        assert ask(served)[:2] == (200, SAID)  # so all of those have been accepted
        while piece := slow.recv(2**20):
            read += len(piece)
    assert read > size


def test_answers_that_nobody_takes_starve_nobody(served, folder):
    with open(folder / "large.bin", "wb") as file:
        file.truncate(30_000_000)
    request = f"GET /large.bin HTTP/1.1\r\nHost: localhost:{served.server_port}\r\n\r\n".encode()
    with contextlib.ExitStack() as opened:
        for _ in range(2 * module._MOST):
            address = ("127.0.0.1", served.server_port)
            opened.enter_context(socket.create_connection(address, timeout=30)).sendall(request)
        assert ask(served)[:2] == (200, SAID)


def test_a_connection_that_says_nothing_ends(served, monkeypatch):
    assert module._Handler.timeout == module._SECONDS <= 60
    monkeypatch.setattr(module._Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=30) as silent:
        assert has_ended(silent)


def test_who_leaves_early_is_no_news(served, folder, capfd):
    with open(folder / "large.bin", "wb") as file:
        file.truncate(10_000_000)
    request = f"GET /large.bin HTTP/1.1\r\nHost: localhost:{served.server_port}\r\n\r\n".encode()
    connection = socket.create_connection(("127.0.0.1", served.server_port))
    connection.sendall(request)
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    deadline = time.monotonic() + 30
    while served._connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not served._connections
    assert capfd.readouterr() == ("", "")
