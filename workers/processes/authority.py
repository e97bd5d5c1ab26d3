"""An authority of one installation: with its certificates all of its parts speak TLS to each other."""

import os
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from workers.foundation import clock
from workers.foundation.errors import ExpectedError

#: How long the issuer is trusted, and how long a certificate is valid: browsers take none that is valid for
#: longer than 398 days.
_ISSUER_LASTS, _LASTS = timedelta(days=3650), timedelta(days=397)
#: Made anew this long before its end.
RENEW_BEFORE = timedelta(days=60)
#: Another machine's clock may be behind ours.
_CLOCK_SKEW = timedelta(hours=1)
_Key = ec.EllipticCurvePrivateKey
_CA = x509.BasicConstraints(ca=True, path_length=0)
_SERVER = x509.BasicConstraints(ca=False, path_length=None)


class CertificateUnreadable(ExpectedError):
    """{path} is none ({problem}); put back what it was, or delete it to have it made anew"""


class IssuerKeyMissing(ExpectedError):
    """{certificate} is not of the key in {key}: put that key back, or delete both, run this again and restart
    all that had a certificate of it"""


class TrustInvalid(ExpectedError):
    """SSL_CERT_FILE={path}: {problem}; name a file of PEM certificates, or unset it"""


@dataclass(frozen=True)
class Certificate:
    """Where a server's certificate and its key are, as PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Issues certificates into `folder`; `mode` is the mode of its servers' keys.

    The issuer's own key could vouch for any server, and is for its owner alone.
    """

    folder: Path
    mode: int = 0o600

    @property
    def certificate(self) -> Path:
        """Return the file by which clients know its certificates; made when it is first asked for."""
        path = self.folder / "authority.pem"
        if not _is_current(path, _LASTS + RENEW_BEFORE):
            usage = x509.KeyUsage(*(name in ("key_cert_sign", "crl_sign") for name in _USAGES))
            made = self._signed("wedops", self._key, _ISSUER_LASTS, ((_CA, True), (usage, True)))
            _write(path, made, 0o644)
        return path

    @cached_property
    def _key(self) -> _Key:
        path, certificate = self.folder / "authority.key", self.folder / "authority.pem"
        if not certificate.exists():
            return _key(path, 0o600)
        # Another key would sign what nobody takes who knows the certificate.
        if not path.exists() or _key(path, 0o600).public_key() != _read(certificate).public_key():
            raise IssuerKeyMissing(certificate=certificate, key=path)
        return _key(path, 0o600)

    def issue(self, name: str, hosts: Iterable[str]) -> Certificate:
        """Return the certificate of a server that is reached as `hosts`: names and addresses.

        One that is there and valid for a while stays. Raises CertificateUnreadable, IssuerKeyMissing.
        """
        found = Certificate(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        issuer = _read(self.certificate)
        names, key = x509.SubjectAlternativeName([_host(one) for one in hosts]), _key(found.key, self.mode)
        if not _is_of(found.certificate, issuer, names, key):
            extensions = (
                (names, False),
                (_SERVER, True),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
                (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
            )
            _write(found.certificate, self._signed(name, key, _LASTS, extensions), 0o644)
        return found

    def _signed(
        self, name: str, key: _Key, lasts: timedelta, extensions: Sequence[tuple[x509.ExtensionType, bool]]
    ) -> bytes:
        at = clock.machine_now()
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named("wedops"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - _CLOCK_SKEW)
            .not_valid_after(at + lasts)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        for extension, critical in extensions:
            made = made.add_extension(extension, critical=critical)
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    @property
    def trusted(self) -> Path:
        """Return where `trust` writes."""
        return self.folder / "trusted.pem"

    def trust(self) -> Path:
        """Write a file of the public authorities and this one, for SSL_CERT_FILE. Raises TrustInvalid."""
        given = os.environ.get("SSL_CERT_FILE")
        public = Path(given or ssl.get_default_verify_paths().cafile or os.devnull)
        # Never our own of before, which would grow.
        known = b"" if public == self.trusted else _public(public, is_given=bool(given))
        _write(self.trusted, b"\n".join((known, self.certificate.read_bytes())), 0o644)
        return self.trusted


#: In the order of KeyUsage's arguments.
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _public(path: Path, *, is_given: bool) -> bytes:
    try:
        content = path.read_bytes()
        if content:
            ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise TrustInvalid(path=path, problem=error.strerror or type(error).__name__) from error
    if is_given and not content:
        raise TrustInvalid(path=path, problem="it is empty")
    return content


def _is_current(path: Path, left: timedelta = RENEW_BEFORE) -> bool:
    """Tell whether a certificate is there, and valid for so long."""
    return path.exists() and _read(path).not_valid_after_utc > clock.machine_now() + left


def _is_of(path: Path, issuer: x509.Certificate, names: x509.SubjectAlternativeName, key: _Key) -> bool:
    """Tell whether a certificate is the issuer's, for these names and this key, and valid for a while."""
    if not _is_current(path):
        return False
    found = _read(path)
    try:
        found.verify_directly_issued_by(issuer)
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return named == names and found.public_key() == key.public_key()


def valid_until(path: Path) -> datetime:
    """Return until when a certificate is valid. Raises CertificateUnreadable."""
    return _read(path).not_valid_after_utc


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (ValueError, OSError) as error:
        raise CertificateUnreadable(path=path, problem=_why(error, "no PEM of a certificate")) from error


def _key(path: Path, mode: int) -> _Key:
    """Return the key that is kept in a file; made when it is first asked for."""
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        _write(path, made.private_bytes(*form), mode)
    try:
        found = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm, OSError) as error:
        raise CertificateUnreadable(path=path, problem=_why(error, "no PEM of a key in the open")) from error
    if not isinstance(found, _Key):
        raise CertificateUnreadable(path=path, problem="it is no key of an elliptic curve")
    return found


def _why(error: Exception, otherwise: str) -> str:
    return error.strerror or otherwise if isinstance(error, OSError) else otherwise


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place as a whole, with its mode from the beginning."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - by its number
        file.write(content)
    new.chmod(mode)
    new.replace(path)
