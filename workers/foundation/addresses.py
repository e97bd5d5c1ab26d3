"""Addresses of servers as people write them: one place that reads them for redis-py, kombu and psycopg alike.

What two of them would read differently is refused in plain words, which never quote a password.
"""

import re
from urllib.parse import parse_qsl, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

#: What an address of Redis may say behind its question mark, to redis-py and kombu alike.
_REDIS_WORDS = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"}
_CERTIFICATES = ("required", "optional", "none")
_YES_OR_NO = ("true", "false")
#: Schemes that people try, and what to write.
_OTHER_SCHEMES = {
    "sentinel": "Sentinel is not asked: name the primary, or a proxy or service that follows it",
    "redis+sentinel": "Sentinel is not asked: name the primary, or a proxy or service that follows it",
    "redis+cluster": "Celery needs one server; a cluster may hold the connections (WEDOPS_CONNECTIONS_URL)",
    "rediss+cluster": "Celery needs one server; a cluster may hold the connections (WEDOPS_CONNECTIONS_URL)",
    "unix": "sockets are not taken for Redis: name host and port",
    "redis+socket": "sockets are not taken for Redis: name host and port",
    "valkey": "write redis://, for Valkey too",
    "valkeys": "write rediss://, for Valkey too",
    "jdbc:postgresql": "write it without jdbc:",
    "postgresql+psycopg2": "write postgresql://; the driver is ours",
    "postgresql+asyncpg": "write postgresql://; the driver is ours",
}
_SPECIAL = (
    "is no address; percent-encode what is special in user and password (@ is %40, / is %2F, # is %23, ? is "
    "%3F)"
)


def redis_problem(url: str, *, may_be_cluster: bool = False) -> str | None:
    """Return what is wrong with an address of Redis or Valkey; None when redis-py and kombu read it alike."""
    if problem := _outline_problem(url):
        return problem
    scheme = url.partition("://")[0]
    allowed = (
        ("redis", "rediss", "redis+cluster", "rediss+cluster") if may_be_cluster else ("redis", "rediss")
    )
    if scheme not in allowed:
        return _scheme_problem(scheme, "redis:// or rediss:// (also for Valkey)")
    if ";" in url:
        return (
            "has a semicolon, by which Celery tells several addresses apart; name one server, and write %3B "
            "in a password"
        )
    return _place_problem(url) or _words_problem(scheme, urlsplit(url).query)


def _place_problem(url: str) -> str | None:
    """Return what is wrong with host, port and database."""
    if "," in url.partition("://")[2].partition("/")[0].rpartition("@")[2]:
        return "names several servers; name one"
    try:
        parts = urlsplit(url)
        sound = parts.port != -1 and parts.netloc.count("@") <= 1
    except ValueError:
        # What the library says of it may quote the password.
        sound = False
    if not sound or parts.fragment:
        return _SPECIAL
    if not parts.hostname:
        return "names no host"
    if parts.port == 0 or not (":" in parts.hostname or _HOST.fullmatch(parts.hostname)):
        return "names a host or port that can't be one"
    return None if re.fullmatch(r"(/\d*)?", parts.path) else "must end with the number of a database, as /0"


def _words_problem(scheme: str, query: str) -> str | None:
    pairs = parse_qsl(query, keep_blank_values=True)
    words = dict(pairs)
    if "@" in query:
        # Then it is the end of a password that the question mark cut.
        return _SPECIAL
    if len(words) < len(pairs):
        return "names a parameter twice"
    if unknown := sorted(words.keys() - _REDIS_WORDS):
        return f"has the unknown parameter {unknown[0][:40]}; there are {', '.join(sorted(_REDIS_WORDS))}"
    if words and not scheme.startswith("rediss"):
        return f"has {min(words)}, which only rediss:// heeds"
    for name, allowed in (("ssl_cert_reqs", _CERTIFICATES), ("ssl_check_hostname", _YES_OR_NO)):
        if words.get(name, allowed[0]) not in allowed:
            return f"has {name}={words[name][:20]}; write {', '.join(allowed)}"
    return None


def postgres(url: str) -> dict[str, str]:
    """Return what an address of PostgreSQL says, as libpq reads it; raises ValueError in plain words."""
    if problem := _outline_problem(url):
        raise ValueError(problem)
    scheme = url.partition("://")[0]
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError(_scheme_problem(scheme, "postgresql://"))
    try:
        found = conninfo_to_dict(url.replace(scheme, "postgresql", 1))
    except ProgrammingError as error:
        # libpq may quote the address, so only a parameter's name is taken from what it says.
        unknown = re.search(r'invalid URI query parameter: "(\w{1,40})"', str(error))
        raise ValueError(
            f"has the unknown parameter {unknown[1]}; leave it out (a pooler is recognised by itself)"
            if unknown
            else _SPECIAL
        ) from None
    read = {name: str(value) for name, value in found.items() if value is not None}
    if not re.fullmatch(r"\d*(,\d*)*", read.get("port", "")) or "@" in read.get("host", "").removeprefix("@"):
        raise ValueError(_SPECIAL)
    if problem := _parameters_problem(read):
        raise ValueError(problem)
    session(read.get("options", ""))
    return read


def postgres_problem(url: str) -> str | None:
    """Return what is wrong with an address of PostgreSQL."""
    try:
        postgres(url)
    except ValueError as error:
        return str(error)
    return None


#: -c name=value, -cname=value, --name=value; a space within a value has a backslash before it.
_OPTION = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)=((?:\\.|[^\s\\])*)\s*")


def session(options: str) -> dict[str, str]:
    """Return the settings in libpq's `options`; raises ValueError for what is none."""
    found, at, options = {}, 0, options.strip()
    while at < len(options):
        if not (match := _OPTION.match(options, at)):
            raise ValueError("has options that are no settings; write options=-c%20name%3Dvalue")
        found[match[1].replace("-", "_")] = re.sub(r"\\(.)", r"\1", match[2])
        at = match.end()
    return found


def options(settings: dict[str, str]) -> str:
    """Return settings as libpq's `options`."""
    return " ".join(f"-c {name}=" + re.sub(r"([\\ ])", r"\\\1", value) for name, value in settings.items())


#: Labels of 63 letters at most, with dots between them.
_HOST = re.compile(r"(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?")
#: What libpq reads as a number, and takes for nothing or for an error of its own when it is none.
_NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def _outline_problem(url: str) -> str | None:
    if url != url.strip():
        return "has spaces or a line end around it; write it without"
    scheme = url.partition("://")[0]
    return "must have its scheme in small letters" if scheme.isalpha() and scheme != scheme.lower() else None


def _parameters_problem(read: dict[str, str]) -> str | None:
    """Return what is wrong with what libpq read of an address."""
    for name in _NUMBERS:
        if not re.fullmatch(r"[0-9]{0,9}", read.get(name, "")):
            return f"has {name} with something that is no number"
    if read.get("sslmode", "disable") not in _SSL_MODES:
        return f"has an unknown sslmode; write {', '.join(_SSL_MODES)}"
    ports, hosts = read.get("port", "").split(","), read.get("host", "").split(",")
    if len(ports) not in (1, len(hosts)) or not all(0 < int(port or 5432) < 65_536 for port in ports):
        return "names a port that can't be one, or more ports than hosts"
    return _SPECIAL if re.search("://|@", read.get("dbname", "")) else None


def _scheme_problem(scheme: str, start: str) -> str:
    if scheme.startswith(("'", '"')):
        return "begins with a quotation mark; write it without"
    remedy = _OTHER_SCHEMES.get(scheme)
    return remedy or f"must start with {start}"
