"""Fixtures that all test packages share."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
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
    "nightly", max_examples=1500, deadline=None, suppress_health_check=_SLOW, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

pytest_plugins = ["pytester"]

_CASES = pytest.StashKey[int]()
_RAN = re.compile(r"(\d+) passing, (\d+) failing")


def _data_path() -> Path:
    return Path(os.environ.get("PRBKIT_TEST_DATA", _DEFAULT))


def _missing(what: Path) -> None:
    """Skip for data that is not there, or fail where it is required."""
    if os.environ.get("PRBKIT_REQUIRE_DATA") == "1":
        pytest.fail(f"test data required, but {what} is missing")
    pytest.skip(f"no test data at {what}")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real chain data (PRBKIT_TEST_DATA); skips without it, unless it is required."""
    path = _data_path()
    if not path.is_dir():
        _missing(path)
    return path


def _without_a_file() -> Generator[None, object, object]:
    try:
        return (yield)
    except FileNotFoundError as error:
        path = Path(str(error.filename))
        if not path.is_relative_to(_data_path()):
            raise
        return _missing(path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _without_a_file())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _without_a_file())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.when == "teardown":
        found = _RAN.findall(getattr(item, "hypothesis_statistics", ""))
        ran = sum(int(passing) + int(failing) for passing, failing in found)
        item.config.stash[_CASES] = item.config.stash.get(_CASES, 0) + ran
    return (yield)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if ran := config.stash.get(_CASES, 0):
        profile = settings.get_current_profile_name()
        terminalreporter.write_line(f"{ran:,} hypothesis cases ran (profile {profile})")
