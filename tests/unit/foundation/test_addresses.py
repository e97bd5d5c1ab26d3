"""Addresses as people write them: redis-py and kombu read each alike, or it is refused in plain words."""

from types import SimpleNamespace
from typing import Any

import pytest
from kombu import Connection
from kombu.transport.redis import Channel
from redis import ConnectionPool

from workers.foundation import addresses

REDIS = [
    "redis://127.0.0.1:6379/0",
    "redis://127.0.0.1:6379",
    "redis://127.0.0.1",
    "redis://127.0.0.1/",
    "redis://valkey/3",
    "redis://valkey.example.com:6380/15",
    "redis://[::1]:6379/0",
    "redis://[2001:db8::7]/2",
    "redis://:secret@valkey:6379/0",
    "redis://user:secret@valkey:6379/0",
    "redis://user@valkey:6379/0",
    "redis://:p%40ss%2Fw%23rd%3A@valkey:6379/0",
    "redis://u%3Aser:p%25ss@valkey:6379/0",
    "redis://:p%C3%A4ss%20word@valkey/0",
    "redis://:a,b!c$d&e*f(g)h=i+j~k@valkey/0",
    "redis://:p%3Bq@valkey/0",
    "rediss://valkey:6379/0",
    "rediss://:secret@valkey:6379/1?ssl_cert_reqs=required",
    "rediss://valkey/0?ssl_cert_reqs=none&ssl_check_hostname=false",
    "rediss://valkey/0?ssl_ca_certs=/etc/ca.pem",
    "rediss://valkey/0?ssl_ca_certs=%2Fetc%2Fca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem",
    "rediss://user:p%40ss@valkey:6380/4?ssl_cert_reqs=required&ssl_ca_certs=/etc/ca.pem",
]


def _kombu(url: str) -> dict[str, Any]:
    """Return what kombu connects with; a whole channel would connect."""
    channel = Channel.__new__(Channel)
    channel.connection = SimpleNamespace(client=Connection(url), default_port=6379)
    found: dict[str, Any] = channel._connparams()
    return found


@pytest.mark.parametrize("url", REDIS)
def test_redis_py_and_kombu_read_an_address_alike(url: str) -> None:
    assert addresses.redis_problem(url) is None
    ours, theirs = ConnectionPool.from_url(url).connection_kwargs, _kombu(url)
    for name, default in (("host", None), ("port", 6379), ("db", 0), ("username", None), ("password", None)):
        assert (ours.get(name) or default) == (theirs.get(name) or default), name
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        assert ours.get(name) == theirs.get(name), name


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "must start with redis://"),
        ("valkey:6379", "must start with redis://"),
        ("http://valkey:6379", "must start with redis://"),
        ('"redis://valkey:6379/0"', "begins with a quotation mark"),
        ("valkey://h/0", "write redis://, for Valkey too"),
        ("sentinel://h:26379/mymaster", "Sentinel is not asked: name the primary"),
        ("redis+sentinel://h:26379/mymaster", "Sentinel is not asked: name the primary"),
        ("redis+cluster://h:7000", "Celery needs one server; a cluster may hold the connections"),
        ("unix:///run/valkey.sock", "sockets are not taken for Redis"),
        ("redis+socket:///run/valkey.sock", "sockets are not taken for Redis"),
        ("redis:///0", "names no host"),
        ("redis://h1:6379,h2:6379/0", "names several servers"),
        ("redis://h1/0;redis://h2/0", "has a semicolon"),
        ("redis://h:99999/0", "is no address"),
        ("redis://h:port/0", "is no address"),
        ("redis://u:p@w@h/0", "is no address; percent-encode"),
        ("redis://:p#w@h/0", "is no address; percent-encode"),
        ("redis://:p/w@h/0", "is no address; percent-encode"),
        ("redis://h/zero", "must end with the number of a database"),
        ("redis://h/0/1", "must end with the number of a database"),
        ("redis://h/0?db=1", "unknown parameter db"),
        ("redis://h/0?ssl_cert_reqs=none", "has ssl_cert_reqs, which only rediss:// heeds"),
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE", "write required, optional, none"),
        ("rediss://h/0?ssl_check_hostname=0", "write true, false"),
        ("rediss://h/0?foo=bar", "unknown parameter foo"),
        ("redis://h:0/0", "can't be one"),
        ("redis://a..b:6379/0", "can't be one"),
        (f"redis://{'h' * 300}/0", "can't be one"),
        (" redis://h/0", "has spaces or a line end around it"),
        ("redis://h/0\n", "has spaces or a line end around it"),
        ("REDIS://h/0", "must have its scheme in small letters"),
        ("rediss://h/0?ssl_cert_reqs=required&ssl_cert_reqs=none", "names a parameter twice"),
        ("redis://user:12?hunter2@h/0", "is no address; percent-encode"),
    ],
)
def test_what_they_would_read_differently_is_refused_in_plain_words(url: str, says: str) -> None:
    assert says in (addresses.redis_problem(url) or "")


@pytest.mark.parametrize("url", ["redis+cluster://h:7000", "rediss+cluster://u:p@h:7000", "redis://h/0"])
def test_connections_may_be_in_a_cluster(url: str) -> None:
    assert addresses.redis_problem(url, may_be_cluster=True) is None


@pytest.mark.parametrize(
    ("url", "facts"),
    [
        (
            "postgresql://wedops@127.0.0.1:5432/wedops",
            {"user": "wedops", "host": "127.0.0.1", "port": "5432", "dbname": "wedops"},
        ),
        ("postgres://u:p@h/d", {"user": "u", "password": "p", "host": "h", "dbname": "d"}),
        ("postgresql+psycopg://u:p@h/d", {"user": "u", "password": "p"}),
        ("postgresql://u:p%40s%2Fs%23@h/d", {"password": "p@s/s#"}),
        ("postgresql://[::1]:5433/d", {"host": "::1", "port": "5433"}),
        (
            "postgresql://h1:5432,h2:5433/d?target_session_attrs=read-write",
            {"host": "h1,h2", "port": "5432,5433"},
        ),
        ("postgresql://u@h1,h2/d?target_session_attrs=read-write", {"host": "h1,h2"}),
        ("postgresql://u@h1:5433,h2/d", {"host": "h1,h2"}),
        ("postgresql:///d?host=h1&port=5432", {"host": "h1", "port": "5432"}),
        ("postgresql:///d?host=/var/run/postgresql", {"host": "/var/run/postgresql"}),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/d", {"host": "/var/run/postgresql"}),
        ("postgresql://u@/d?host=/run&sslmode=disable", {"user": "u", "host": "/run", "sslmode": "disable"}),
        (
            "postgresql://h/d?sslmode=verify-full&sslrootcert=/ca.pem",
            {"sslmode": "verify-full", "sslrootcert": "/ca.pem"},
        ),
        ("postgresql://h/d?connect_timeout=10&application_name=wedops", {"connect_timeout": "10"}),
        ("postgresql://h/d?options=-csearch_path%3Dplanner", {"options": "-csearch_path=planner"}),
        ("postgresql://h/d?options=-c%20search_path%3Da%2Cb%20-c%20work_mem%3D8MB", {"dbname": "d"}),
        ("postgresql://h/d?channel_binding=require&gssencmode=disable", {"channel_binding": "require"}),
    ],
)
def test_libpq_reads_the_address_of_the_database(url: str, facts: dict[str, str]) -> None:
    assert addresses.postgres_problem(url) is None
    assert facts.items() <= addresses.postgres(url).items()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "must start with postgresql://"),
        ("mysql://h/d", "must start with postgresql://"),
        ("host=h dbname=d", "must start with postgresql://"),
        ("jdbc:postgresql://h/d", "write it without jdbc:"),
        ("postgresql+asyncpg://h/d", "the driver is ours"),
        ("'postgresql://h/d'", "begins with a quotation mark"),
        ("postgresql://h/d?pgbouncer=true", "has the unknown parameter pgbouncer; leave it out"),
        ("postgresql://h/d?sslmod=require", "has the unknown parameter sslmod"),
        ("postgresql://h:port/d", "is no address"),
        ("postgresql://u:p@w@h/d", "is no address; percent-encode"),
        ("postgresql://[::1/d", "is no address"),
        ("postgresql://u:hunter2%ZZ@h/d", "is no address"),
        ("postgresql://h/d\n", "has spaces or a line end around it"),
        ("postgresql://h/d?connect_timeout=abc", "has connect_timeout with something that is no number"),
        ("postgresql://h/d?sslmode=foo", "has an unknown sslmode; write disable, allow"),
        ("postgresql://h:99999999/d", "names a port that can't be one"),
        ("postgresql://h1:1,h2:2/d?port=1,2,3", "names a port that can't be one, or more ports than hosts"),
        ("postgresql://h/d?dbname=postgresql://a:hunter2@b/c", "is no address; percent-encode"),
        ("postgresql://h/d?options=nonsense", "has options that are no settings"),
        ("postgresql://h/d?options=-csearch_path", "has options that are no settings"),
    ],
)
def test_an_address_of_a_database_that_is_none_is_refused_without_a_password(url: str, says: str) -> None:
    problem = addresses.postgres_problem(url) or ""
    assert says in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", {}),
        ("-c a=1", {"a": "1"}),
        ("-ca=1 --b-c=2", {"a": "1", "b_c": "2"}),
        (r"-c search_path=a,\ b", {"search_path": "a, b"}),
    ],
)
def test_settings_of_a_session_are_read_and_written(options: str, found: dict[str, str]) -> None:
    assert addresses.session(options) == found
    assert addresses.session(addresses.options(found)) == found
