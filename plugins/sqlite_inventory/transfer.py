"""``prbkit apply``, ``import`` and ``export``: whole inventories at once.

All three go through one declaration (`declare`): what is read becomes one, its difference to the
inventory is shown, and the changes are one transaction. Secrets stand in none of the output.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from prbkit.context import Context
    from prbkit.interfaces import Inventory, Pool

    from .declare import DeclaredPool, Operator, Plan

__all__ = ["add_commands", "carry_out", "declare_inventory", "plan_for"]


def add_commands(group: click.Group) -> None:
    """Add ``apply`` and the groups, which another plugin may have made before."""
    group.add_command(apply)
    for name, text, commands in (
        ("import", "Take over what another bridge or tool has.", (import_prb2, import_prb3)),
        ("export", "Write what this bridge has for another one.", (export_prb2, export_prb3)),
    ):
        for command in commands:
            subgroup(group, name, text).add_command(command)


_dry_run = click.option("--dry-run", is_flag=True, help="Show the changes and make none.")
_yes = click.option("--yes", is_flag=True, help="Do not ask before something is removed.")
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog="Example: prbkit apply -f pools.toml --dry-run")
@click.option("-f", "--file", required=True, type=_file, help="Declares pools and workers (TOML).")
@click.option("--keep", is_flag=True, help="Leave pools and workers that it does not name.")
@_dry_run
@_yes
@config_option
@json_option
def apply(
    file: Path, keep: bool, dry_run: bool, yes: bool, config: Path | None, as_json: bool
) -> None:
    """Make the inventory hold exactly what FILE declares, after showing what that changes."""
    from .declare import read_declaration

    _apply(lambda: read_declaration(file), config, not keep, dry_run, yes, as_json)


@click.command("prb2-lifecycle", epilog="Example: prbkit import prb2-lifecycle /var/data --dry-run")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--key", type=_file, help="The manager's identity; else keys/LIFECYCLE beside it.")
@_dry_run
@config_option
@json_option
def import_prb2(
    path: Path, key: Path | None, dry_run: bool, config: Path | None, as_json: bool
) -> None:
    """Take over pools, operators and workers of a PRB v2 lifecycle manager.

    PATH is its data folder or its local.db, which is only read.
    """

    def read() -> Sequence[DeclaredPool]:
        from .prb2 import find_files, read_prb2

        return read_prb2(*find_files(path, key))

    _apply(read, config, False, dry_run, True, as_json)


@click.command("prb3", epilog="Example: prbkit import prb3 commands.json --dry-run")
@click.argument("file", type=_file)
@_dry_run
@config_option
@json_option
def import_prb3(file: Path, dry_run: bool, config: Path | None, as_json: bool) -> None:
    """Take over pools, operators and workers from commands to PRB v3's POST /wm/config.

    FILE holds JSON lines or one JSON list; answers to GetAllPoolsWithWorkers are read too.
    """

    def read() -> Sequence[DeclaredPool]:
        from .prb3 import read_prb3

        return read_prb3(file.read_bytes(), str(file))

    _apply(read, config, False, dry_run, True, as_json)


@click.command("prb2-lifecycle", epilog="Example: prbkit export prb2-lifecycle local.db --key ID")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", type=_file, required=True, help="The PRB v2 manager's identity.")
@config_option
def export_prb2(file: Path, key: Path, config: Path | None) -> None:
    """Write a PRB v2 lifecycle manager's local.db, operators sealed under its identity.

    PRB v2 keeps operators as plain account exports, so only such ones can be written.
    """

    async def work(context: Context) -> None:
        from .prb2 import write_prb2

        write_prb2(file, key, await declare_inventory(await context.inventory(), secrets=True))

    _with_context(config, work)
    click.echo(f"written: {file}", err=True)


@click.command("prb3", epilog="Example: prbkit export prb3 commands.json")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--secrets", is_flag=True, help="With the operators' secrets, in clear.")
@config_option
def export_prb3(file: Path, secrets: bool, config: Path | None) -> None:
    """Write commands for PRB v3's POST /wm/config to FILE (which must not exist), one a line."""

    async def work(context: Context) -> None:
        from prbkit.errors import InventoryError

        from .prb3 import write_prb3

        pools = await declare_inventory(await context.inventory(), secrets=secrets)
        text = write_prb3(pools, secrets=secrets)
        try:
            with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                out.write(text)
        except OSError as error:
            raise InventoryError(f"cannot be written: {error.strerror}", where=str(file)) from None

    _with_context(config, work)
    click.echo(f"written: {file}", err=True)


# --- how


async def plan_for(
    context: Context, inventory: Inventory, declared: Sequence[DeclaredPool], *, remove: bool
) -> Plan:
    """The difference of an inventory to a declaration, its operators opened to know accounts."""
    from .declare import make_plan

    pools = await inventory.pools()
    operators = await _changed_operators(context, inventory, declared, pools)
    workers = await inventory.workers()
    return make_plan(declared, pools, workers, operators=operators, remove=remove)


async def _changed_operators(
    context: Context, inventory: Inventory, declared: Sequence[DeclaredPool], pools: Sequence[Pool]
) -> dict[int, Operator]:
    from prbkit.errors import IdentityError, NotFound

    from .declare import Operator

    known = {pool.pid: pool for pool in pools}
    changed: dict[int, Operator] = {}
    for pool in declared:
        if pool.operator is None:
            continue
        if pool.pid in known:
            try:
                if await inventory.operator_uri(known[pool.pid]) == pool.operator:
                    continue
            except (NotFound, IdentityError):
                pass  # there is none, or one that nobody can open any more
        signer = await context.signer(pool.operator)
        changed[pool.pid] = Operator(signer.account, pool.operator)
    return changed


async def carry_out(inventory: Inventory, plan: Plan) -> None:
    """Make the changes of a plan, all or none."""
    from prbkit.interfaces import PoolSpec

    async with inventory.together():
        # A name may pass from one pool to another: those that lose theirs let go of it first.
        leaving = [ref for ref, _ in (*plan.pools_changed, *plan.pools_removed)]
        await inventory.update_pools([(ref, PoolSpec(name=f"~{ref.uuid}")) for ref in leaving])
        await inventory.create_pools(plan.pools_added)
        await inventory.update_pools(plan.pools_changed)
        await inventory.update_workers(plan.workers_removed)
        await inventory.update_workers(plan.workers_changed)
        await inventory.create_workers(plan.workers_added)
        await inventory.update_pools(plan.pools_removed)


async def declare_inventory(inventory: Inventory, *, secrets: bool) -> list[DeclaredPool]:
    """What an inventory holds, as a declaration of its own.

    :param secrets: whether operators are unsealed and told.
    """
    from .declare import DeclaredPool, DeclaredWorker

    declared = []
    async with inventory.together():
        workers = await inventory.workers()
        for pool in await inventory.pools():
            told = secrets and pool.operator is not None
            declared.append(
                DeclaredPool(
                    pid=pool.pid,
                    name=pool.name,
                    enabled=pool.enabled,
                    sync_only=pool.sync_only,
                    owner=pool.owner,
                    operator=await inventory.operator_uri(pool) if told else None,
                    workers=tuple(
                        DeclaredWorker(w.name, w.endpoint, w.stake, w.enabled, w.sync_only)
                        for w in workers
                        if w.pid == pool.pid
                    ),
                )
            )
    return declared


def _apply(
    read: Callable[[], Sequence[DeclaredPool]],
    config: Path | None,
    remove: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    async def work(context: Context) -> Plan:
        inventory = await context.inventory()
        plan = await plan_for(context, inventory, read(), remove=remove)
        if not as_json:
            _show(plan)
        if dry_run or not plan.changes:
            return plan
        if (plan.pools_removed or plan.workers_removed) and not yes:
            gone = len(plan.pools_removed) + len(plan.workers_removed)
            click.confirm(f"Remove {gone} pools and workers?", abort=True, err=True)
        await carry_out(inventory, plan)
        return plan

    plan = _with_context(config, work)
    if as_json:
        done = not dry_run and bool(plan.changes)
        echo_json({"applied": done, "changes": [change.as_json() for change in plan.changes]})


def _show(plan: Plan) -> None:
    signs = {"add": "+", "change": "~", "remove": "-"}
    for change in plan.changes:
        click.echo(f"{signs[change.kind]} {change.what} {change.name}")
        for name, (old, new) in change.fields.items():
            if change.kind == "change":
                same = name == "operator" and old == new
                told = f"{new} (another secret of the same account)" if same else f"{old} → {new}"
                click.echo(f"    {name}: {told}")
            elif change.kind == "add" and new is not None:
                click.echo(f"    {name}: {new}")
    if not plan.changes:
        click.echo("nothing changes", err=True)


def _with_context(config: Path | None, work: Callable[[Context], Any]) -> Any:
    async def inside() -> Any:
        async with offline(load_settings(config)) as context:
            return await work(context)

    return run(inside())
