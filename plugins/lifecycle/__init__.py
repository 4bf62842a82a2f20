"""The stock plugin `lifecycle`: its hooks."""

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
    def lifecycle(context: ServiceContext) -> Service:
        from .manager import Manager

        return Manager(context)

    return {"lifecycle": lifecycle}


@hookimpl
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    def lifecycle() -> type[BaseModel]:
        from .settings import LifecycleSettings

        return LifecycleSettings

    return {"lifecycle": lifecycle}


@hookimpl
def prbkit_commands(group: click.Group) -> None:
    from .commands import add_commands

    add_commands(group)
