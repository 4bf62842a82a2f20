"""The forms in which an operator may give a secret, and how each is opened.

::

    bottom drive obey … walk            a BIP-39 mnemonic (12 to 24 words)
    bottom drive obey … walk//hard/soft///password
    //Alice                             a path under the well-known development mnemonic
    0x…                                 a raw seed of 32 bytes, also with a path
    ed25519:URI, ecdsa:URI, sr25519:URI another signature scheme than sr25519
    {"encoded": …}                      a polkadot-js export; its password is the setting
                                        `keyring.password` (PRBKIT_KEYRING__PASSWORD)
    polkadotjs:{"encoded": …}?password=…    the same with its password, percent-encoded
    polkadotjs:{"encoded": …}?password-env=NAME   … in an environment variable

No message of an error holds any part of a secret, nor does it chain one that might.
"""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl

from prbkit.errors import SignerError

from .derive import Pair, derive, mini_secret, pair_of_seed
from .export import open_export, split_export
from .signer import KeyringSigner

__all__ = ["claims", "is_export", "open_uri"]

DEV_PHRASE = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
"""Public: every Substrate tool derives //Alice and her friends from it."""

SCHEMES = ("sr25519", "ed25519", "ecdsa")
EXPORT_SCHEME = "polkadotjs"

_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
_URI = re.compile(
    r"(?P<phrase>\w+(?: +\w+)*)?"
    r"(?P<path>(?://?[^/]+)*)"
    r"(?:///(?P<password>.*))?",
    re.DOTALL,
)
_SEED = re.compile(r"0x[0-9a-fA-F]{64}")
_JUNCTION = re.compile(r"(//?)([^/]+)")


def claims(text: str) -> bool:
    """Tell whether a URI is this plugin's: it has no scheme, or one of those above."""
    scheme = _SCHEME.match(text.strip())
    return scheme is None or scheme[1].lower() in (*SCHEMES, EXPORT_SCHEME)


def is_export(text: str) -> bool:
    """Tell whether a URI is an account export, which may need a password."""
    return text.strip().startswith(("{", f"{EXPORT_SCHEME}:"))


def open_uri(text: str, password: str | None = None) -> KeyringSigner:
    """Open a secret URI or an export.

    :param password: of an export that comes without one.
    :raises SignerError: what is wrong with it, without saying what it is.
    """
    text = text.strip()
    if not _is_text(text) or not _is_text(password or ""):
        raise SignerError(
            "the secret or its password is not text", hint="environment variables must be UTF-8"
        )
    if text.startswith("{"):
        return KeyringSigner(_open_json(text, password))
    scheme = _SCHEME.match(text)
    if scheme is None:
        return KeyringSigner(_open_suri(text, "sr25519"))
    name, rest = scheme[1].lower(), text[scheme.end() :]
    if name == EXPORT_SCHEME:
        return KeyringSigner(_open_json(rest, password))
    return KeyringSigner(_open_suri(rest, name))


def _is_text(value: str) -> bool:
    """Whether UTF-8 can hold it: bytes that it cannot become lone surrogates in a variable."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _open_suri(text: str, crypto: str) -> Pair:
    parts = _URI.fullmatch(text)
    if parts is None or not text:
        raise SignerError(
            "the secret URI is malformed",
            hint="a mnemonic or a 0x seed, then /soft and //hard junctions, then ///password",
        )
    phrase, password = parts["phrase"] or DEV_PHRASE, parts["password"] or ""
    if phrase.startswith("0x"):
        if not _SEED.fullmatch(phrase):
            raise SignerError("a raw seed has 32 bytes, that is 64 hex digits after 0x")
        seed = bytes.fromhex(phrase[2:])
    else:
        seed = mini_secret(" ".join(phrase.split()), password)
    pair = pair_of_seed(seed, crypto)
    for slashes, name in _JUNCTION.findall(parts["path"]):
        pair = derive(pair, name, hard=len(slashes) == 2)
    return pair


def _open_json(text: str, password: str | None) -> Pair:
    export, tail = split_export(text)
    if tail:
        if not tail.startswith("?"):
            raise SignerError("only ?password=… or ?password-env=… may follow the export's JSON")
        for key, value in parse_qsl(tail[1:], keep_blank_values=True):
            if key == "password":
                password = value
            elif key == "password-env":
                password = os.environ.get(value)
                if password is None:
                    raise SignerError(f"the environment variable {value} is not set")
                if not _is_text(password):
                    raise SignerError(f"the environment variable {value} is not UTF-8")
            else:
                raise SignerError(f"an export takes password or password-env, not {key!r}")
    return open_export(export, password)
