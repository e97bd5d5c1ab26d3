"""An authority of one installation: with its certificates all of its parts speak TLS to each other."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from workers.foundation import clock

#: How long who issues is trusted, and how long a certificate is good: browsers take none that is good for
#: longer than 398 days.
_AUTHORITY_LASTS, _LASTS = timedelta(days=3650), timedelta(days=397)
#: Made anew this long before its end.
_RENEW_BEFORE = timedelta(days=60)
#: Another machine's clock may be behind ours.
_BEHIND = timedelta(hours=1)
Key = ec.EllipticCurvePrivateKey
_OURS = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wedops")])


@dataclass(frozen=True)
class Certificate:
    """Where a server's certificate and its key are, as PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Issues certificates into `folder`; `mode` says who may read the keys of what it vouches for.

    Its own key could vouch for anybody, and is for its owner alone.
    """

    folder: Path
    mode: int = 0o600

    @property
    def certificate(self) -> Path:
        """Return the file by which clients know who was vouched for; made when it is first asked for."""
        path = self.folder / "authority.pem"
        if not _lasts(path):
            name = x509.BasicConstraints(ca=True, path_length=0)
            made = _builder(_OURS, self._key, _AUTHORITY_LASTS).add_extension(name, critical=True)
            _write(path, _pem(made.sign(self._key, hashes.SHA256())), 0o644)
        return path

    @cached_property
    def _key(self) -> Key:
        return _key(self.folder / "authority.key", 0o600)

    def issue(self, name: str, hosts: Iterable[str]) -> Certificate:
        """Return the certificate of a server that is reached as `hosts`: names and addresses.

        One that is there and good for a while stays.
        """
        found = Certificate(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        names, key = x509.SubjectAlternativeName([_host(one) for one in hosts]), _key(found.key, self.mode)
        if not self._vouched(found.certificate, names, key):
            made = _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, _LASTS)
            for extension in (
                names,
                x509.BasicConstraints(ca=False, path_length=None),
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
            ):
                made = made.add_extension(extension, critical=False)
            _write(found.certificate, _pem(made.sign(self._key, hashes.SHA256())), 0o644)
        return found

    def _vouched(self, path: Path, names: x509.SubjectAlternativeName, key: Key) -> bool:
        """Tell whether a certificate is ours, for these names and this key, and good for a while."""
        vouches = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        if not _lasts(path):
            return False
        found = x509.load_pem_x509_certificate(path.read_bytes())
        try:
            found.verify_directly_issued_by(vouches)
        except (ValueError, TypeError, InvalidSignature):
            return False
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return named == names and found.public_key() == key.public_key()

    def trusted(self) -> Path:
        """Return a file of the public authorities and this one, for SSL_CERT_FILE."""
        path, public = self.folder / "trusted.pem", ssl.get_default_verify_paths().cafile
        known = Path(public).read_bytes() if public else b""
        _write(path, known + self.certificate.read_bytes(), 0o644)
        return path


def _builder(name: x509.Name, key: Key, lasts: timedelta) -> x509.CertificateBuilder:
    at = clock.machine_now()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(_OURS)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BEHIND)
        .not_valid_after(at + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _lasts(path: Path) -> bool:
    """Tell whether a certificate is there, and good for a while."""
    if not path.exists():
        return False
    found = x509.load_pem_x509_certificate(path.read_bytes())
    return found.not_valid_after_utc > clock.machine_now() + _RENEW_BEFORE


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key(path: Path, mode: int) -> Key:
    """Return the key that is kept in a file; made when it is first asked for."""
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        _write(path, made.private_bytes(*form), mode)
    return cast("Key", serialization.load_pem_private_key(path.read_bytes(), None))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place as a whole, with its rights from the beginning."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.chmod(mode)
    new.replace(path)
