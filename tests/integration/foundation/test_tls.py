"""TLS with real certificates: our clients and Celery's refuse the same ones, and take the same ones."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.made import run_python
from workers.foundation import redis

pytestmark = pytest.mark.usefixtures("world")

CELERY = (
    "from workers.app import app; app.connection_for_write().ensure_connection(max_retries=1, "
    "interval_start=0, timeout=5)"
)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def _tls(certificate: trustme.LeafCert, target: int) -> Iterator[int]:
    """Yield the port of a server that speaks TLS with a certificate, and hands on to the broker."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def _serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_one, args=(client,), daemon=True).start()

    def _one(client: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError):
            outside = context.wrap_socket(client, server_side=True)
            inside = socket.create_connection(("127.0.0.1", target))
            threading.Thread(target=_pump, args=(outside, inside), daemon=True).start()
            _pump(inside, outside)

    threading.Thread(target=_serve, daemon=True).start()
    with closing(listener):
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "query", "taken"),
    [
        ("127.0.0.1", "ssl_ca_certs={ca}", True),
        ("127.0.0.1", "ssl_ca_certs={ca}&ssl_cert_reqs=required", True),
        ("127.0.0.1", "", False),
        ("other.example", "ssl_ca_certs={ca}", False),
        ("127.0.0.1", "ssl_cert_reqs=none&ssl_check_hostname=false", True),
    ],
    ids=["known", "known and asked for", "of nobody we know", "of another host", "not asked for"],
)
def test_celery_and_our_clients_judge_a_certificate_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, query: str, taken: bool
) -> None:
    authority, broker = trustme.CA(), urlsplit(os.environ["WEDOPS_BROKER_URL"])
    assert broker.port
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with _tls(authority.issue_cert(name), broker.port) as port:
        login, asked = broker.netloc.partition("@")[0], query.format(ca=tmp_path / "ca.pem")
        url = f"rediss://{login}@127.0.0.1:{port}/0?{asked}".rstrip("?")
        monkeypatch.setenv("WEDOPS_BROKER_URL", url)
        if taken:
            assert redis.registry().ping()
        else:
            with pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                redis.registry().ping()
        done = run_python(CELERY)
    assert (done.returncode == 0) == taken, done.stderr[-500:]
    assert taken or "CERTIFICATE_VERIFY_FAILED" in done.stderr
