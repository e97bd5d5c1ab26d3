"""Where API and gateway of the demo are: on loopback, with TLS where they have certificates."""

import os
import ssl
from functools import cache


def _address(scheme: str, server: str, port: str) -> str:
    safe = "s" if os.environ.get(f"{server}_TLS_CERTIFICATE") else ""
    return f"{scheme}{safe}://127.0.0.1:{os.environ.get(f'{server}_PORT', port)}"


API, GATEWAY = _address("http", "API", "8000"), _address("ws", "GATEWAY", "4000")


@cache
def trusting() -> ssl.SSLContext | None:
    """Return with what clients connect to the gateway: made once, for it takes a while; None without TLS."""
    return ssl.create_default_context() if GATEWAY.startswith("wss") else None


def gateways_tls() -> ssl.SSLContext | None:
    """Return with what the gateway speaks TLS; None where it does not."""
    if not (certificate := os.environ.get("GATEWAY_TLS_CERTIFICATE")):
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, os.environ["GATEWAY_TLS_KEY"])
    return context
