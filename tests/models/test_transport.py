from __future__ import annotations

import ssl
from base64 import b64encode

import pytest
import trustme
from loopback import Answer, ConnectProxy, FileServer

from lkcfuse.errors import WeightsError
from lkcfuse.models.transport import check_address, get, split_login


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure(authority):
    """An https server whose certificate nobody trusts unless told to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost", "weights.example").configure_cert(context)
    with FileServer(context).running() as running:
        running.files["/file.pth"] = b"secret"
        yield running


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


def read(url):
    with get(url) as response:
        return response.status, response.read()


@pytest.mark.parametrize(
    "url", ["https://example.org/x", "http://127.0.0.1:80/x", "http://[::1]/x", "http://localhost/"]
)
def test_https_and_plain_http_of_this_machine_are_asked(url):
    check_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "http://127.0.0.1.example.org/x",
        "http://localhost.example.org/x",
        "http://127.0.0.1@example.org/x",
        "http://192.168.0.1/x",
        "http://0.0.0.0/x",
        "http://2130706433/x",
    ],
)
def test_plain_http_of_others_is_refused(url):
    with pytest.raises(WeightsError, match="plain http"):
        check_address(url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "", "https:///x"])
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(WeightsError, match="not an https address"):
        check_address(url)


@pytest.mark.parametrize("url", ["https://[oops/", "https://example.org:99999/"])
def test_a_malformed_address_is_refused(url):
    with pytest.raises(WeightsError, match="is not an address"):
        check_address(url)


def test_certificates_named_by_ssl_cert_file_are_trusted(secure, trusted):
    assert read(secure.url("/file.pth")) == (200, b"secret")


def test_an_untrusted_certificate_is_refused_with_the_cure(secure):
    with pytest.raises(WeightsError, match=r"certificate is not trusted .* SSL_CERT_FILE"):
        read(secure.url("/file.pth"))
    assert secure.requests == []


def test_a_certificate_of_another_host_is_refused(authority, trusted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    with (
        FileServer(context).running() as server,
        pytest.raises(WeightsError, match="not trusted"),
    ):
        read(server.url("/file.pth"))


def test_https_never_follows_a_redirect_to_http(secure, trusted, server):
    server.files["/file.pth"] = b"forged"
    secure.plan.append(Answer(status=302, headers={"Location": server.url("/file.pth")}))
    with pytest.raises(WeightsError, match=r"redirects from https to .*refused"):
        read(secure.url("/file.pth"))
    assert server.requests == []


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_out_of_the_web_is_refused(secure, trusted, location):
    secure.plan.append(Answer(status=302, headers={"Location": location}))
    with pytest.raises(WeightsError, match="refused"):
        read(secure.url("/file.pth"))


def test_a_redirect_from_loopback_to_plain_http_elsewhere_is_refused(server):
    server.plan.append(Answer(status=302, headers={"Location": "http://example.org/file.pth"}))
    with pytest.raises(WeightsError, match=r"http://example.org/file.pth.*plain http"):
        read(server.url("/file.pth"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_with_the_range(secure, trusted, server, status):
    server.plan.append(Answer(status=status, headers={"Location": secure.url("/other.pth")}))
    secure.plan.append(Answer(status=status, headers={"Location": "/file.pth"}))
    with get(server.url("/file.pth"), {"Range": "bytes=2-"}) as response:
        assert (response.status, response.read()) == (206, b"cret")
    assert [request.path for request in secure.requests] == ["/other.pth", "/file.pth"]


def test_a_login_is_for_the_first_server_alone(secure, trusted, server):
    url, login = split_login(server.url("/file.pth").replace("//", "//me:p%40ss@"))
    assert url == server.url("/file.pth")
    server.plan.append(Answer(status=302, headers={"Location": "/moved.pth"}))
    server.plan.append(Answer(status=302, headers={"Location": secure.url("/file.pth")}))
    with get(url, login) as response:
        assert response.read() == b"secret"
    given = [request.headers.get("Authorization") for request in server.requests]
    assert given == ["Basic " + b64encode(b"me:p@ss").decode()] * 2
    assert [request.headers.get("Authorization") for request in secure.requests] == [None]


@pytest.mark.parametrize(
    "url", ["http://me:secret@example.org/x", "ftp://me:secret@a/", "a://b:secret@c:x/"]
)
def test_a_password_is_not_shown(url):
    with pytest.raises(WeightsError) as refused:
        check_address(url)
    assert "secret" not in str(refused.value)


def test_redirects_that_go_round_are_given_up(server):
    server.usual = Answer(status=302, headers={"Location": "/file.pth"})
    with pytest.raises(WeightsError, match="redirected more than 8 times"):
        read(server.url("/file.pth"))


def test_a_proxy_of_the_environment_is_used_with_its_login(secure, trusted, monkeypatch):
    with ConnectProxy(secure).running() as proxy:
        login = f"http://user:p%40ss@127.0.0.1:{proxy.server_port}"
        monkeypatch.setenv("HTTPS_PROXY", login)
        assert read("https://weights.example/file.pth") == (200, b"secret")
        assert proxy.tunnels == ["weights.example:443"]
        assert proxy.logins == ["Basic dXNlcjpwQHNz"]


def test_a_proxy_without_a_scheme_and_all_proxy_are_understood(secure, trusted, monkeypatch):
    with ConnectProxy(secure).running() as proxy:
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{proxy.server_port}")
        assert read("https://weights.example/file.pth") == (200, b"secret")


def test_this_machine_is_never_asked_through_a_proxy(secure, server, monkeypatch):
    with ConnectProxy(secure).running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        server.files["/file.pth"] = b"local"
        assert read(server.url("/file.pth")) == (200, b"local")
        assert proxy.tunnels == []
        assert proxy.requests == []


def test_no_proxy_is_obeyed(secure, monkeypatch):
    from urllib3.exceptions import HTTPError

    with ConnectProxy(secure).running() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url(""))
        monkeypatch.setenv("NO_PROXY", "weights.invalid")
        with pytest.raises(HTTPError):
            read("https://weights.invalid/file.pth")
        assert proxy.tunnels == []


def test_a_proxy_of_another_kind_is_refused(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(WeightsError, match=r"socks5://127\.0\.0\.1' cannot be used"):
        read("https://weights.example/file.pth")


def test_no_login_and_no_compression_are_sent(server):
    server.files["/file.pth"] = b"x"
    read(server.url("/file.pth"))
    headers = server.requests[0].headers
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"].startswith("lkcfuse/")
    assert not {"Authorization", "Cookie"} & set(headers)
