"""``prbkit pool`` and ``prbkit worker``: what the inventory holds and how it is changed.

They work on the inventory that the settings name, whether or not a bridge runs on it; a running
one sees each change at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from prbkit.cli.common import (
    config_option,
    echo_json,
    json_option,
    load_settings,
    offline,
    run,
    subgroup,
)

if TYPE_CHECKING:
    from pydantic import SecretStr

    from prbkit.interfaces import Inventory, Pool, PoolSpec, Ref, Worker, WorkerSpec

__all__ = ["add_commands"]

PHA = 10**12

T = TypeVar("T")


def add_commands(group: click.Group) -> None:
    """Add both command groups; the lifecycle plugin may have made ``worker`` before."""
    for name, text, commands in (
        ("pool", "Work on the stake pools that the bridge serves.", _POOL_COMMANDS),
        ("worker", "Work on the workers that the bridge keeps computing.", _WORKER_COMMANDS),
    ):
        for command in commands:
            subgroup(group, name, text).add_command(command)


# --- options


class Stake(click.ParamType):  # type: ignore[type-arg]
    """Base units as a bare number, or PHA when it says so: ``4000 PHA``."""

    name = "stake"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from prbkit.errors import InventoryError

        from .validate import stake_of

        try:
            return stake_of(value)
        except InventoryError as error:
            self.fail(str(error), param, ctx)


def _secret_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """A secret comes from a file, a variable or a prompt, never from the command line."""
    for option in (
        click.option(
            "--operator-file",
            type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
            help="File with the operator's mnemonic, secret URI or JSON export; - is stdin.",
        ),
        click.option("--operator-env", help="Variable that holds it."),
        click.option("--operator-prompt", is_flag=True, help="Ask for it."),
        click.option("--no-operator", is_flag=True, help="Take the operator away."),
    ):
        function = option(function)
    return function


def _secret(file: Path | None, variable: str | None, prompt: bool, none: bool) -> SecretStr | None:
    import os

    from pydantic import SecretStr

    if sum((file is not None, variable is not None, prompt, none)) > 1:
        raise click.UsageError("give the operator in one way only")
    if none:
        return SecretStr("")
    if file is not None:
        with click.open_file(str(file), encoding="utf-8") as stream:
            text = stream.read().strip()
    elif variable is not None:
        if variable not in os.environ:
            raise click.UsageError(f"there is no variable {variable} in the environment")
        text = os.environ[variable].strip()
    elif prompt:
        text = click.prompt("Operator", hide_input=True).strip()
    else:
        return None
    if not text:
        raise click.UsageError("the operator's secret is empty")
    return SecretStr(text)


_enabled = click.option("--enabled/--disabled", default=None, help="Whether it is run at all.")
_sync_only = click.option(
    "--sync-only/--no-sync-only", default=None, help="Keep it synced, do nothing on chain."
)


# --- pools


@click.command("list", epilog="Example: prbkit pool list --json")
@config_option
@json_option
def pool_list(config: Path | None, as_json: bool) -> None:
    """List the pools."""

    async def work(inventory: Inventory) -> None:
        _show("pools", [_pool(pool) for pool in await inventory.pools()], as_json)

    _with_inventory(config, work)


@click.command("add", epilog="Example: prbkit pool add 7 main --operator-file mnemonic.txt")
@click.argument("pid", type=click.IntRange(min=0))
@click.argument("name")
@click.option("--owner", help="SS58 address of the pool's owner, where the operator is its proxy.")
@_secret_options
@_enabled
@_sync_only
@config_option
@json_option
def pool_add(
    pid: int,
    name: str,
    owner: str | None,
    operator_file: Path | None,
    operator_env: str | None,
    operator_prompt: bool,
    no_operator: bool,
    enabled: bool | None,
    sync_only: bool | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Add pool PID under a NAME of your own."""
    from prbkit.interfaces import PoolSpec

    secret = _secret(operator_file, operator_env, operator_prompt, no_operator)
    spec = PoolSpec(
        pid=pid, name=name, owner=owner, operator=secret, enabled=enabled, sync_only=sync_only
    )

    async def work(inventory: Inventory) -> None:
        _show("pools", [_pool(pool) for pool in await inventory.create_pools([spec])], as_json)

    _with_inventory(config, work)


@click.command("update", epilog="Example: prbkit pool update main --disabled")
@click.argument("pool")
@click.option("--pid", type=click.IntRange(min=0), help="New pid.")
@click.option("--name", help="New name.")
@click.option("--owner", help="SS58 address of the owner; an empty text takes it away.")
@_secret_options
@_enabled
@_sync_only
@config_option
@json_option
def pool_update(
    pool: str,
    pid: int | None,
    name: str | None,
    owner: str | None,
    operator_file: Path | None,
    operator_env: str | None,
    operator_prompt: bool,
    no_operator: bool,
    enabled: bool | None,
    sync_only: bool | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Change a POOL, named by pid, name or uuid."""
    from prbkit.interfaces import PoolSpec

    secret = _secret(operator_file, operator_env, operator_prompt, no_operator)
    spec = PoolSpec(
        pid=pid, name=name, owner=owner, operator=secret, enabled=enabled, sync_only=sync_only
    )

    _check_change(spec)

    async def work(inventory: Inventory) -> None:
        ref = _find("pool", pool, await inventory.pools())
        _show("pools", [_pool(p) for p in await inventory.update_pools([(ref, spec)])], as_json)

    _with_inventory(config, work)


@click.command("remove", epilog="Example: prbkit pool remove main --yes")
@click.argument("pool")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def pool_remove(pool: str, yes: bool, config: Path | None, as_json: bool) -> None:
    """Take a POOL and its workers out of the inventory. Nothing is done on chain."""
    from prbkit.interfaces import PoolSpec

    async def work(inventory: Inventory) -> None:
        ref = _find("pool", pool, await inventory.pools())
        if not yes:
            click.confirm(f"Remove pool {pool} with its workers?", abort=True, err=True)
        gone = await inventory.update_pools([(ref, PoolSpec(deleted=True))])
        _show("removed", [_pool(p) for p in gone], as_json)

    _with_inventory(config, work)


# --- workers


@click.command("list", epilog="Example: prbkit worker list --json")
@config_option
@json_option
def worker_list(config: Path | None, as_json: bool) -> None:
    """List the workers; `prbkit status` tells how they are."""

    async def work(inventory: Inventory) -> None:
        _show("workers", [_worker(worker) for worker in await inventory.workers()], as_json)

    _with_inventory(config, work)


@click.command(
    "add", epilog="Example: prbkit worker add 7 w1 http://10.0.0.7:8000 --stake '4000 PHA'"
)
@click.argument("pid", type=click.IntRange(min=0))
@click.argument("name")
@click.argument("endpoint")
@click.option("--stake", type=Stake(), help="Base units, or '4000 PHA'.")
@_enabled
@_sync_only
@config_option
@json_option
def worker_add(
    pid: int,
    name: str,
    endpoint: str,
    stake: int | None,
    enabled: bool | None,
    sync_only: bool | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Add a worker to pool PID, under a NAME of your own; its pRuntime listens on ENDPOINT."""
    from prbkit.interfaces import WorkerSpec

    spec = WorkerSpec(
        pid=pid, name=name, endpoint=endpoint, stake=stake, enabled=enabled, sync_only=sync_only
    )

    async def work(inventory: Inventory) -> None:
        made = await inventory.create_workers([spec])
        _show("workers", [_worker(worker) for worker in made], as_json)

    _with_inventory(config, work)


@click.command("update", epilog="Example: prbkit worker update w1 --stake '5000 PHA'")
@click.argument("worker")
@click.option("--pid", type=click.IntRange(min=0), help="Move it to that pool.")
@click.option("--name", help="New name.")
@click.option("--endpoint", help="New URL of its pRuntime.")
@click.option("--stake", type=Stake(), help="Base units, or '4000 PHA'.")
@_enabled
@_sync_only
@config_option
@json_option
def worker_update(
    worker: str,
    pid: int | None,
    name: str | None,
    endpoint: str | None,
    stake: int | None,
    enabled: bool | None,
    sync_only: bool | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Change a WORKER, named by name or uuid."""
    from prbkit.interfaces import WorkerSpec

    spec = WorkerSpec(
        pid=pid, name=name, endpoint=endpoint, stake=stake, enabled=enabled, sync_only=sync_only
    )

    _check_change(spec)

    async def work(inventory: Inventory) -> None:
        ref = _find("worker", worker, await inventory.workers())
        changed = await inventory.update_workers([(ref, spec)])
        _show("workers", [_worker(w) for w in changed], as_json)

    _with_inventory(config, work)


@click.command("remove", epilog="Example: prbkit worker remove w1 --yes")
@click.argument("worker")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def worker_remove(worker: str, yes: bool, config: Path | None, as_json: bool) -> None:
    """Take a WORKER out of the inventory. Nothing is done on chain."""
    from prbkit.interfaces import WorkerSpec

    async def work(inventory: Inventory) -> None:
        ref = _find("worker", worker, await inventory.workers())
        if not yes:
            click.confirm(f"Remove worker {worker}?", abort=True, err=True)
        gone = await inventory.update_workers([(ref, WorkerSpec(deleted=True))])
        _show("removed", [_worker(w) for w in gone], as_json)

    _with_inventory(config, work)


_POOL_COMMANDS = (pool_list, pool_add, pool_update, pool_remove)
_WORKER_COMMANDS = (worker_list, worker_add, worker_update, worker_remove)


# --- helpers


def _with_inventory(config: Path | None, work: Callable[[Inventory], Awaitable[T]]) -> T:
    async def inside() -> T:
        async with offline(load_settings(config)) as context:
            return await work(await context.inventory())

    return run(inside())


def _check_change(spec: PoolSpec | WorkerSpec) -> None:
    if spec == type(spec)():
        raise click.UsageError("nothing to change: give at least one option")


def _find(kind: str, text: str, known: Any) -> Ref:
    """The one that `text` names by uuid, name or pid, in that order."""
    from prbkit.errors import NotFound
    from prbkit.interfaces import Ref

    columns = ("uuid", "name", "pid") if kind == "pool" else ("uuid", "name")
    for column in columns:
        for thing in known:
            if str(getattr(thing, column)) == text:
                return Ref(uuid=thing.uuid)
    raise NotFound(f"there is no {kind} {text!r}", hint=f"see prbkit {kind} list")


def _pool(pool: Pool) -> dict[str, Any]:
    from prbkit.scale import ss58

    fields = asdict(pool)
    for name in ("operator", "owner"):
        account = fields[name]
        fields[name] = None if account is None else ss58.encode(account, 30)
    return fields


def _worker(worker: Worker) -> dict[str, Any]:
    return {**asdict(worker), "stake": str(worker.stake)}


def _show(what: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        echo_json({what: rows})
        return
    if not rows:
        click.echo(f"no {what}", err=True)
        return
    from rich.console import Console
    from rich.table import Table

    # A name is what people use; the uuid, which would fill the line, is in --json.
    table = Table()
    rows = [{name: value for name, value in row.items() if name != "uuid"} for row in rows]
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        if "stake" in row:
            row["stake"] = f"{Decimal(row['stake']) / PHA:f} PHA"
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)
