"""When the certificates end that our servers show, for `wedops doctor`."""

import os
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from workers.foundation import clock, settings
from workers.processes.authority import RENEW_BEFORE, valid_until

#: Where processes read theirs.
_FILES = ("API_TLS_CERTIFICATE", "FLOWER_CERTFILE")


def ending() -> Iterator[str]:
    """Yield which certificate ends soon, and when. Who can't be asked is somebody else's to say."""
    for name, until in _found():
        if until < clock.machine_now() + RENEW_BEFORE:
            yield (
                f"the certificate of {name} ends on {until:%Y-%m-%d}; have it made anew (`wedops secrets`, "
                "`wedops up --tls`) and restart what shows it"
            )


def _found() -> Iterator[tuple[str, datetime]]:
    for variable in _FILES:
        if (path := Path(os.environ.get(variable, ""))).is_file():
            yield variable, valid_until(path)
    for name, url in vars(settings.servers()).items():
        if url.startswith("rediss") and (until := _shown(url)):
            yield f"the server of {name.removesuffix('_url')}", until


def _shown(url: str) -> datetime | None:
    """Return until when the certificate is valid that a server shows."""
    to = urlsplit(url)
    known = parse_qs(to.query).get("ssl_ca_certs", [None])[0]
    try:
        context = ssl.create_default_context(cafile=unquote(known) if known else None)
        with (
            socket.create_connection((to.hostname or "", to.port or 6379), 3) as line,
            context.wrap_socket(line, server_hostname=to.hostname) as safe,
        ):
            found = safe.getpeercert() or {}
    except OSError:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
