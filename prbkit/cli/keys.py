"""Backing up, restoring, verifying and rotating the identity's key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prbkit.errors import IdentityError, PrbError
from prbkit.identity import Identity

if TYPE_CHECKING:
    from typing import Any

    from prbkit.settings import Settings

__all__ = ["backup", "restore", "rotate", "verify"]


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


async def verify(settings: Settings) -> list[dict[str, Any]]:
    """Open every operator's secret and see that it is the account that the inventory says.

    One row for each pool: pid, name, ok, and what is wrong.
    """
    from prbkit.cli.common import offline

    rows = []
    async with offline(settings) as context:
        inventory = await context.inventory()
        for pool in await inventory.pools():
            problem = None
            if pool.operator is not None:
                try:
                    signer = await context.signer(await inventory.operator_uri(pool))
                    if signer.account != pool.operator:
                        problem = "the secret is of another account than the inventory says"
                except PrbError as error:
                    problem = str(error)
            rows.append(
                {"pid": pool.pid, "name": pool.name, "ok": problem is None, "problem": problem}
            )
    return rows


async def rotate(settings: Settings) -> tuple[str, int]:
    """Seal all secrets under a new key and put it in place; its peer id and how many there are.

    The new key lies beside the old one until all secrets are sealed anew, which is one
    transaction; cut off anywhere, it is finished by being called again. Until then nothing
    starts. Raises `IdentityError` where a bridge runs with the old key.
    """
    from prbkit.context import Context, next_key
    from prbkit.plugins import Plugins

    file = settings.data_path(settings.sealing_key or settings.identity)
    old = Identity.load(file)
    await _refuse_while_running(settings)
    coming = next_key(file)
    new = Identity.load_or_create(coming)
    plugins = Plugins(disabled=settings.disabled_plugins, files=settings.plugin_files)
    settings.bind_sections(plugins.settings())
    context = Context(settings, plugins, old, spawner=_spawn_nothing)
    try:
        count = await (await context.inventory()).reseal(new)
    finally:
        await context.close()
    os.replace(coming, file)
    note = "peer_id" if settings.sealing_key is None else "sealing_id"
    settings.data_path(note).write_text(new.peer_id + "\n")
    return new.peer_id, count


async def _refuse_while_running(settings: Settings) -> None:
    from prbkit.cli.common import connect
    from prbkit.context import next_key

    if next_key(settings.data_path(settings.sealing_key or settings.identity)).exists():
        return  # nothing starts since the rotation was cut off
    try:
        async with connect(settings):
            pass
    except PrbError:
        return
    raise IdentityError(
        "a bridge is running with this key", hint="stop it, rotate the key, and start it again"
    )


async def _spawn_nothing(*_: object) -> None:
    raise RuntimeError("a command starts no child process")
