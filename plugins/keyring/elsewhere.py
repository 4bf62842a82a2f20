"""Secrets that are kept outside of the inventory: in a file, a variable, or behind a program.

::

    file:PATH                   a file that holds a secret URI; relative to the data folder
    env:NAME                    an environment variable that holds one
    command:CRYPTO:0xPUBLIC:PROGRAM ARGUMENT …

A command signs for the public key (32 bytes; ecdsa 33) that stands before it: the program is run
without a shell, gets the payload on stdin, and writes the signature to stdout, as raw bytes or as
hex. It may take half a minute. What it signs is verified before it is used, and nothing that it
writes to stderr is shown, since a program may print what it works with.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NoReturn, cast

from prbkit.errors import SignerError

from .signer import account_of, verify

__all__ = ["CommandSigner", "claims_elsewhere", "open_command", "read_elsewhere"]

COMMAND_TIMEOUT = 30.0
ANSWER_LIMIT = 4096
SECRET_LIMIT = 65536

_COMMAND = re.compile(r"(sr25519|ed25519|ecdsa):0x((?:[0-9a-fA-F]{2})+):(.+)", re.DOTALL)
_KEY_LENGTH = {"sr25519": 32, "ed25519": 32, "ecdsa": 33}
_OURS = "PRBKIT_"


def claims_elsewhere(text: str) -> bool:
    """Tell whether a URI names a place or a program."""
    return text.partition(":")[0] in ("file", "env", "command")


def read_elsewhere(text: str, folder: Path) -> str:
    """The secret URI that a ``file:`` or ``env:`` URI leads to, which must not lead further.

    :raises SignerError: it names the place, never what is there.
    """
    scheme, _, name = text.partition(":")
    if scheme == "env":
        secret = os.environ.get(name, "")
        if not secret.strip():
            raise SignerError(f"the environment variable {name} is not set", hint="or it is empty")
    else:
        secret = _read(folder / Path(name).expanduser())
    secret = secret.strip()
    if claims_elsewhere(secret):
        raise SignerError("a secret that is kept elsewhere leads elsewhere again", where=text)
    return secret


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(SECRET_LIMIT + 1)
    except OSError as error:
        raise SignerError(
            f"the secret's file cannot be read: {error.strerror}", where=str(path)
        ) from None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or len(data) > SECRET_LIMIT:
        raise SignerError("the secret's file holds no secret", where=str(path))
    return text


def open_command(text: str) -> CommandSigner:
    """Open a ``command:`` URI, without running it."""
    parts = _COMMAND.fullmatch(text.removeprefix("command:"))
    try:
        program = shlex.split(parts[3]) if parts else []
    except ValueError:
        program = []
    if parts is None or not program or len(parts[2]) != 2 * _KEY_LENGTH[parts[1]]:
        raise SignerError(
            "the command's URI is malformed",
            hint="command:sr25519:0x<public key>:PROGRAM ARGUMENT …, quoted as for a shell",
        )
    return CommandSigner(parts[1], bytes.fromhex(parts[2]), program)


class CommandSigner:
    """A `Signer` that has a program sign: an HSM's tool, or a client of a remote signer."""

    __slots__ = ("_program", "account", "crypto", "public_key")

    def __init__(self, crypto: str, public_key: bytes, program: Sequence[str]) -> None:
        self.crypto = cast("Literal['sr25519', 'ed25519', 'ecdsa']", crypto)
        self.public_key = public_key
        self.account = account_of(crypto, public_key)
        self._program = tuple(program)

    def __repr__(self) -> str:
        return f"<CommandSigner {self.crypto} 0x{self.account.hex()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer is not pickled")

    async def sign(self, payload: bytes) -> bytes:
        """Have the program sign exactly these bytes. Raises `SignerError`."""
        answer = await self._run(payload)
        signature = _signature(answer, 65 if self.crypto == "ecdsa" else 64)
        if signature is None:
            raise SignerError("the signing program wrote no signature", where=self._where)
        if not await asyncio.to_thread(verify, self.crypto, self.public_key, payload, signature):
            raise SignerError(
                "the signing program's signature is not of its public key",
                where=self._where,
                hint="see that it signs the bytes of stdin as they are, with the right key",
            )
        return signature

    @property
    def _where(self) -> str:
        # Arguments may hold a token.
        return f"command {self._program[0]}"

    async def _run(self, payload: bytes) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._program,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(os.environ),
                start_new_session=True,
                limit=ANSWER_LIMIT,
            )
        except OSError as error:
            raise SignerError(
                f"the signing program cannot be run: {error.strerror}", where=self._where
            ) from None
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                answer = await _talk(process, payload)
                code = await process.wait()
        except TimeoutError:
            raise SignerError(
                f"the signing program took over {COMMAND_TIMEOUT:g} s", where=self._where
            ) from None
        finally:
            await _end(process)
        if code:
            raise SignerError(f"the signing program failed with code {code}", where=self._where)
        return answer


async def _talk(process: asyncio.subprocess.Process, payload: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the program was started without pipes")
    # One that ends without reading has closed its end: what it wrote is judged all the same.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(payload)
        await process.stdin.drain()
    process.stdin.close()
    answer = b""
    while part := await process.stdout.read(ANSWER_LIMIT):
        # Read to the end whatever its length, or the program waits for its reader for ever.
        answer = (answer + part)[: ANSWER_LIMIT + 1]
    return answer


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what still runs of a program, its children too, and let go of its pipes."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        while await process.stdout.read(ANSWER_LIMIT):
            pass
    await process.wait()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """A program needs its environment, but not prbkit's own passphrases and tokens."""
    return {name: value for name, value in environ.items() if not name.startswith(_OURS)}


def _signature(answer: bytes, length: int) -> bytes | None:
    if len(answer) == length:
        return answer
    try:
        made = bytes.fromhex(answer.decode("ascii").strip().removeprefix("0x"))
    except ValueError:
        return None
    return made if len(made) == length else None
