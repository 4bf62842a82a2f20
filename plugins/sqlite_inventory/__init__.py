"""The stock plugin `sqlite_inventory`: its hooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    import click
    from pydantic import SecretStr

    from prbkit.identity import Identity
    from prbkit.interfaces import Inventory
    from prbkit.settings import Settings


@hookimpl
def prbkit_schemes() -> Mapping[str, Sequence[str]]:
    return {"inventory": ["sqlite"]}


@hookimpl
def prbkit_inventory(
    url: str,
    identity: Identity,
    settings: Settings,
    account_of: Callable[[SecretStr], Awaitable[bytes]],
) -> Inventory | None:
    scheme, _, path = url.partition(":")
    if scheme != "sqlite":
        return None
    from .inventory import SqliteInventory

    return SqliteInventory(
        settings.data_path(path.removeprefix("//")),
        identity=identity,
        account_of=account_of,
    )


@hookimpl
def prbkit_commands(group: click.Group) -> None:
    from . import commands, transfer

    commands.add_commands(group)
    transfer.add_commands(group)
