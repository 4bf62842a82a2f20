"""The stock plugin `trader`: makes the calls of jobs, each once, and tells what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import click
    from pydantic import BaseModel

    from prbkit.interfaces import Service, ServiceContext, TradeAction


def _trader(context: ServiceContext) -> Service:
    from .service import Trader

    return Trader(context)


def _settings() -> type[BaseModel]:
    from .config import TraderSettings

    return TraderSettings


@hookimpl
def prbkit_services() -> Mapping[str, Callable[[ServiceContext], Service]]:
    return {"trader": _trader}


@hookimpl
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    return {"trader": _settings}


@hookimpl
def prbkit_trade_actions() -> Mapping[str, TradeAction]:
    """Bring the stock actions; docs/architecture.md has their payloads."""
    from .actions import ACTIONS

    return ACTIONS


@hookimpl
def prbkit_commands(group: click.Group) -> None:
    from .cli import jobs

    group.add_command(jobs)
