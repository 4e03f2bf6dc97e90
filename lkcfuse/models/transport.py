"""One GET over http(s): which addresses may be asked, through which proxy, trusting whom.

https never leads to plain http, not by a redirect either; plain http is for loopback addresses
alone, where nobody stands between. Proxies come from the environment (``HTTPS_PROXY``,
``NO_PROXY``, ...) or the system's settings, certificates from ``SSL_CERT_FILE`` or
``SSL_CERT_DIR`` or the system's store.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from lkcfuse.errors import WeightsError
from lkcfuse.version import __version__

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.response import BaseHTTPResponse

CONNECT_SECONDS = 20.0
READ_SECONDS = 60.0

_MAX_REDIRECTS = 8
_LOGIN = re.compile(r"//[^/@]*@")
_REDIRECTS = (301, 302, 303, 307, 308)


def is_loopback(host: str | None) -> bool:
    """Tell whether a host of an address is this machine itself.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("127.0.0.1.example.org")
        (True, True, False)
    """
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(url: str, *, source: str = "") -> None:
    """Refuse an address that is neither https nor plain http of this machine.

    Args:
        url: The address.
        source: Where the address comes from, for the message (`LKCFUSE_MIRROR`).

    Raises:
        WeightsError: The address is not to be asked.
    """
    prefix = f"{source}: " if source else ""
    shown = _LOGIN.sub("//", url)
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # a port out of range is found here
    except ValueError as error:
        raise WeightsError(f"{prefix}'{shown}' is not an address: {error}") from None
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and is_loopback(host):
        return
    if parts.scheme == "http":
        raise WeightsError(
            f"{prefix}'{shown}' is plain http, which anyone on the way can alter: use https"
        )
    raise WeightsError(f"{prefix}'{shown}' is not an https address")


def split_login(url: str) -> tuple[str, dict[str, str]]:
    """Take user and password out of an address: they are sent, and shown or kept nowhere.

    Args:
        url: What `check_address` has passed.

    Returns:
        The address without them, and the header that gives them to its server.
    """
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    token = b64encode(unquote(login).encode()).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {token}"}


@contextmanager
def get(url: str, headers: Mapping[str, str] | None = None) -> Iterator[BaseHTTPResponse]:
    """Ask for an address, follow its redirects, and give the response, its body yet unread.

    Args:
        url: An https address, or plain http of this machine.
        headers: Further request headers.

    Yields:
        The first response that is not a redirect, whatever its status. The body comes undecoded.

    Raises:
        WeightsError: An address on the way is not to be asked, a certificate is not trusted, or
            the redirects do not end.
        urllib3.exceptions.HTTPError: The connection failed; worth another try.
    """
    from urllib3 import Timeout
    from urllib3.exceptions import ProxyError, SSLError

    sent = {
        "User-Agent": f"lkcfuse/{__version__}",
        "Accept-Encoding": "identity",
        **(headers or {}),
    }
    timeout = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    for _ in range(_MAX_REDIRECTS):
        check_address(url)
        with _pool(url) as pool:
            try:
                response = pool.request(
                    "GET",
                    url,
                    headers=sent,
                    timeout=timeout,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
            except (SSLError, ProxyError) as error:
                raise_if_untrusted(url, error)
                raise
            with response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    yield response
                    return
        target = _redirected(url, location)
        if urlsplit(target).netloc != urlsplit(url).netloc:
            sent.pop("Authorization", None)  # meant for the first server alone
        url = target
    raise WeightsError(f"{url}: redirected more than {_MAX_REDIRECTS} times")


def raise_if_untrusted(url: str, error: BaseException) -> None:
    """Turn a failed certificate check, however wrapped, into an error that says what to do."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise WeightsError(
                f"{url}: the server's certificate is not trusted ({cause.verify_message}): "
                "if a proxy of your network signs its own, point SSL_CERT_FILE at its certificate"
            ) from None
        wrapped = cause.args[-1] if cause.args else None
        cause = wrapped if isinstance(wrapped, BaseException) else cause.__cause__


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise WeightsError(f"{url} redirects from https to '{target}': refused")
    return target


def _pool(url: str) -> PoolManager:
    """Return connections for one address: direct, or through the proxy set for it."""
    from urllib3 import PoolManager, ProxyManager, make_headers

    proxy = _proxy(url)
    if proxy is None:
        return PoolManager(ssl_context=_trust())
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https"):
        raise WeightsError(
            f"the proxy '{parts.scheme}://{parts.hostname}' cannot be used: "
            "set HTTPS_PROXY to an http or https proxy"
        )
    headers = None
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = make_headers(proxy_basic_auth=login)
    return ProxyManager(
        proxy, proxy_headers=headers, ssl_context=_trust(), proxy_ssl_context=_trust()
    )


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    # What goes to this machine never leaves it: plain http is allowed here for that reason.
    if is_loopback(host) or proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return proxy or None


def _trust() -> ssl.SSLContext:
    """Return whom to trust: the certificates the user names, else the system's store."""
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    # Python's own context finds no certificates on some systems (macOS, stand-alone builds).
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
