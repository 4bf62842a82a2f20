"""What the contracts share."""

from __future__ import annotations

from typing import Literal, Protocol, Self, runtime_checkable

__all__ = ["Lifetime", "Role"]


Role = Literal["relay", "para"]
"""Which of the two chains: the relay chain, or the parachain that Phala's pallets live on."""


@runtime_checkable
class Lifetime(Protocol):
    """Something that is opened, used and closed."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
