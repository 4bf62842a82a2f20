"""Messages of PRB v2's Walkie protocol, and prbkit's own; walkie.pyi tells their types."""

from prbkit.wire import _pool

globals().update(_pool.names_in("prb", "prbkit"))

__all__ = sorted(_pool.names_in("prb", "prbkit"))
