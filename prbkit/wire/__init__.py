"""Protobuf messages of the bridge: Walkie between its processes, prpc to pRuntime.

`walkie` and `pruntime` hold the message classes, `METHODS` and `PRPC` say which call takes and
gives which, `to_json` and `from_json` speak PRB v2's JSON.
"""

from prbkit.wire.json import from_json, to_json
from prbkit.wire.methods import METHODS, PRPC, Empty, Method

__all__ = ["METHODS", "PRPC", "Empty", "Method", "from_json", "to_json"]
