"""What a signer must do: subclass `SignerContract`, give it a way to open URIs and some cases."""

from __future__ import annotations

import hashlib
import pickle
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from pydantic import SecretStr

from prbkit.errors import SignerError
from prbkit.interfaces import Signer

__all__ = ["OpenSigner", "SignerCase", "SignerContract", "verify_signature"]

OpenSigner: TypeAlias = Callable[[SecretStr], Awaitable[Signer | None]]


@dataclass(frozen=True, slots=True)
class SignerCase:
    """A secret URI and whose account it opens; `secrets` are texts that nothing may show."""

    uri: str
    account: bytes
    crypto: str
    secrets: Sequence[str] = ()


def verify_signature(crypto: str, public_key: bytes, payload: bytes, signature: bytes) -> bool:
    """Check a signature as a Substrate chain does."""
    if crypto == "sr25519":
        import sr25519

        return bool(sr25519.verify(signature, payload, public_key))
    if crypto == "ed25519":
        from nacl.exceptions import BadSignatureError
        from nacl.signing import VerifyKey

        try:
            VerifyKey(public_key).verify(payload, signature)
        except BadSignatureError:
            return False
        return True
    from eth_keys.datatypes import Signature

    digest = hashlib.blake2b(payload, digest_size=32).digest()
    recovered = Signature(signature).recover_public_key_from_msg_hash(digest)
    return bool(recovered.to_compressed_bytes() == public_key)


class SignerContract:
    """The suite. A subclass gives the fixtures `open_signer`, `cases`, `refused` and `foreign`."""

    @pytest.fixture
    def open_signer(self) -> OpenSigner:
        """Calls the plugin's `prbkit_signer`."""
        raise NotImplementedError

    @pytest.fixture
    def cases(self) -> Sequence[SignerCase]:
        """URIs that open."""
        raise NotImplementedError

    @pytest.fixture
    def refused(self) -> Sequence[str]:
        """URIs of this plugin that must raise `SignerError`."""
        return ()

    @pytest.fixture
    def foreign(self) -> Sequence[str]:
        """URIs of other plugins, for which the factory returns None."""
        return ("no-such-scheme-of-anyone:secret",)

    async def test_opens_the_account_that_the_uri_names(
        self, open_signer: OpenSigner, cases: Sequence[SignerCase]
    ) -> None:
        for case in cases:
            signer = await open_signer(SecretStr(case.uri))
            assert signer is not None
            assert signer.account == case.account
            assert signer.crypto == case.crypto
            assert len(signer.public_key) == (33 if case.crypto == "ecdsa" else 32)

    async def test_signatures_verify_for_the_signed_bytes_alone(
        self, open_signer: OpenSigner, cases: Sequence[SignerCase]
    ) -> None:
        for case in cases:
            signer = await open_signer(SecretStr(case.uri))
            assert signer is not None
            for payload in (b"", b"payload", bytes(range(256)) * 5):
                signature = await signer.sign(payload)
                assert len(signature) == (65 if case.crypto == "ecdsa" else 64)
                assert verify_signature(case.crypto, signer.public_key, payload, signature)
                assert not verify_signature(
                    case.crypto, signer.public_key, payload + b"!", signature
                )

    async def test_nothing_shows_the_secret(
        self, open_signer: OpenSigner, cases: Sequence[SignerCase]
    ) -> None:
        for case in cases:
            signer = await open_signer(SecretStr(case.uri))
            for shown in (repr(signer), str(signer), f"{signer}"):
                assert not [secret for secret in (case.uri, *case.secrets) if secret in shown]
            with pytest.raises(Exception):  # noqa: B017, PT011  any refusal will do
                pickle.dumps(signer)

    async def test_what_is_wrong_is_refused_without_showing_it(
        self, open_signer: OpenSigner, refused: Sequence[str]
    ) -> None:
        for uri in refused:
            with pytest.raises(SignerError) as caught:
                await open_signer(SecretStr(uri))
            chain: BaseException | None = caught.value
            while chain is not None:
                said = "".join(traceback.format_exception_only(chain))
                assert uri not in said
                chain = chain.__cause__ or (
                    None if chain.__suppress_context__ else chain.__context__
                )

    async def test_the_uris_of_others_are_left_to_them(
        self, open_signer: OpenSigner, foreign: Sequence[str]
    ) -> None:
        for uri in foreign:
            assert await open_signer(SecretStr(uri)) is None
