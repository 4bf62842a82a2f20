"""What a chain needs beside a DCAP quote: collateral from a PCCS, a cache of Intel's service.

pRuntime gives a quote alone. Its certificate says which platform it is of (FMSPC) and which of
Intel's two authorities certified it; the PCCS has the revocation lists, the TCB info and the
quoting enclave's identity that go with those. Shapes: Intel's provisioning certification API,
version 4.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import aiohttp
from cryptography import x509

from prbkit.blobs import DcapCollateral, quote_certificates
from prbkit.errors import CodecError, WorkerError, WorkerRefused

from .cache import SharedCache

__all__ = ["Pccs", "PccsError", "Platform", "platform_of"]

ANSWER_LIMIT = 2**20
_SGX_EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
_FMSPC = bytes.fromhex("060a2a864886f84d010d0104")
"""DER of the object identifier 1.2.840.113741.1.13.1.4."""


class PccsError(WorkerError):
    """The PCCS did not give the collateral."""

    code = "worker.pccs"


@dataclass(frozen=True, slots=True)
class Platform:
    """What the collateral depends on: FMSPC (6 bytes) and the authority's name at the PCCS."""

    fmspc: bytes
    authority: str


def platform_of(quote: bytes) -> Platform:
    """Read the platform out of a quote's certificate.

    :raises WorkerRefused: if the quote has another shape, or no such certificate.
    """
    try:
        [certificate, *_] = x509.load_pem_x509_certificates(quote_certificates(quote))
        extension = certificate.extensions.get_extension_for_oid(_SGX_EXTENSION).value
        value = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""
        issuer = certificate.issuer.rfc4514_string()
    except (CodecError, ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise WorkerRefused("its quote holds no certificate of an SGX platform") from None
    # The value of the entry, an OCTET STRING of six bytes, follows its identifier.
    at = value.find(_FMSPC) + len(_FMSPC)
    if _FMSPC not in value or value[at : at + 2] != b"\x04\x06" or len(value) < at + 8:
        raise WorkerRefused("its quote's certificate names no platform (FMSPC)")
    return Platform(value[at + 2 : at + 8], "platform" if "Platform" in issuer else "processor")


class Pccs:
    """A client that keeps what it got: one platform's workers ask once an age.

    :param url: base of the API, such as ``https://host/sgx/certification/v4/``.
    :param timeout: seconds for all that one quote needs.
    :param age: seconds that collateral is used again; Intel's is good for weeks.
    :param verify: check the server's certificate; a PCCS of one's own often signs itself.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        timeout: float = 10.0,
        age: float = 3600.0,
        verify: bool = True,
    ) -> None:
        self._url = url.rstrip("/")
        self._session = session
        self._timeout = timeout
        self._verify = verify
        self._cache = SharedCache(most_bytes=64 * ANSWER_LIMIT, most_entries=256, age=age)

    async def collateral(self, quote: bytes) -> DcapCollateral:
        """Collateral for a quote. Raises `PccsError` and `WorkerRefused`."""
        platform = platform_of(quote)

        async def fetch() -> tuple[DcapCollateral, int]:
            found = await self._fetch(platform)
            return found, sum(map(len, (*found.texts, *found.signatures)))

        return await self._cache.get(platform, fetch)

    async def close(self) -> None:
        await self._cache.close()

    async def _fetch(self, platform: Platform) -> DcapCollateral:
        fmspc = platform.fmspc.hex().upper()
        try:
            async with asyncio.timeout(self._timeout), asyncio.TaskGroup() as group:
                crl_task = group.create_task(self._get(f"pckcrl?ca={platform.authority}"))
                root_task = group.create_task(self._get("rootcacrl"))
                tcb_task = group.create_task(self._get(f"tcb?fmspc={fmspc}"))
                identity_task = group.create_task(self._get("qe/identity"))
        except TimeoutError:
            raise PccsError(
                f"the PCCS did not answer within {self._timeout:g} s", where=self._url
            ) from None
        except BaseExceptionGroup as group_error:
            if (own := group_error.split(PccsError)[0]) is not None:
                raise _first(own) from None
            raise
        (crl, crl_headers), (root, _) = crl_task.result(), root_task.result()
        (tcb, tcb_headers), (identity, identity_headers) = tcb_task.result(), identity_task.result()
        tcb_info, tcb_signature = self._signed(tcb, "tcbInfo")
        qe_identity, qe_signature = self._signed(identity, "enclaveIdentity")
        return DcapCollateral(
            texts=(
                self._chain(crl_headers, "SGX-PCK-CRL-Issuer-Chain"),
                root,
                crl,
                self._chain(tcb_headers, "TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"),
                tcb_info,
                self._chain(identity_headers, "SGX-Enclave-Identity-Issuer-Chain"),
                qe_identity,
            ),
            signatures=(tcb_signature, qe_signature),
        )

    async def _get(self, path: str) -> tuple[str, Mapping[str, str]]:
        try:
            async with self._session.get(
                f"{self._url}/{path}",
                ssl=self._verify,
                timeout=aiohttp.ClientTimeout(total=None),
                allow_redirects=False,
            ) as response:
                data = await _bounded(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PccsError(
                f"cannot reach the PCCS: {error or type(error).__name__}",
                where=self._url,
                hint="see lifecycle.pccs_url, and pccs_verify for one that signs itself",
            ) from None
        if response.status != 200 or data is None:
            what = "an answer that is too long" if data is None else f"status {response.status}"
            hint = "does it know this platform?" if response.status == 404 else None
            raise PccsError(f"the PCCS gave {what} for {path}", where=self._url, hint=hint)
        try:
            return data.decode(), response.headers
        except UnicodeDecodeError:
            raise PccsError(f"the PCCS gave no text for {path}", where=self._url) from None

    def _chain(self, headers: Mapping[str, str], *names: str) -> str:
        for name in names:
            if name in headers:
                return unquote(headers[name])
        raise PccsError(f"the PCCS gave no {names[0]}", where=self._url)

    def _signed(self, text: str, name: str) -> tuple[str, bytes]:
        """The signed part of an answer, exactly as it stands there, and its signature."""
        try:
            signature = bytes.fromhex(json.loads(text)["signature"])
            start = text.index(":", text.index(f'"{name}"')) + 1
            start += len(text[start:]) - len(text[start:].lstrip())
            _, end = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise PccsError(f"the PCCS gave no signed {name}", where=self._url) from None
        return text[start:end], signature


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    data = b""
    async for part in response.content.iter_any():
        data += part
        if len(data) > ANSWER_LIMIT:
            return None
    return data


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
