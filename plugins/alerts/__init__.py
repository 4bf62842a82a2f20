"""The stock plugin `alerts`: tells a webhook or a program what is wrong with workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from prbkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from prbkit.interfaces import Service, ServiceContext


def _service(context: ServiceContext) -> Service:
    from .service import Alerts

    return Alerts(context)


@hookimpl
def prbkit_services() -> Mapping[str, Callable[[ServiceContext], Service]]:
    """Bring the service ``alerts``, for the process that runs the lifecycle manager."""
    return {"alerts": _service}


def _model() -> type[BaseModel]:
    from .settings import AlertsSettings

    return AlertsSettings


@hookimpl
def prbkit_settings() -> Mapping[str, Callable[[], type[BaseModel]]]:
    """Bring the section ``[alerts]``."""
    return {"alerts": _model}
