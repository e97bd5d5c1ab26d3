"""The authority of an installation: whom it vouches for, for how long, and who may read what."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from workers.foundation import clock
from workers.foundation.moments import MachineMoment
from workers.processes.authority import Authority, Certificate


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


def _shakes_hands(server: Certificate, trusted: Path, host: str) -> bool:
    """Tell whether a client that trusts a file takes a server for a host."""
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.certificate, server.key)
    ends = [
        context.wrap_bio(here, there, server_side=True),
        ssl.create_default_context(cafile=str(trusted)).wrap_bio(there, here, server_hostname=host),
    ]
    for _ in range(3):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True


@pytest.mark.parametrize(
    ("host", "taken"), [("127.0.0.1", True), ("broker", True), ("127.0.0.2", False), ("cache", False)]
)
def test_a_server_is_taken_for_whom_it_is(authority: Authority, host: str, taken: bool) -> None:
    own = authority.issue("broker", ("127.0.0.1", "broker"))
    assert _shakes_hands(own, authority.certificate, host) is taken
    assert _shakes_hands(own, authority.trusted(), host) is taken


def test_another_authority_vouches_for_nobody_here(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    assert not _shakes_hands(other.issue("broker", ["127.0.0.1"]), authority.certificate, "127.0.0.1")


def test_a_certificate_stays_while_it_is_good(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    def _issued(*hosts: str) -> bytes:
        return authority.issue("broker", hosts).certificate.read_bytes()

    first = _issued("broker")
    assert _issued("broker") == first
    assert _issued("broker", "localhost") != first, "for other hosts"
    first = _issued("broker")
    (authority.folder / "broker.key").unlink()
    assert _issued("broker") != first, "for another key"
    first, real = _issued("broker"), clock.machine_now()
    monkeypatch.setattr(clock, "machine_now", lambda: MachineMoment(real + timedelta(days=340)))
    assert _issued("broker") != first, "soon at its end"


def test_what_another_authority_issued_before_is_issued_anew(authority: Authority) -> None:
    first = authority.issue("broker", ["broker"]).certificate.read_bytes()
    for path in authority.folder.glob("authority.*"):
        path.unlink()
    anew = Authority(authority.folder)
    own = anew.issue("broker", ["broker"])
    assert own.certificate.read_bytes() != first
    assert _shakes_hands(own, anew.certificate, "broker")


def test_keys_are_for_who_runs_what_they_are_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls", mode=0o644)
    own = authority.issue("broker", ["broker"])
    modes = {path.name: path.stat().st_mode & 0o777 for path in authority.folder.iterdir()}
    assert modes == {"authority.key": 0o600, "authority.pem": 0o644, "broker.key": 0o644, "broker.pem": 0o644}
    found = x509.load_pem_x509_certificate(own.certificate.read_bytes())
    # Browsers take none that is good for longer.
    assert found.not_valid_after_utc - found.not_valid_before_utc < timedelta(days=398)
    assert b"PRIVATE" not in own.certificate.read_bytes() + authority.trusted().read_bytes()
