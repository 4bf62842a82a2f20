"""The stock plugin `monitor`: a web page, PRB v2's HTTP proxy, and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from prbkit.interfaces import Service, ServiceContext


def _service(context: ServiceContext) -> Service:
    from .service import Monitor

    return Monitor(context)


@hookimpl
def prbkit_services() -> Mapping[str, Callable[[ServiceContext], Service]]:
    """Bring the service ``monitor``."""
    return {"monitor": _service}


def _model() -> type[BaseModel]:
    from .settings import MonitorSettings

    return MonitorSettings


@hookimpl
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    """Bring the section ``[monitor]``."""
    return {"monitor": _model}
