"""Fixtures that all test packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real chain data (PRBKIT_TEST_DATA); skips without it, unless it is required."""
    path = Path(os.environ.get("PRBKIT_TEST_DATA", _DEFAULT))
    if not path.is_dir():
        if os.environ.get("PRBKIT_REQUIRE_DATA") == "1":
            pytest.fail(f"test data required, but {path} is missing")
        pytest.skip(f"no test data at {path}")
    return path
