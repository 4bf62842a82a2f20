"""The section ``[alerts]`` of the settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from prbkit.settings import Section

__all__ = ["AlertsSettings"]


class AlertsSettings(Section):
    """Who is told; one of the two, or both."""

    webhook: SecretStr | None = None
    """URL that gets a POST of JSON; it may hold a token, and is never shown."""
    webhook_format: Literal["generic", "prb3"] = "generic"
    """`generic` tells alarms, `prb3` each change of a worker as PRB v3 told its webhook in 2023."""
    command: tuple[str, ...] = ()
    """Program and arguments; it is run once for each alarm, with the generic JSON on stdin."""
    all_changes: bool = False
    """Tell each change of a worker's state in the generic form too."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds that the webhook or the program may take."""
    attempts: int = Field(default=3, ge=1, le=20)
    """How often one alarm is tried before it is given up and logged."""
    retry_first: float = Field(default=1.0, gt=0)
    """Seconds before the second attempt, doubled each time."""
