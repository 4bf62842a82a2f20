"""prbkit: a Runtime Bridge for Phala-style networks, as a framework.

`Bridge` and `Settings` are the embedding API; they are imported on first use, so that
``import prbkit`` and ``prbkit --help`` stay fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prbkit.bridge import Bridge
    from prbkit.settings import Settings

__all__ = ["Bridge", "Settings", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Bridge":
        from prbkit.bridge import Bridge

        return Bridge
    if name == "Settings":
        from prbkit.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
