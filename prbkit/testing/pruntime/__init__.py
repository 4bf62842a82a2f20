"""A simulator of pRuntime, exactly as strict as the real one's light client.

`Core` is the worker itself, without I/O; `Server` speaks both of its HTTP APIs. What the real one
refuses, this one refuses: header chains, justifications, set changes, para head proofs, state
roots. It makes real sr25519 signatures and the messages of a worker's life.
"""

from prbkit.testing.pruntime.config import Faults, PRuntimeConfig
from prbkit.testing.pruntime.core import Core, Refused
from prbkit.testing.pruntime.server import Server

__all__ = ["Core", "Faults", "PRuntimeConfig", "Refused", "Server"]
