"""The section ``[lifecycle]`` of the settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from prbkit.settings import Section

__all__ = ["LifecycleSettings"]


class LifecycleSettings(Section):
    """How workers are kept. Durations are seconds, sizes bytes."""

    config_mode: bool = False
    """Serve the inventory's calls alone; run no worker."""
    sync_only: bool = False
    """Bring every worker up to date and do nothing on chain."""
    runners: Literal["processes", "inline"] = "processes"
    """Run workers in child processes, or in the process of the manager itself."""
    runner_max_workers: int = Field(default=150, ge=1)
    """Most workers of one runner; there are as many runners as that takes."""

    rpc_timeout: float = Field(default=8.0, gt=0)
    """Deadline of a worker's answer to a small request."""
    blob_timeout: float = Field(default=150.0, gt=0)
    """Deadline of a request that carries blobs, and of fetching one."""
    checkpoint_timeout: float = Field(default=60.0, gt=0)
    """Before a worker is kicked it is asked for a checkpoint, and given so long to write it."""
    keep_alive: bool = True
    """Use connections to workers again."""
    keep_alive_timeout: float = Field(default=15.0, gt=0)
    """A connection that is idle for so long is closed."""
    poll_interval: float = Field(default=3.0, gt=0)
    """Between looks at a worker that has nothing to do."""
    retry_first: float = Field(default=2.0, gt=0)
    """The wait after a worker's first error."""
    retry_most: float = Field(default=120.0, gt=0)
    """The longest such wait; each further error doubles it."""

    stuck_after: float = Field(default=300.0, gt=0)
    """Without progress for so long, a worker is an alarm."""

    budget_bytes: int = Field(default=8 * 2**20, ge=2**16, le=90 * 2**20)
    """Most bytes of one request to a worker; halved for a worker that cannot take them."""
    cache_bytes: int = Field(default=256 * 2**20, ge=0)
    """Most bytes of the blobs that a runner keeps for its workers."""
    cache_blobs: int = Field(default=5000, ge=0)
    """Most of these blobs."""
    cache_age: float = Field(default=1800.0, gt=0)
    """For how long these blobs are kept."""
    relay_slack: int = Field(default=60, ge=0)
    """Relay blocks that a data provider may be behind and still count as caught up."""
    para_slack: int = Field(default=15, ge=0)
    """The same in parachain blocks."""

    attestation: Literal["auto", "ias", "dcap", "none"] = "auto"
    """What pRuntime attests itself with; `auto` asks it what it can."""
    pccs_url: str = "https://pccs.phala.network/sgx/certification/v4/"
    """Where the collateral of DCAP quotes comes from."""
    pccs_timeout: float = Field(default=10.0, gt=0)
    """Deadline of one answer of the PCCS."""
    pccs_cache_age: float = Field(default=3600.0, gt=0)
    """For how long fetched collateral is used again."""
    pccs_verify: bool = True
    """Check the PCCS's certificate; one of your own may have signed itself."""
    skip_ra: bool = False
    """Initialise pRuntime without remote attestation (development chains take that)."""
    min_score: int = Field(default=50, ge=0)
    """The benchmark's score that `enforce_min_score` asks for."""
    enforce_min_score: bool = False
    """Register again while the benchmark's score is below `min_score`."""
    egress_limit: int = Field(default=100, ge=1, le=1000)
    """Most messages of one worker in one trade job."""
    job_retry_first: float = Field(default=12.0, gt=0)
    """The wait before a failed trade job is tried once more."""
    job_retry_most: float = Field(default=600.0, gt=0)
    """The longest such wait; each further failure doubles it."""
