"""What `prbkit status` and the demo show a person: heights, workers and transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["rate_line", "render", "show", "show_plugins"]

COLORS = {
    "S_ACTIVE": "green",
    "S_PRE_ACTIVE": "cyan",
    "S_SYNCHED": "cyan",
    "S_SYNCHING": "yellow",
    "S_ERROR": "red",
    "S_KICKED": "red",
}


def render(status: Mapping[str, Any], note: str = "") -> RenderableType:
    """The object of `prbkit status --json` as tables, with a note below."""
    heights = Table(title="Chains", title_justify="left")
    heights.add_column("chain")
    for column in ("target", "fetched", "committed", "set", "changes"):
        heights.add_column(column, justify="right")
    heights.add_column("endpoint", overflow="fold")
    for chain in ("relay", "para"):
        told = status[chain]
        heights.add_row(
            chain,
            *(_figure(told.get(key)) for key in ("target", "fetched", "committed", "set_id")),
            _figure(told.get("set_changes")) if chain == "relay" else "",
            str(status.get(f"{chain}_rpc") or ""),
        )
    workers = Table(title="Workers", title_justify="left")
    for column in ("name", "state", "session", "relay", "para", "block", "message"):
        workers.add_column(
            column, justify="right" if column in ("relay", "para", "block") else "left"
        )
    for worker in status["workers"]:
        state = str(worker["state"])
        workers.add_row(
            str(worker["name"]),
            Text(state, style=COLORS.get(state, "")),
            str(worker.get("session_state") or ""),
            *(_figure(worker.get(key)) for key in ("next_relay", "next_para", "next_block")),
            str(worker.get("last_message") or ""),
        )
    jobs = status["jobs"]
    summary = Text(
        f"Transactions: {jobs['finalized']} finalized, {jobs['pending']} pending, "
        f"{jobs['failed']} failed"
    )
    return Group(heights, workers, summary, *([Text(note)] if note else ()))


def show(status: Mapping[str, Any]) -> None:
    Console().print(render(status))


def show_plugins(rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title="Plugins", title_justify="left")
    for column in ("name", "from", "schemes", "hooks"):
        table.add_column(column)
    for row in rows:
        schemes = ", ".join(f"{s}: ({kind})" for kind, ss in row["schemes"].items() for s in ss)
        hooks = ", ".join(hook.removeprefix("prbkit_") for hook in row["hooks"])
        table.add_row(row["name"], row["distribution"] or "", schemes, hooks)
    Console().print(table)


def rate_line(name: str, rate: float, unit: str, what: str) -> str:
    """A line of `prbkit bench`."""
    figure = f"{rate:,.0f}" if rate >= 100 else f"{rate:,.1f}"
    return f"{name:<15}{figure:>12} {unit:<13} {what}"


def _figure(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
