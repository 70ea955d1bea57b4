"""TLS before a server that speaks none, with certificates of a test's own authority."""

from __future__ import annotations

import datetime
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates; what trusts it is given `path`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("an authority of tests")
        certificate = self._signed(self._name, self._key.public_key(), None)
        self.path = folder / "authority.pem"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def context(self, host: str) -> ssl.SSLContext:
        """What a server at that host presents."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_named(host), key.public_key(), host)
        path = self._folder / f"{host}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, host: str | None
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@contextmanager
def tls_proxy(context: ssl.SSLContext, port: int) -> Iterator[int]:
    """A port of loopback that passes what comes over TLS on to another port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                near = context.wrap_socket(self.request, server_side=True)
            except (ssl.SSLError, OSError):
                return  # The client did not like the certificate.
            with near, socket.create_connection(("127.0.0.1", port)) as far:
                _pass_on(near, far)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def _pass_on(near: ssl.SSLSocket, far: socket.socket) -> None:
    while True:
        ready = [near] if near.pending() else select.select([near, far], [], [], 30)[0]
        for source in ready:
            try:
                data = source.recv(1 << 16)
                if data:
                    (far if source is near else near).sendall(data)
            except OSError:
                return
            if not data:
                return
        if not ready:
            return
