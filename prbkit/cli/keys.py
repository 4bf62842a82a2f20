"""Backing up and restoring the identity's key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prbkit.identity import Identity

if TYPE_CHECKING:
    from prbkit.settings import Settings

__all__ = ["backup", "restore"]


def backup(settings: Settings, file: Path, passphrase: str) -> None:
    """Write the key under a passphrase. Raises `IdentityError` where FILE exists."""
    found = Identity.load(settings.data_path(settings.identity))
    found.backup(file, passphrase)


def restore(settings: Settings, file: Path, passphrase: str) -> str:
    """Put a key back and tell its peer id. Raises `IdentityError` where one is in place."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = settings.data_path(settings.identity)
    return Identity.restore(file, passphrase, target).peer_id
