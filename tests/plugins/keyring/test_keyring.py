"""Signers from every form of secret, against polkadot.js's own keys and exports."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from prbkit.errors import SignerError
from prbkit.settings import Settings
from prbkit.testing.contracts.signer import (
    OpenSigner,
    SignerCase,
    SignerContract,
    verify_signature,
)
from prbkit_plugins import keyring
from prbkit_plugins.keyring.derive import junction_code, mini_secret
from prbkit_plugins.keyring.uri import DEV_PHRASE, open_uri


@pytest.fixture(scope="module")
def keys(data_dir: Path) -> dict[str, Any]:
    return json.loads((data_dir / "keys/keys.json").read_text())


@pytest.fixture(scope="module")
def accounts(data_dir: Path) -> list[dict[str, Any]]:
    return json.loads((data_dir / "keys/polkadotjs_accounts.json").read_text())


def configured(**section: str) -> Settings:
    settings = Settings.from_tree({"keyring": section})
    settings.bind_sections(keyring.prbkit_settings())
    return settings


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


class TestKeyring(SignerContract):
    @pytest.fixture
    def open_signer(self) -> OpenSigner:
        async def open_signer(uri: SecretStr) -> Any:
            return await keyring.prbkit_signer(uri, configured())

        return open_signer

    @pytest.fixture
    def cases(self, keys: dict[str, Any], accounts: list[dict[str, Any]]) -> Sequence[SignerCase]:
        suris = [
            SignerCase(f"{case['type']}:{case['suri']}", raw(case["accountId"]), case["type"])
            for case in keys["suri"]
            if "error" not in case
        ]
        account = accounts[3]
        export = f"polkadotjs:{json.dumps(account['json'])}?password={account['password']}"
        key = raw(account["publicKey"])
        secrets = (account["password"], account["json"]["encoded"])
        return [*suris, SignerCase(export, key, "sr25519", secrets)]

    @pytest.fixture
    def refused(self, keys: dict[str, Any], accounts: list[dict[str, Any]]) -> Sequence[str]:
        export = json.dumps(accounts[3]["json"])
        return [
            *(f"{case['type']}:{case['suri']}" for case in keys["suri"] if "error" in case),
            "legal winner thank year",
            f"{DEV_PHRASE} walk",
            DEV_PHRASE.replace("walk", "wolk"),
            "0x1234",
            "0x" + "zz" * 32,
            "sr25519:",
            f"//{1 << 64}",
            "//" + "x" * 20000,
            "ecdsa:0x" + "00" * 32,
            "{nonsense",
            "polkadotjs:[]",
            "[" * 100_000,
            "polkadotjs:{}",
            f"polkadotjs:{export}?password=wrong",
            f"polkadotjs:{export}?pass=word",
            f"polkadotjs:{export}trailing",
            f"polkadotjs:{export}?password-env=PRBKIT_NO_SUCH_VARIABLE",
        ]


def test_every_secret_uri_gives_its_key_or_is_refused(keys: dict[str, Any]) -> None:
    for case in keys["suri"]:
        uri = f"{case['type']}:{case['suri']}"
        if "error" in case:
            with pytest.raises(SignerError, match="soft derivation is not possible"):
                open_uri(uri)
            continue
        signer = open_uri(uri)
        assert signer.public_key == raw(case["publicKey"])
        assert signer.account == raw(case["accountId"])


def test_sr25519_is_the_default(keys: dict[str, Any]) -> None:
    for case in keys["suri"]:
        if case["type"] == "sr25519":
            assert open_uri(case["suri"]).public_key == raw(case["publicKey"])


def test_mini_secrets(keys: dict[str, Any]) -> None:
    for case in keys["miniSecrets"]:
        assert mini_secret(case["mnemonic"], case["password"]) == raw(case["miniSecret"])


def test_signatures_of_polkadotjs_verify_and_tampered_ones_do_not(keys: dict[str, Any]) -> None:
    for case in keys["signatures"]:
        args = (raw(case["publicKey"]), raw(case["message"]), raw(case["signature"]))
        assert verify_signature(case["type"], *args) is case["valid"]


def test_every_export_opens_with_its_password(accounts: list[dict[str, Any]]) -> None:
    opened = 0
    for case in accounts:
        uri = f"polkadotjs:{json.dumps(case['json'])}"
        if case["password"] is None:
            with pytest.raises(SignerError, match="needs a password"):
                open_uri(uri)
            continue
        uri += f"?password={quote(case['password'])}"
        if case["type"] == "ethereum":
            with pytest.raises(SignerError, match="is for ethereum"):
                open_uri(uri)
            continue
        signer = open_uri(uri)
        assert signer.crypto == case["type"]
        assert signer.public_key == raw(case["publicKey"])
        opened += 1
    assert opened >= 5


async def test_a_bare_export_takes_its_password_from_the_settings(
    accounts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = accounts[3]
    uri = SecretStr(json.dumps(case["json"]))
    signer = await keyring.prbkit_signer(uri, configured(password=case["password"]))
    assert signer is not None
    assert signer.account == raw(case["publicKey"])
    with pytest.raises(SignerError, match="needs a password"):
        await keyring.prbkit_signer(uri, configured())
    monkeypatch.setenv("OTHER", case["password"])
    named = f"polkadotjs:{json.dumps(case['json'])}?password-env=OTHER"
    assert open_uri(named).account == raw(case["publicKey"])


def test_an_export_of_version_2_without_scrypt() -> None:
    from nacl.secret import SecretBox
    from nacl.signing import SigningKey

    seed = hashlib.sha256(b"prbkit").digest()
    public = bytes(SigningKey(seed).verify_key)
    plain = bytes.fromhex("3053020101300506032b657004220420") + seed
    plain += bytes.fromhex("a123032100") + public
    box = SecretBox(b"secret".ljust(32, b"\0")).encrypt(plain, b"n" * 24)
    export = {
        "encoded": "0x" + bytes(box).hex(),
        "encoding": {"content": "pkcs8", "type": "xsalsa20-poly1305", "version": "0"},
    }
    assert open_uri(f"polkadotjs:{json.dumps(export)}?password=secret").public_key == public


@pytest.mark.parametrize("field", [32, 36, 40])
def test_an_export_that_asks_for_too_much_memory_is_refused(
    accounts: list[dict[str, Any]], field: int
) -> None:
    import base64

    case = json.loads(json.dumps(accounts[3]["json"]))
    data = bytearray(base64.b64decode(case["encoded"]))
    data[field : field + 4] = (1 << 30).to_bytes(4, "little")
    case["encoded"] = base64.b64encode(data).decode()
    with pytest.raises(SignerError, match="scrypt"):
        open_uri(f"polkadotjs:{json.dumps(case)}?password=test")


@given(st.text(max_size=200))
def test_any_text_opens_or_raises_a_signer_error(text: str) -> None:
    with contextlib.suppress(SignerError):
        open_uri(text)


@given(st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=60))
def test_junctions_have_32_bytes(name: str) -> None:
    if name.isascii() and name.isdigit() and int(name) >= 1 << 64:
        return
    assert len(junction_code(name)) == 32
