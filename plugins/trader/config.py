"""The settings section ``[trader]``; the constants are those of PRB v2 where it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from prbkit.settings import Section

__all__ = ["TraderSettings"]


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("must be a power of two")
    return value


class TraderSettings(Section):
    """How jobs are batched, signed and followed."""

    batch_calls: int = Field(default=100, ge=1, le=10_000)
    """Calls in one extrinsic. A job that makes more goes alone."""
    batch_age: float = Field(default=6.0, ge=0)
    """Seconds after which a job waits no longer for its batch to fill."""
    batch_quiet: float = Field(default=1.0, ge=0)
    """Seconds without a new job after which a batch goes early, where nothing of its account is
    on its way."""
    max_in_flight: int = Field(default=4, ge=1, le=64)
    """Extrinsics of one account that may be on their way at once."""
    era_period: Annotated[int, Field(ge=4, le=4096), AfterValidator(_power_of_two)] = 64
    """Blocks in which an extrinsic can be included. A job whose extrinsic the chain does not
    take waits so long before it is signed again."""
    tip: int = Field(default=0, ge=0)
    """In base units."""
    fee_cap: int | None = Field(default=None, ge=0)
    """Most that one extrinsic may cost, in base units, by the chain's estimate. A batch above it
    is cut; a job that alone is above it fails."""
    fee_caps: dict[int, int] = Field(default_factory=dict)
    """The same for single pools, by pid."""
    low_balance: int = Field(default=10**12, ge=0)
    """An alarm is raised where an account that signs has less than this free, in base units."""
    attempts: int = Field(default=5, ge=1)
    """How often a job is signed before it ends as expired."""
    resubmit_after: float = Field(default=12.0, gt=0)
    """Seconds after which signed bytes that no finalized block holds are broadcast again."""
    max_pending: int = Field(default=10_000, ge=1)
    """Jobs that the trader holds at most."""
    consumer: str = Field(default="trader", min_length=1)
    """This trader's name in the queue."""
    lease: float = Field(default=15.0, gt=0)
    """Seconds of the lease by which one trader at a time serves a queue; all have the same. So
    long nothing is signed after the former one has died, or Redis was started again."""
    journal: Path = Path("trader.db")
    """Where the journal is, relative to the data folder."""
