"""The contracts behind the hooks: what a chain source, a store, a transport, … must do.

A plugin implements one of these protocols (structurally: no base class is needed) and hands an
instance back from its factory hook (`prbkit.hookspecs`). `prbkit.testing.contracts` holds a test
suite for each. Objects with a life are async context managers with explicit `open` and `close`;
`close` may be called twice. Hashes, keys and accounts are raw bytes everywhere; heights are block
numbers; durations are seconds; stakes are base units (10^12 to a PHA).
"""

from prbkit.interfaces.base import Lifetime, Role
from prbkit.interfaces.chain import (
    Block,
    ChainInfo,
    ChainSource,
    EndpointHealth,
    FinalityProof,
    Head,
    RuntimeVersion,
)
from prbkit.interfaces.inventory import Inventory, Pool, PoolSpec, Ref, Signer, Worker, WorkerSpec
from prbkit.interfaces.service import Event, Service, ServiceContext
from prbkit.interfaces.store import BlobStore
from prbkit.interfaces.trade import (
    JobError,
    JobRecord,
    JobState,
    OnceCall,
    TradeAction,
    TradeJob,
    TradeQueue,
)
from prbkit.interfaces.transport import Caller, Peer, PeerRole, Transport

__all__ = [
    "BlobStore",
    "Block",
    "Caller",
    "ChainInfo",
    "ChainSource",
    "EndpointHealth",
    "Event",
    "FinalityProof",
    "Head",
    "Inventory",
    "JobError",
    "JobRecord",
    "JobState",
    "Lifetime",
    "OnceCall",
    "Peer",
    "PeerRole",
    "Pool",
    "PoolSpec",
    "Ref",
    "Role",
    "RuntimeVersion",
    "Service",
    "ServiceContext",
    "Signer",
    "TradeAction",
    "TradeJob",
    "TradeQueue",
    "Transport",
    "Worker",
    "WorkerSpec",
]
