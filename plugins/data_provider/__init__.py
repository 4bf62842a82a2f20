"""The stock plugin `data_provider`: follows both chains, proves what it reads, serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    import click
    from pydantic import BaseModel

    from prbkit.interfaces import Service, ServiceContext


@hookimpl
def prbkit_services() -> Mapping[str, Callable[[ServiceContext], Service]]:
    def make(context: ServiceContext) -> Service:
        from .service import DataProvider

        return DataProvider(context)

    return {"data_provider": make}


@hookimpl
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    def model() -> type[BaseModel]:
        from .settings import DataProviderSettings

        return DataProviderSettings

    return {"data_provider": model}


@hookimpl
def prbkit_commands(group: click.Group) -> None:
    from .commands import add_commands

    add_commands(group)
