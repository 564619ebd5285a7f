"""Who is answered, and who is refused with a clear status."""

import contextlib
import re
import socket

import pytest

from rtpolyp.errors import InputError
from rtpolyp.web.address import Address, listen
from tests.runtime.web.conftest import Served


@pytest.fixture(scope="module")
def open_to_others():
    """At every address of this machine."""
    with contextlib.closing(Served("0.0.0.0:0")) as served:
        yield served


def test_the_page_forbids_everything_from_elsewhere(served):
    answer = served.client().get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    for name in ("/", "/live.js", "/style.css"):
        assert re.findall(r"https?://", served.client().get(name).text) == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "localhost:1", "", "127.0.0.1"])
def test_a_foreign_host_is_refused(served, host):
    answer = served.client(Host=host).get("/")
    assert answer.status_code in (400, 421)
    assert "rtpolyp live" not in answer.text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
@pytest.mark.parametrize("path", ["/", "/events", "/sightings"])
def test_a_foreign_origin_is_refused(served, origin, path):
    assert served.client(Origin=origin).get(path).status_code == 403


def test_a_change_without_an_origin_is_refused(served):
    client = served.client()
    del client.headers["Origin"]
    assert client.post("/settings", json={"overlay": False}).status_code == 403
    assert client.get("/sightings").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../server.py",
        "/sightings/../../x.jpg",
        "/sightings/%2Fetc%2Fpasswd.jpg",
        "/live.js/..",
        "//etc/passwd",
        "/sightings/-1.jpg",
        "/sightings/99.jpg",
    ],
)
def test_names_of_files_lead_nowhere(served, path):
    """As a stranger writes them: httpx would tidy them up."""
    port = served.broadcast.address.port
    with socket.create_connection(("127.0.0.1", port)) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = connection.makefile("rb").read()
    assert answer.split()[1] == b"404"
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "change",
    [{}, [], {"style": "rainbow"}, {"threshold": 1.5}, {"threshold": True}, {"threshold": "0.5"},
     {"overlay": 1}, {"minimum_area": 0.0}, {"overlay": True, "quit": True}, {"style": ["fill"]}],
)  # fmt: skip
def test_what_is_no_change_of_settings_is_refused(served, change):
    assert served.client().post("/settings", json=change).status_code == 400


def test_bodies_that_are_no_json_or_too_long_are_refused(served):
    client = served.client()
    for body in (b"{", b"\xff\xfe", b"[" * 10_000, b'{"overlay": ' + b" " * 100_000 + b"true}"):
        assert client.post("/settings", content=body).status_code == 400
        assert client.post("/offer", content=body).status_code == 400


@pytest.mark.parametrize(
    "sdp", ["", "v=0", "x" * 30_000, "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 99, 7]
)
def test_what_is_no_offer_is_refused(served, sdp):
    assert served.client().post("/offer", json={"sdp": sdp}).status_code == 400


def test_a_change_reaches_the_pipeline(served):
    assert served.client().post("/settings", json={"threshold": 0.7, "style": "box"}).status_code == 204
    assert next(served.changes()) == {"threshold": 0.7, "style": "box"}


def test_a_flood_of_changes_is_held_back(served):
    client = served.client()
    codes = [client.post("/settings", json={"overlay": True}).status_code for _ in range(60)]
    assert set(codes) <= {204, 429}
    list(served.changes(0.2))


def test_others_need_the_token(open_to_others):
    token = open_to_others.broadcast.address.token
    assert len(token) >= 32
    assert token in open_to_others.broadcast.address.url
    for path in ("/", "/?token=wrong", "/?token=%C3%A9", "/events", "/picture.mjpeg", "/sightings"):
        assert open_to_others.client().get(path).status_code == 401
    assert open_to_others.client().post("/settings", json={"overlay": True}).status_code == 401
    assert open_to_others.client(Cookie="rtpolyp_token=wrong").get("/").status_code == 401
    assert open_to_others.client(Authorization=f"Bearer {token}").get("/").status_code == 200


def test_the_link_with_the_token_becomes_a_cookie(open_to_others):
    client = open_to_others.client()
    answer = client.get("/", params={"token": open_to_others.broadcast.address.token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert client.get("/").status_code == 200


def test_a_foreign_name_is_refused_with_the_token_too(open_to_others):
    token = open_to_others.broadcast.address.token
    port = open_to_others.broadcast.address.port
    client = open_to_others.client(Authorization=f"Bearer {token}", Host=f"evil.example:{port}")
    del client.headers["Origin"]
    assert client.get("/").status_code == 421


@pytest.mark.parametrize("text", ["127.0.0.1:8080", ":8080", "8080", "localhost:80", "[::1]:8080"])
def test_loopback_addresses_have_no_token(text):
    assert Address.parse(text).token is None


@pytest.mark.parametrize("text", ["0.0.0.0:8080", "192.168.1.7:80", "[::]:80", "example.org:80"])
def test_all_others_have_one(text):
    assert Address.parse(text).token


@pytest.mark.parametrize("text", ["", "localhost", ":x", "host:99999", "a/b:80"])
def test_no_address_is_told_in_a_line(text):
    with pytest.raises(InputError, match="not an address; give :PORT or HOST:PORT"):
        Address.parse(text)


def test_a_port_in_use_is_told_in_a_line(served):
    with pytest.raises(InputError, match="cannot be listened on"):
        listen(Address.parse(f":{served.broadcast.address.port}"))


def test_a_connection_that_asks_nothing_is_closed(served):
    with socket.create_connection(("127.0.0.1", served.broadcast.address.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a")
        connection.settimeout(60)
        assert connection.recv(100) == b""
