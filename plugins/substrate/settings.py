"""The section ``[substrate]`` of the settings: deadlines, windows and limits of the RPC client."""

from __future__ import annotations

from pydantic import Field

from prbkit.settings import Section

__all__ = ["SubstrateSettings"]


class SubstrateSettings(Section):
    """How nodes are spoken to. Times are seconds, sizes bytes."""

    timeout: float = Field(30.0, gt=0, description="deadline of a call")
    long_timeout: float = Field(
        300.0, gt=0, description="deadline of calls that a node computes long for (state, changes)"
    )
    connect_timeout: float = Field(10.0, gt=0, description="deadline of connecting and greeting")
    window: int = Field(64, ge=1, le=4096, description="calls in flight on one connection")
    batch: int = Field(
        64,
        ge=1,
        le=1000,
        description="small calls sent in one JSON-RPC batch, where the node takes batches; "
        "1 sends each by itself",
    )
    max_message: int = Field(
        256 << 20, ge=1 << 16, le=1 << 30, description="biggest answer that is read"
    )
    ping_interval: float = Field(20.0, gt=0, description="time between WebSocket pings")
    retry_first: float = Field(
        0.5, gt=0, description="first pause before an endpoint is tried again"
    )
    retry_most: float = Field(30.0, gt=0, description="longest such pause; each failure doubles it")
    head_timeout: float = Field(
        90.0, gt=0, description="an endpoint that tells no new head for so long is passed over"
    )
    probe_interval: float = Field(
        30.0,
        ge=0,
        description="time between looks at what each endpoint can do and how far it has got; "
        "0: never",
    )
    max_lag: int = Field(
        50,
        ge=1,
        description="an endpoint that is so many blocks behind the best is asked after the others",
    )
    poll_interval: float = Field(3.0, gt=0, description="time between polls for heads over HTTP")
    changes_batch: int = Field(
        100, ge=1, le=10_000, description="blocks in one call of pha_getStorageChanges"
    )
    keys_page: int = Field(512, ge=1, le=1000, description="keys in one call of state_getKeysPaged")
