"""Reading the files of real data."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any


def load(path: Path) -> Any:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return json.load(file)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
