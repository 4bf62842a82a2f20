"""A simulated PCCS, and DCAP quotes whose certificate names a platform that it knows.

Nothing here is certified by anyone: a chain that verifies quotes refuses them.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
from typing import Self
from urllib.parse import quote as percent

import orjson
from aiohttp import web

__all__ = ["FMSPC", "SimulatedPccs", "make_quote"]

FMSPC = bytes.fromhex("00906ed50000")
_EXTENSION = "1.2.840.113741.1.13.1"
_FMSPC_ENTRY = bytes.fromhex("060a2a864886f84d010d0104") + b"\x04\x06"
CHAIN = "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n"


def make_quote(content: bytes, *, version: int = 3, authority: str = "Processor") -> bytes:
    """A quote of version 3 or 4 whose report data begin with `content` (at most 64 bytes)."""
    header = version.to_bytes(2, "little") + bytes(46)
    report = bytes(320) + content[:64].ljust(64, b"\0")
    chain = _certificate(authority) + b"\0"
    enclave = bytes(384 + 64) + (32).to_bytes(2, "little") + bytes(32) + _data(5, chain)
    auth = bytes(128) + (enclave if version == 3 else _data(6, enclave))
    return header + report + len(auth).to_bytes(4, "little") + auth


def _data(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "little") + len(data).to_bytes(4, "little") + data


@functools.cache
def _certificate(authority: str) -> bytes:
    """A PEM certificate, signed by itself, with the extension that names the platform."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Simulated SGX PCK {authority} CA")])
    entry = _FMSPC_ENTRY + FMSPC
    inner = b"\x30" + bytes([len(entry)]) + entry
    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36500))
        .add_extension(
            x509.UnrecognizedExtension(
                x509.ObjectIdentifier(_EXTENSION), b"\x30" + bytes([len(inner)]) + inner
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


class SimulatedPccs:
    """Answers as a PCCS does, for the platform `FMSPC`; an async context manager.

    `requests` are the paths asked for. `hang` makes it never answer, `answers` replaces an
    answer's body by path, `status` fails them all.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.hang = False
        self.status = 200
        self.answers: dict[str, bytes] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/sgx/certification/v4/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What the setting ``lifecycle.pccs_url`` takes."""
        if self._runner is None:
            raise RuntimeError("the PCCS is not open")
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/sgx/certification/v4/"

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.requests.append(f"{path}?{request.query_string}".rstrip("?"))
        if self.hang:
            await asyncio.Event().wait()
        headers = {name: percent(CHAIN) for name in _CHAINS.get(path, ())}
        if path == "tcb" and request.query.get("fmspc") != FMSPC.hex().upper():
            return web.Response(status=404)
        if path not in _BODIES:
            return web.Response(status=404)
        body = self.answers.get(path, _BODIES[path])
        return web.Response(body=body, status=self.status, headers=headers)


_CHAINS = {
    "pckcrl": ("SGX-PCK-CRL-Issuer-Chain",),
    "tcb": ("TCB-Info-Issuer-Chain",),
    "qe/identity": ("SGX-Enclave-Identity-Issuer-Chain",),
}
_BODIES = {
    "pckcrl": b"3081aa",
    "rootcacrl": b"3081bb",
    # Spaces and order are part of what is signed.
    "tcb": b'{"tcbInfo": {"version":3,  "id":"SGX"} , "signature":"' + b"aa" * 64 + b'"}',
    "qe/identity": orjson.dumps({"enclaveIdentity": {"id": "QE"}, "signature": "bb" * 64}),
}
