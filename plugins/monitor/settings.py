"""The section ``[monitor]`` of the settings."""

from __future__ import annotations

from pydantic import Field, SecretStr

from prbkit.settings import Section

__all__ = ["MonitorSettings"]


class MonitorSettings(Section):
    """Where the monitor listens, and who may change something through it."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback opens the page to others."""
    port: int = Field(default=3000, ge=0, le=65535)
    """0 is any free port (it is logged)."""
    token: SecretStr | None = None
    """What changes must bring as ``Authorization: Bearer …``; without one, a token is made on the
    first start and kept in ``monitor.token`` in the data folder."""
    hosts: tuple[str, ...] = ()
    """Further names that browsers may reach it by (the ``Host`` header); loopback's always may."""
    refresh: float = Field(default=1.0, gt=0)
    """Seconds for which an answer of the peers is used again."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds that a proxied call may take."""
