"""Runs inside the peers' own environment: bt-decode and cyscale over the benchmarks' inputs.

Reads {"case", "count"} a line, answers {"seconds" of CPU, "result", "version"}. It imports nothing
of prbkit, which isn't installed there.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
METADATA = (FOLDER / "metadata.scale").read_bytes()
EVENTS = (FOLDER / "events.scale").read_bytes()
INPUTS = json.loads((FOLDER / "inputs.json").read_text())
EVENTS_TYPE = f"scale_info::{INPUTS['events_type']}"


def compact(value: int) -> bytes:
    return (value << 2 | 2).to_bytes(4, "little")


# --- bt-decode


def bt_metadata() -> Any:
    import bt_decode

    wrapped = b"\x01" + compact(len(METADATA)) + METADATA
    metadata = bt_decode.MetadataV15.decode_from_metadata_option(wrapped)
    return bt_decode.PortableRegistry.from_metadata_v15(metadata)


@cache
def bt_registry() -> Any:
    return bt_metadata()


def bt_decode_events() -> Any:
    import bt_decode

    return bt_decode.decode(EVENTS_TYPE, bt_registry(), EVENTS)


# --- cyscale, whose import name is scalecodec


def cy_metadata() -> Any:
    from scalecodec.base import RuntimeConfigurationObject, ScaleBytes
    from scalecodec.type_registry import load_type_registry_preset

    config = RuntimeConfigurationObject(ss58_format=0)
    config.update_type_registry(load_type_registry_preset("core"))
    metadata = config.create_scale_object("MetadataVersioned", data=ScaleBytes(METADATA))
    metadata.decode()
    config.add_portable_registry(metadata)
    return config, metadata


@cache
def cy_config() -> Any:
    return cy_metadata()


def cy_decode_events() -> Any:
    from scalecodec.base import ScaleBytes

    config, metadata = cy_config()
    data = ScaleBytes(EVENTS)
    return config.create_scale_object(EVENTS_TYPE, data=data, metadata=metadata).decode()


def cy_encode_events() -> bytes:
    config, _ = cy_config()
    return bytes(config.create_scale_object(EVENTS_TYPE).encode(INPUTS["records"]).data)


def cy_encode_batch() -> bytes:
    config, metadata = cy_config()
    calls = [
        {
            "call_module": "Balances",
            "call_function": "transfer_keep_alive",
            "call_args": {"dest": dest, "value": value},
        }
        for dest, value in INPUTS["transfers"]
    ]
    batch = {
        "call_module": "Utility",
        "call_function": "force_batch",
        "call_args": {"calls": calls},
    }
    return bytes(config.create_scale_object("Call", metadata=metadata).encode(batch).data)


CASES: dict[str, tuple[str, Callable[[], Any]]] = {
    "bt_metadata": ("bt-decode", bt_metadata),
    "bt_decode_events": ("bt-decode", bt_decode_events),
    "cy_metadata": ("cyscale", cy_metadata),
    "cy_decode_events": ("cyscale", cy_decode_events),
    "cy_encode_events": ("cyscale", cy_encode_events),
    "cy_encode_batch": ("cyscale", cy_encode_batch),
}


def digest(result: Any) -> str:
    """A hash of bytes, the number of a list's items."""
    if isinstance(result, bytes):
        return hashlib.blake2b(result, digest_size=32).hexdigest()
    return str(len(result)) if isinstance(result, list | tuple) else ""


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        package, case = CASES[asked["case"]]
        case()
        start = time.process_time()
        for _ in range(asked["count"]):
            result = case()
        seconds = time.process_time() - start
        answer = {"seconds": seconds, "result": digest(result), "version": version(package)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
