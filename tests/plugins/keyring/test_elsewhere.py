"""Secrets in files and variables, and programs that sign."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from prbkit.errors import SignerError
from prbkit.settings import Settings
from prbkit.testing.contracts.signer import OpenSigner, SignerCase, SignerContract
from prbkit_plugins import keyring
from prbkit_plugins.keyring import elsewhere
from prbkit_plugins.keyring.uri import open_uri

CRYPTOS = ("sr25519", "ed25519", "ecdsa")

SIGN = """
import asyncio, os, sys
from prbkit_plugins.keyring.uri import open_uri
payload = sys.stdin.buffer.read()
signature = asyncio.run(open_uri(sys.argv[1]).sign(payload))
sys.stdout.write("0x" + signature.hex() + "\\n")
"""


def settings(folder: Path) -> Settings:
    made = Settings.from_tree({"data_dir": str(folder)})
    made.bind_sections(keyring.prbkit_settings())
    return made


def script(folder: Path, text: str) -> Path:
    file = folder / "sign.py"
    file.write_text(text)
    return file


def command(program: Path, *arguments: str, uri: str = "sr25519://Alice") -> str:
    signer = open_uri(uri)
    words = shlex.join([sys.executable, str(program), *arguments])
    return f"command:{signer.crypto}:0x{signer.public_key.hex()}:{words}"


class TestElsewhere(SignerContract):
    @pytest.fixture
    def open_signer(self, tmp_path: Path) -> OpenSigner:
        async def open_signer(uri: SecretStr) -> Any:
            return await keyring.prbkit_signer(uri, settings(tmp_path))

        return open_signer

    @pytest.fixture
    def cases(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[SignerCase]:
        account = open_uri("//Alice//marker").account
        (tmp_path / "secret").write_text("  //Alice//marker\n")
        monkeypatch.setenv("OPERATOR", "//Alice//marker")
        sign = script(tmp_path, SIGN)
        programs = [
            SignerCase(
                command(sign, f"{crypto}://Alice//marker", uri=f"{crypto}://Alice//marker"),
                open_uri(f"{crypto}://Alice//marker").account,
                crypto,
                ("marker",),
            )
            for crypto in CRYPTOS
        ]
        return [
            SignerCase("file:secret", account, "sr25519", ("marker",)),
            SignerCase(f"file:{tmp_path / 'secret'}", account, "sr25519", ("marker",)),
            SignerCase("env:OPERATOR", account, "sr25519", ("marker",)),
            *programs,
        ]

    @pytest.fixture
    def refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
        (tmp_path / "empty").write_text("\n")
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        (tmp_path / "loop").write_text("file:loop")
        (tmp_path / "wrong").write_text("these are no words of a mnemonic marker")
        monkeypatch.setenv("EMPTY", " ")
        return [
            "command:nothing",
            "command:sr25519:0x00:/bin/true",
            f"command:dilithium:0x{'00' * 32}:/bin/true",
            f"command:sr25519:0x{'00' * 32}:'unbalanced",
        ]

    async def test_a_place_without_a_secret_is_named(
        self, tmp_path: Path, open_signer: OpenSigner, refused: Sequence[str]
    ) -> None:
        for uri in ("file:none", "file:empty", "file:binary", "file:loop", "file:wrong"):
            with pytest.raises(SignerError) as caught:
                await open_signer(SecretStr(uri))
            assert "marker" not in str(caught.value)
        for uri in ("env:EMPTY", "env:NO_SUCH_VARIABLE"):
            with pytest.raises(SignerError, match=uri.removeprefix("env:")):
                await open_signer(SecretStr(uri))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import sys; sys.stdout.buffer.write(b'1' * 64)", "not of its public key"),
        ("print('no signature')", "wrote no signature"),
        ("import sys; sys.stdout.write('x' * 100000)", "wrote no signature|code"),
        ("import sys; sys.stderr.write('marker'); sys.exit(3)", "code 3"),
        ("import time; time.sleep(60)", "took over"),
    ],
)
async def test_a_program_that_does_not_sign_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    if "sleep" in text:
        monkeypatch.setattr(elsewhere, "COMMAND_TIMEOUT", 0.01)
    signer = elsewhere.open_command(command(script(tmp_path, text), "--token=marker"))
    with pytest.raises(SignerError, match=says) as caught:
        await signer.sign(b"payload")
    assert "marker" not in str(caught.value)


async def test_a_program_that_is_not_there_is_named() -> None:
    signer = elsewhere.open_command(f"command:sr25519:0x{'00' * 32}:/no/such/program")
    with pytest.raises(SignerError, match=r"cannot be run.*/no/such/program"):
        await signer.sign(b"")


async def test_a_program_does_not_get_our_own_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRBKIT_KEYRING__PASSWORD", "marker")
    text = "import os, sys; sys.exit(9 if 'marker' in str(os.environ) else 4)"
    with pytest.raises(SignerError, match="code 4"):
        await elsewhere.open_command(command(script(tmp_path, text))).sign(b"")
