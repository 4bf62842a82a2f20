"""``prbkit worker restart | refresh | kick``: orders to the lifecycle managers that are running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from prbkit.cli.common import (
    config_option,
    connect,
    echo_json,
    json_option,
    load_settings,
    run,
    subgroup,
)

__all__ = ["add_commands"]


def add_commands(group: click.Group) -> None:
    """Add to the group ``worker``, which the inventory's plugin may have made before."""
    workers = subgroup(group, "worker", "Work on the workers that the bridge keeps computing.")
    for command in (restart, refresh, kick):
        workers.add_command(command)


def _arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    workers = click.argument("workers", nargs=-1, required=True)
    return workers(json_option(config_option(function)))


@click.command(epilog="Example: prbkit worker restart w1 w2")
@_arguments
def restart(workers: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Begin again with WORKERS, named by name or uuid, from where their pRuntime is."""
    _order("RestartWorker", workers, config, as_json)


@click.command(epilog="Example: prbkit worker refresh w1")
@_arguments
def refresh(workers: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Begin again with WORKERS and register them with a fresh attestation."""
    _order("RefreshRaAndRestartWorker", workers, config, as_json)


@click.command(epilog="Example: prbkit worker kick w1")
@_arguments
def kick(workers: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Make the pRuntime of WORKERS exit, and leave them alone until they are restarted."""
    _order("KickWorker", workers, config, as_json)


def _order(method: str, names: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    from prbkit.errors import NotFound
    from prbkit.wire import METHODS, to_json

    async def work() -> list[dict[str, Any]]:
        async with connect(load_settings(config)) as transport:
            peers = sorted({peer.peer_id for peer in transport.peers("lifecycle")})
            if not peers:
                raise NotFound(
                    "no lifecycle manager of this bridge is running",
                    hint="start `prbkit serve` with the service lifecycle",
                )
            missing, orders = set(names), []
            for peer_id in peers:
                request = METHODS["ListWorker"].request()
                listed: Any = await transport.call(peer_id, "ListWorker", request)
                meant = [w for w in listed.workers if {w.name, w.uuid} & set(names)]
                missing -= {each for worker in meant for each in (worker.name, worker.uuid)}
                if meant:
                    orders.append((peer_id, [worker.uuid for worker in meant]))
            if missing:
                raise NotFound(
                    f"no worker is called {', '.join(sorted(missing))}; nothing was done",
                    hint="see prbkit worker list",
                )
            done: list[dict[str, Any]] = []
            for peer_id, ids in orders:
                order = METHODS[method].request(ids=ids)
                answer: Any = await transport.call(peer_id, method, order, timeout=30.0)
                done.extend(to_json(state) for state in answer.worker_states)
            return done

    states = run(work())
    if as_json:
        echo_json({"workers": states})
        return
    for state in states:
        click.echo(f"{state['worker']['name']}: {state['status']} {state['lastMessage']}".rstrip())
