"""The page for a telephone in the same network: a link with a secret, as text and as a QR code, and TLS made for it,
without which no browser lets a page use the camera."""

import datetime
import io
import ipaddress
import socket
from pathlib import Path
from secrets import token_urlsafe
from typing import NamedTuple

from ombre.page.guard import HOSTS, Door

DAYS = 7  # that the certificate holds
WARNING = (
    "Whoever has this link and is in this network can use the page until it is ended. The browser will warn, since the "
    "page has made its certificate itself: go on all the same."
)
ELSEWHERE = ("192.0.2.1", 9)  # an address that belongs to nobody (RFC 5737); nothing is sent to it


class Invitation(NamedTuple):
    """A door to the local network: `link` leads through it, `certificate` and `key` are files for its TLS."""

    door: Door
    link: str
    certificate: Path
    key: Path

    def text(self) -> str:
        """The link, the same as a QR code for a terminal, and what it means."""
        import segno

        picture = io.StringIO()
        segno.make(self.link, error="l").terminal(picture, compact=True)
        return f"{picture.getvalue()}\n{self.link}\n{WARNING}"


def invitation(folder: Path, port: int) -> Invitation:
    """A new secret and a new certificate, whose files lie in the folder."""
    host, secret = own_address(), token_urlsafe(24)
    certificate, key = certified(folder, host)
    door = Door("https", (*HOSTS, host), secret)
    return Invitation(door, f"https://{host}:{port}/?key={secret}", certificate, key)


def own_address() -> str:
    """This machine's address in its network; that of the machine alone where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)  # only chooses the way that something would go
        except OSError:
            return HOSTS[0]
        return probe.getsockname()[0]


def certified(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate for an address, signed by itself, and its key, as files in the folder."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ombre hair")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=DAYS))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    files[1].touch(0o600)
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return files
