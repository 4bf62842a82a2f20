"""Messages of pRuntime's API; pruntime.pyi tells their types."""

from prbkit.wire import _pool

globals().update(_pool.names_in("pruntime_rpc", "google.protobuf"))

__all__ = sorted(_pool.names_in("pruntime_rpc", "google.protobuf"))
