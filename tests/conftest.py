"""Fixtures that all test packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"

# HYPOTHESIS_PROFILE picks one: `ci` repeats the same cases, `nightly` looks for new ones.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=_SLOW
)
settings.register_profile(
    "nightly", max_examples=3000, deadline=None, suppress_health_check=_SLOW, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real chain data (PRBKIT_TEST_DATA); skips without it, unless it is required."""
    path = Path(os.environ.get("PRBKIT_TEST_DATA", _DEFAULT))
    if not path.is_dir():
        if os.environ.get("PRBKIT_REQUIRE_DATA") == "1":
            pytest.fail(f"test data required, but {path} is missing")
        pytest.skip(f"no test data at {path}")
    return path
