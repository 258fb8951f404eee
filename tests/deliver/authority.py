"""A certificate authority of the tests' own."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ringback.deliver.egress import EgressSettings

LONG = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
PAST = (LONG[0], datetime(2020, 1, 2, tzinfo=UTC))
FUTURE = (datetime(2099, 1, 1, tzinfo=UTC), LONG[1])


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the test's own, in a folder."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def server(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context


@dataclass(frozen=True)
class Issuer:
    """What signs: a name and a key."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def issue(
    folder: Path,
    name: str,
    subjects: list[x509.GeneralName],
    valid: tuple[datetime, datetime],
    issuer: Issuer | None = None,
) -> Issuer:
    """Write NAME.pem and NAME.key; signed by itself without an issuer, an authority without subjects."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = Issuer(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"test {name}")]), key)
    signer = issuer or own
    builder = (
        x509.CertificateBuilder()
        .subject_name(own.name)
        .issuer_name(signer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=not subjects, path_length=None), critical=True)
    )
    if subjects:
        builder = builder.add_extension(x509.SubjectAlternativeName(subjects), critical=False)
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(builder.sign(signer.key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(private)
    return own


def made(folder: Path) -> Authority:
    """An authority, and certificates of its own and of nobody's for 127.0.0.1 and localhost, good and bad."""
    here: list[x509.GeneralName] = [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
    ca = issue(folder, "ca", [], LONG)
    issue(folder, "alone", here, LONG)
    issue(folder, "good", here, LONG, ca)
    issue(folder, "other", [x509.DNSName("elsewhere.example")], LONG, ca)
    issue(folder, "expired", here, PAST, ca)
    issue(folder, "early", here, FUTURE, ca)
    return Authority(folder)


def trusting(authority: Authority, timeout_s: float = 5) -> EgressSettings:
    return EgressSettings(timeout_s=timeout_s, ca_file=authority.file)
