"""Real metadata and records of real chains."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from prbkit.scale import Metadata

NAMES = (
    "khala_v14",
    "kusama_v14",
    "polkadot_1000001_v14",
    "polkadot_v15",
    "rhala_1241_v14",
)

Load = Callable[[str], Any]
LoadMetadata = Callable[[str], Metadata]


@pytest.fixture(scope="session")
def load(data_dir: Path) -> Load:
    """Read a JSON file of the data, gzipped or not."""

    @cache
    def read(name: str) -> Any:
        raw = (data_dir / name).read_bytes()
        return json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)

    return read


@pytest.fixture(scope="session")
def metadata(data_dir: Path) -> LoadMetadata:
    """Metadata by the name of its file, parsed once."""

    @cache
    def read(name: str) -> Metadata:
        return Metadata.decode((data_dir / "metadata" / f"{name}.scale").read_bytes())

    return read


@pytest.fixture(scope="session")
def khala(metadata: LoadMetadata) -> Metadata:
    return metadata("khala_v14")


@pytest.fixture(scope="session")
def rhala(metadata: LoadMetadata) -> Metadata:
    return metadata("rhala_1241_v14")


@pytest.fixture(scope="session")
def polkadot(metadata: LoadMetadata) -> Metadata:
    return metadata("polkadot_v15")


@pytest.fixture(scope="session", params=NAMES)
def any_metadata(request: pytest.FixtureRequest, metadata: LoadMetadata) -> Metadata:
    return metadata(request.param)
