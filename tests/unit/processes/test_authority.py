"""The authority of an installation: whom it vouches for, for how long, and who may read what."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from workers.foundation import clock
from workers.foundation.moments import MachineMoment
from workers.processes.authority import (
    Authority,
    Certificate,
    CertificateUnreadable,
    IssuerKeyMissing,
    TrustInvalid,
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


def _shakes_hands(server: Certificate, trusted: Path, host: str) -> bool:
    """Tell whether a client that trusts a file takes a server for a host."""
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.certificate, server.key)
    # As Python is by itself since 3.13.
    strict = ssl.create_default_context(cafile=str(trusted))
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    ends = [
        context.wrap_bio(here, there, server_side=True),
        strict.wrap_bio(there, here, server_hostname=host),
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
    assert _shakes_hands(own, authority.trust(), host) is taken


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


@pytest.mark.parametrize("lost", ["removed", "another"])
def test_without_its_key_nothing_is_issued_and_all_stays(authority: Authority, lost: str) -> None:
    before = authority.issue("broker", ["broker"]).certificate.read_bytes()
    (authority.folder / "authority.key").unlink()
    if lost == "another":
        (authority.folder / "authority.key").write_bytes((authority.folder / "broker.key").read_bytes())
    later = Authority(authority.folder)
    assert later.issue("broker", ["broker"]).certificate.read_bytes() == before, "nothing is to be signed"
    with pytest.raises(IssuerKeyMissing, match="put that key back"):
        later.issue("cache", ["cache"])
    with pytest.raises(IssuerKeyMissing):
        later.issue("broker", ["other"])
    assert (authority.folder / "broker.pem").read_bytes() == before


@pytest.mark.parametrize("name", ["authority.pem", "authority.key", "broker.pem", "broker.key"])
@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA", b"nonsense", None])
def test_a_damaged_file_is_named_with_what_to_do(
    authority: Authority, name: str, content: bytes | None
) -> None:
    authority.issue("broker", ["broker"])
    path = authority.folder / name
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(CertificateUnreadable, match=f"{name} is none .*delete it"):
        # Another host: so all files are needed.
        Authority(authority.folder).issue("broker", ["other"])


def test_the_issuer_is_renewed_before_what_it_issues_outlives_it(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, real = authority.certificate.read_bytes(), clock.machine_now()
    years = timedelta(days=3650 - 397)
    monkeypatch.setattr(clock, "machine_now", lambda: MachineMoment(real + years))
    assert authority.certificate.read_bytes() != first
    own = x509.load_pem_x509_certificate(authority.issue("broker", ["broker"]).certificate.read_bytes())
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    assert own.not_valid_after_utc < issuer.not_valid_after_utc
    own.verify_directly_issued_by(issuer)


def test_what_is_trusted_beside_stays_and_is_checked(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path / "other")
    given = tmp_path / "given.pem"
    given.write_bytes(other.certificate.read_bytes().rstrip(b"\n"))
    monkeypatch.setenv("SSL_CERT_FILE", str(given))
    for one in (authority, other):
        assert _shakes_hands(one.issue("broker", ["broker"]), authority.trust(), "broker")
    once = authority.trust().read_bytes()
    assert authority.trust().read_bytes() == once
    for bad in (b"", b"nonsense"):
        given.write_bytes(bad)
        with pytest.raises(TrustInvalid, match="SSL_CERT_FILE=.*given.pem"):
            authority.trust()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(TrustInvalid, match="No such file"):
        authority.trust()


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
    assert b"PRIVATE" not in own.certificate.read_bytes() + authority.trust().read_bytes()
