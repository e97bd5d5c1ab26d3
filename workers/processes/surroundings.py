"""What the processes of a system on one machine are surrounded by: ports, secrets and certificates."""

import os
import secrets
import shutil
import sys
from pathlib import Path
from shlex import quote

from workers.connections.formats import permits
from workers.foundation import clock, signatures
from workers.foundation.errors import ExpectedError
from workers.processes import servers
from workers.processes.authority import Authority

#: What the file `environment` holds for other terminals, and the next start must not take from one.
_OURS = (
    "WEDOPS_BROKER_URL",
    "WEDOPS_CACHE_URL",
    "WEDOPS_DATABASE_URL",
    clock.VARIABLE,
    "SNAPSHOTS_FRESH_FOR",
    permits.VARIABLE,
    "METRICS_INGEST_TOKENS",
    "COMMANDS_KEYS",
    "COMMANDS_SIGNED",
)
#: How the variables begin that it holds, beside where our own authority is.
_SHARED = ("WEDOPS_", "METRICS_", "COMMANDS_", "SNAPSHOTS_", "SCALING_", "PROMETHEUS_", permits.VARIABLE)
#: The variable of OpenSSL, which all HTTP clients read.
TRUSTED = "SSL_CERT_FILE"
_PORTS = {"FLOWER_PORT": 5555, "API_PORT": 8000, "GATEWAY_PORT": 4000}
#: Where each server of ours reads which certificate and key it has.
_CERTIFIED = {
    "api": ("API_TLS_CERTIFICATE", "API_TLS_KEY"),
    "flower": ("FLOWER_CERTFILE", "FLOWER_KEYFILE"),
    "gateway": ("GATEWAY_TLS_CERTIFICATE", "GATEWAY_TLS_KEY"),
}


class PortTaken(ExpectedError):
    """{variable}={port} is no free port; end what listens there, choose another, or leave {variable} out"""


def settle(home: Path, tls: Authority | None) -> None:
    """Put into the environment what processes need and nobody has set. Raises PortTaken."""
    for variable, port in _PORTS.items():
        given = os.environ.setdefault(variable, str(servers.free_port(port)))
        if not given.isdigit() or int(given) != servers.free_port(int(given)):
            raise PortTaken(variable=variable, port=given)
    if tls:
        _use_tls(tls)
    login = home / "flower-login"
    if not login.exists():
        login.touch(mode=0o600)
        login.write_text(f"operator:{secrets.token_urlsafe(9)}")
    os.environ.setdefault("FLOWER_BASIC_AUTH", login.read_text())
    names = {permits.VARIABLE: "local", "METRICS_INGEST_TOKENS": "local", "COMMANDS_KEYS": signatures.OWN}
    for variable, name in names.items():
        secret = servers.password(home, f"secrets/{variable.lower()}")
        os.environ.setdefault(variable, f"{name}:{secret}")
    # All that sends here signs; who wants to send by the broker gets a key of its own.
    os.environ.setdefault("COMMANDS_SIGNED", "required")
    os.environ.setdefault("FLOWER_DB", str(home / "flower.db"))
    counts = home / "prometheus"
    shutil.rmtree(counts, ignore_errors=True)
    counts.mkdir()
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(counts))


def _use_tls(authority: Authority) -> None:
    """Give each server of ours its certificate, unless it has one, and let all trust the authority."""
    for name, (certificate, key) in _CERTIFIED.items():
        if certificate not in os.environ:
            own = authority.issue(name, servers.HOSTS)
            os.environ |= {certificate: str(own.certificate), key: str(own.key)}
    os.environ[TRUSTED] = str(authority.trust())


def forget_last_start(home: Path) -> None:
    """Drop what the caller's shell sourced from an earlier start's file: those servers are gone."""
    last = home / "environment"
    lines = last.read_text().splitlines() if last.exists() else []
    for variable in (*_OURS, TRUSTED):
        if variable in os.environ and _line(variable) in lines:
            del os.environ[variable]


def write_environment(home: Path) -> Path:
    """Write the file that another terminal sources; return it."""
    path = home / "environment"
    path.touch(mode=0o600)
    names = sorted(name for name in os.environ if name.startswith(_SHARED))
    # What somebody trusts of their own is theirs to say.
    if os.environ.get(TRUSTED) == str(Authority(home / "tls").trusted):
        names.append(TRUSTED)
    # Then `wedops` and `python` are this checkout's there.
    own = f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"'
    path.write_text("\n".join((*map(_line, names), own, "")))
    return path


def _line(variable: str) -> str:
    return f"export {variable}={quote(os.environ[variable])}"


def urls(*, demo: bool) -> dict[str, str]:
    """Return where people find what was started."""
    found = {name: f"http{_safe(name)}://{servers.LOOPBACK}:{_port(name)}" for name in ("flower", "api")}
    # Only the demo has a gateway.
    gateway = f"ws{_safe('gateway')}://{servers.LOOPBACK}:{_port('gateway')}/socket/websocket"
    return found | ({"gateway": gateway} if demo else {})


def _port(name: str) -> str:
    return os.environ[f"{name.upper()}_PORT"]


def _safe(name: str) -> str:
    return "s" if os.environ.get(_CERTIFIED[name][0]) else ""
