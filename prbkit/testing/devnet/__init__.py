"""The devnet: a relay chain and a parachain with everything a bridge can see.

::

    async with Devnet(DevnetConfig(history=100)) as net:
        ...  # net.relay_url, net.para_url
        await net.produce(5)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prbkit.testing.devnet.config import DevnetConfig
    from prbkit.testing.devnet.devnet import Devnet, Endpoint
    from prbkit.testing.devnet.faults import Faults
    from prbkit.testing.devnet.run import run_devnet

__all__ = ["Devnet", "DevnetConfig", "Endpoint", "Faults", "run_devnet"]

_HOMES = {
    "Devnet": "devnet",
    "DevnetConfig": "config",
    "Endpoint": "devnet",
    "Faults": "faults",
    "run_devnet": "run",
}


def __getattr__(name: str) -> Any:
    # Late, since the command line imports this package for its help.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
