"""Backing up and restoring the identity's key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prbkit.errors import IdentityError
from prbkit.identity import Identity

if TYPE_CHECKING:
    from prbkit.settings import Settings

__all__ = ["backup", "restore"]


def backup(settings: Settings, file: Path, passphrase: str) -> None:
    """Write the key under a passphrase. Raises `IdentityError` where FILE exists."""
    found = Identity.load(settings.data_path(settings.identity))
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(found.backup(passphrase))
    except OSError as error:
        raise IdentityError(
            f"the backup cannot be written: {error.strerror}",
            where=str(file),
            hint="name a file that does not exist yet",
        ) from None


def restore(settings: Settings, file: Path, passphrase: str) -> str:
    """Put a key back and tell its peer id. Raises `IdentityError` where one is in place."""
    target = settings.data_path(settings.identity)
    try:
        found = Identity.restore(file.read_bytes(), passphrase)
        found.save(target)
    except FileExistsError:
        raise IdentityError(
            "a key is in place already", where=str(target), hint="move it away first"
        ) from None
    except OSError as error:
        raise IdentityError(
            f"the backup cannot be read: {error.strerror}", where=str(file)
        ) from None
    return found.peer_id
