"""Backups, key files and certificates that somebody hostile made: an IdentityError."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import IdentityError
from prbkit.identity import Certificate, Identity, backup, is_peer_id
from prbkit.identity.backup import open_backup, write_backup
from prbkit.identity.peer_id import read_libp2p_key, read_public_key
from tests.hostile import changed, little_memory, settle

ONE = Identity.generate()
SECRET = b"a secret"


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs of scrypt that let many backups be tried."""
    monkeypatch.setattr(backup, "_LOG2_N", 1)


@pytest.fixture
def sample(cheap: None) -> bytes:
    return write_backup(SECRET, "phrase")


def armoured(raw: bytes, sample: bytes) -> bytes:
    begin, *_, end = sample.splitlines()
    return b"\n".join([begin, base64.b64encode(raw), end])


def test_each_byte_of_a_backup_counts(sample: bytes) -> None:
    assert open_backup(sample, "phrase") == SECRET
    raw = base64.b64decode(b"".join(sample.splitlines()[1:-1]))
    for at in range(len(raw)):
        if 1 <= at < 4:
            continue  # the costs: below
        changed_ = raw[:at] + bytes([raw[at] ^ 0x11]) + raw[at + 1 :]
        with pytest.raises(IdentityError):
            open_backup(armoured(changed_, sample), "phrase")
    for end in range(len(raw)):
        with pytest.raises(IdentityError):
            open_backup(armoured(raw[:end], sample), "phrase")


@pytest.mark.parametrize(
    "costs", [(0, 8, 1), (19, 8, 1), (63, 8, 1), (255, 8, 1), (17, 9, 1), (17, 8, 5), (1, 0, 1)]
)
def test_a_backup_cannot_name_the_memory_to_take(sample: bytes, costs: Any) -> None:
    raw = base64.b64decode(b"".join(sample.splitlines()[1:-1]))
    with pytest.raises(IdentityError, match="more memory or time"):
        open_backup(armoured(raw[:1] + bytes(costs) + raw[4:], sample), "phrase")


def test_a_passphrase_that_is_not_text_is_refused(sample: bytes) -> None:
    for phrase in ("\ud800", "pass\udcff"):
        with pytest.raises(IdentityError):
            open_backup(sample, phrase)
        with pytest.raises(IdentityError):
            write_backup(SECRET, phrase)


BEGIN, END = b"-----BEGIN PRBKIT IDENTITY BACKUP-----", b"-----END PRBKIT IDENTITY BACKUP-----"
HEAD = b"\1\1\x08\1" + bytes(28)  # the cheapest costs, salt, nonce


@given(
    st.binary(max_size=80)
    | changed([BEGIN + b"\n" + base64.b64encode(HEAD + bytes(40)) + b"\n" + END + b"\n"])
    | st.binary(max_size=60).map(lambda raw: BEGIN + base64.b64encode(HEAD + raw) + END)
)
def test_any_bytes_as_a_backup_are_refused(data: bytes) -> None:
    with pytest.raises(IdentityError):
        open_backup(data, "phrase")


@given(changed([ONE.public_key]) | st.binary(max_size=100))
def test_any_bytes_as_a_public_key(data: bytes) -> None:
    with little_memory():
        settle(read_public_key, data, error=IdentityError)
        settle(read_libp2p_key, data, error=IdentityError)


CERTIFICATE = ONE.certificate


@given(
    changed([CERTIFICATE.rsa_public_key]) | st.just(CERTIFICATE.rsa_public_key),
    changed([CERTIFICATE.curve_public_key]) | st.just(CERTIFICATE.curve_public_key),
    changed([CERTIFICATE.signature]) | st.just(CERTIFICATE.signature),
)
def test_a_changed_certificate_is_refused(rsa: bytes, curve: bytes, signature: bytes) -> None:
    made = Certificate(rsa, curve, signature)
    if made == CERTIFICATE:
        assert made.verify() == ONE.peer_id
        return
    with pytest.raises(IdentityError):
        made.verify()


@given(st.text(st.characters(), max_size=60) | changed([ONE.peer_id.encode()]).map(repr))
def test_any_text_is_a_peer_id_or_not(text: str) -> None:
    assert is_peer_id(text) in (True, False)
