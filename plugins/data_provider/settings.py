"""The section ``[data_provider]`` of the settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from prbkit.settings import Section

__all__ = ["DataProviderSettings"]


class DataProviderSettings(Section):
    """How chains are followed. Times are seconds, sizes bytes."""

    verify_state: Literal["auto", "off", "sampled", "full"] = Field(
        "auto",
        description="check storage changes: full, of each block against its header's state root, "
        "with the whole state in memory and in the store; sampled, of one block of each para_batch "
        "by a read proof; off, not at all; auto, full while the state is below "
        "verify_state_limit and sampled beyond",
    )
    verify_state_limit: int = Field(
        256 << 20, ge=0, description="bytes of keys and values that `auto` keeps in memory"
    )
    para_batch: int = Field(
        200, ge=1, le=5000, description="parachain blocks fetched, verified and committed at once"
    )
    relay_scan: int = Field(
        2048,
        ge=16,
        le=100_000,
        description="relay headers fetched at once where the node has no finality proofs",
    )
    fetch_ahead: int = Field(4, ge=1, le=64, description="ranges fetched before they are verified")
    serve_limit: int = Field(
        48 << 20, ge=1 << 20, description="biggest blob that is made out of several documents"
    )
    serve_keep: int = Field(
        64 << 20, ge=0, description="bytes of served blobs kept in memory for the next who asks"
    )
    retry_first: float = Field(1.0, gt=0, description="first pause after an error")
    retry_most: float = Field(60.0, gt=0, description="longest pause; each error doubles it")
    distrust: float = Field(
        60.0, gt=0, description="time for which an endpoint that gave false data is not asked"
    )
