"""Secrets and exports that somebody hostile or clumsy made: a signer or a SignerError."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from prbkit.errors import SignerError
from prbkit_plugins.keyring.uri import open_uri
from tests.hostile import changed, settle

HEADER = bytes.fromhex("3053020101300506032b657004220420")
DIVIDER = bytes.fromhex("a123032100")
PLAIN = HEADER + b"\1" * 32 + DIVIDER + b"\2" * 32
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def export(content: Any, layers: Any, encoded: Any, version: Any = "3") -> dict[str, Any]:
    return {
        "encoded": encoded,
        "encoding": {"content": content, "type": layers, "version": version},
    }


@given(
    st.builds(
        export,
        st.sampled_from([["pkcs8", c] for c in ("sr25519", "ed25519", "ecdsa", "ethereum")]) | JSON,
        st.sampled_from([["none"], "none", ["xsalsa20-poly1305"]]) | JSON,
        st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode()) | JSON,
        st.sampled_from(["0", "1", "2", "3", 3]) | JSON,
    )
    | JSON
)
def test_any_export_is_opened_or_refused(value: Any) -> None:
    settle(open_uri, f"polkadotjs:{json.dumps(value)}?password=x", error=SignerError)


@given(st.sampled_from(["sr25519", "ed25519", "ecdsa"]), changed([PLAIN, PLAIN[:16] + PLAIN]))
def test_any_plain_record_is_opened_or_refused(crypto: str, plain: bytes) -> None:
    """As whoever knows the password could write it; unencrypted it is read the same way."""
    box = SecretBox(b"x".ljust(32, b"\0")).encrypt(plain, bytes(24))
    for layers, data in ((["none"], plain), (["xsalsa20-poly1305"], bytes(box))):
        value = export(["pkcs8", crypto], layers, base64.b64encode(data).decode(), "2")
        settle(open_uri, f"polkadotjs:{json.dumps(value)}?password=x", error=SignerError)


@given(
    st.text(st.characters(), max_size=40)
    | st.builds("{}:{}".format, st.sampled_from(["ecdsa", "ed25519"]), st.text(st.characters()))
    | st.lists(st.text(st.characters(), max_size=6), max_size=4).map("//".join)
)
def test_any_text_at_all_opens_or_is_refused(text: str) -> None:
    settle(open_uri, text, error=SignerError)


@pytest.mark.parametrize(
    "text",
    [
        "//" + "1" * 5000,
        "/" + "9" * 5000,
        "//\ud800",
        "\ud800",
        "ed25519://\udcff",
        "polkadotjs:" + "[" * 100_000,
        "{" * 100_000,
        'polkadotjs:{"a": ' + "9" * 5000 + "}",
        "polkadotjs:{}?password-env=\ud800",
        "polkadotjs:{}?password-env=a%00b",
        "polkadotjs:{}?password-env=",
    ],
    ids=range(11),
)
def test_what_no_secret_looks_like_is_refused(text: str) -> None:
    with pytest.raises(SignerError):
        open_uri(text)


@pytest.mark.parametrize("layers", [["xsalsa20-poly1305"], ["scrypt", "xsalsa20-poly1305"]])
def test_a_password_that_is_not_text_is_refused(layers: list[str]) -> None:
    """Bytes of the environment that are no UTF-8 become lone surrogates."""
    data = bytes(32) + (1 << 15).to_bytes(4, "little") + b"\1\0\0\0\x08\0\0\0" + bytes(80)
    value = export(["pkcs8", "sr25519"], layers, base64.b64encode(data).decode())
    with pytest.raises(SignerError):
        open_uri(json.dumps(value), "pass\udcff")
