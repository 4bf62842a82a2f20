"""Key files, peer ids, sealing, backups."""

from __future__ import annotations

import pickle
import stat
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from prbkit.errors import IdentityError
from prbkit.identity import Certificate, Identity, is_peer_id, peer_id_of
from prbkit.identity.peer_id import read_libp2p_key

ONE = Identity.generate()
OTHER = Identity.generate()


def test_first_start_makes_a_key_that_only_the_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "identity.pem"
    made = Identity.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    again = Identity.load_or_create(path)
    assert again.peer_id == made.peer_id
    assert again.curve_secret_key == made.curve_secret_key
    assert made.peer_id.startswith("Qm")


def test_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Identity.load_or_create(path).peer_id, range(8)))
    assert len(set(made)) == 1


def test_save_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"
    ONE.save(path)
    with pytest.raises(FileExistsError):
        OTHER.save(path)
    assert Identity.load(path).peer_id == ONE.peer_id


def test_load_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="missing") as caught:
        Identity.load(tmp_path / "gone.pem")
    assert caught.value.hint is not None


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_what_is_no_key_is_refused_with_its_reason(tmp_path: Path) -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    cases = {
        "no RSA": _pem(ec.generate_private_key(ec.SECP256R1()), None),
        "encrypted": _pem(small, b"secret"),
        "1024 bits": _pem(small, None),
        "no private key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "libp2p": b"\x00" * 40,
        "backup": ONE.backup("x"),
    }
    for reason, content in cases.items():
        path = tmp_path / "key"
        path.write_bytes(content)
        with pytest.raises(IdentityError, match=reason) as caught:
            Identity.load(path)
        assert caught.value.where == str(path)


def test_others_reading_rights_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "identity.pem"
    ONE.save(path)
    path.chmod(0o644)
    Identity.load(path)
    assert "chmod 600" in caplog.text


def test_peer_id_of_a_key_of_prb_v2(data_dir: Path) -> None:
    path = data_dir / "prb2/lifecycle/keys/LIFECYCLE"
    assert Identity.load(path).peer_id == "QmTC4NT1UCntzqMjtLyetxywgaqwhTqoQq26LtD3qZCATf"


def test_peer_ids_are_told_from_other_texts() -> None:
    assert is_peer_id(ONE.peer_id)
    assert ONE.peer_id == peer_id_of(ONE.public_key)
    for text in ("", "Qm", ONE.peer_id[:-1], "0" * 46, ONE.peer_id[:-1] + "l", "ä" * 46):
        assert not is_peer_id(text)


@given(st.binary(max_size=200))
def test_libp2p_keys_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(IdentityError):
        read_libp2p_key(data)


def test_certificate_proves_the_peer_id() -> None:
    assert ONE.certificate.verify() == ONE.peer_id


@pytest.mark.parametrize(
    "forged",
    [
        replace(ONE.certificate, curve_public_key=OTHER.curve_public_key),
        replace(ONE.certificate, rsa_public_key=OTHER.public_key),
        replace(ONE.certificate, signature=bytes(256)),
        replace(ONE.certificate, signature=b""),
        replace(ONE.certificate, signature=ONE.sign(ONE.curve_public_key)),
        replace(ONE.certificate, curve_public_key=b""),
        replace(ONE.certificate, rsa_public_key=b""),
        replace(ONE.certificate, rsa_public_key=bytes(5000)),
    ],
)
def test_forged_certificates_are_refused(forged: Certificate) -> None:
    with pytest.raises(IdentityError):
        forged.verify()


def test_signatures() -> None:
    signature = ONE.sign(b"message")
    assert Identity.verify(ONE.public_key, b"message", signature)
    assert not Identity.verify(ONE.public_key, b"another", signature)
    assert not Identity.verify(OTHER.public_key, b"message", signature)


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_unsealing_gives_what_was_sealed(plaintext: bytes, data: bytes) -> None:
    sealed = ONE.seal(plaintext, data)
    assert ONE.unseal(sealed, data) == plaintext
    with pytest.raises(IdentityError):
        ONE.unseal(sealed, data + b"\0")


@given(st.data())
def test_a_sealed_secret_with_any_bit_changed_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(ONE.seal(b"bottom drive obey lake", b"pool 1"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IdentityError):
        ONE.unseal(bytes(sealed), b"pool 1")


@given(st.binary(max_size=400))
def test_any_bytes_unseal_to_an_error(data: bytes) -> None:
    with pytest.raises(IdentityError):
        ONE.unseal(data)


def test_another_identity_is_told_so() -> None:
    with pytest.raises(IdentityError, match="another identity"):
        OTHER.unseal(ONE.seal(b"secret", b"1"), b"1")


def test_backup_and_restore() -> None:
    backup = ONE.backup("correct horse")
    assert Identity.restore(backup, "correct horse").peer_id == ONE.peer_id
    with pytest.raises(IdentityError, match="passphrase is wrong"):
        Identity.restore(backup, "wrong")
    with pytest.raises(IdentityError):
        ONE.backup("")


@pytest.mark.parametrize("damaged", [b"", b"x", b"-----BEGIN PRBKIT IDENTITY BACKUP-----\nAQ"])
def test_damaged_backups_are_refused(damaged: bytes) -> None:
    with pytest.raises(IdentityError):
        Identity.restore(damaged, "x")


def test_a_backup_cannot_ask_for_any_amount_of_memory() -> None:
    import base64

    body = base64.b64encode(bytes((1, 40, 255, 255)) + bytes(60)).decode()
    text = f"-----BEGIN PRBKIT IDENTITY BACKUP-----\n{body}\n-----END PRBKIT IDENTITY BACKUP-----\n"
    with pytest.raises(IdentityError, match="more memory"):
        Identity.restore(text.encode(), "x")


def test_no_secret_shows() -> None:
    assert repr(ONE) == f"Identity({ONE.peer_id})"
    with pytest.raises(TypeError):
        pickle.dumps(ONE)
    secret = b"lonely fit walk"
    try:
        OTHER.unseal(ONE.seal(secret))
    except IdentityError as error:
        text = "".join(traceback.format_exception(error)) + repr(error)
        assert secret.decode() not in text
