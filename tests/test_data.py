"""Tests whose real data is missing skip with a reason, or fail where it is required."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
TESTS = """
import pytest

@pytest.fixture
def read(data_dir):
    return (data_dir / "missing-for-fixture.json").read_bytes()

def test_folder(data_dir):
    assert data_dir.is_dir()

def test_file(data_dir):
    (data_dir / "missing.json").read_bytes()

def test_file_of_a_fixture(read):
    pass

def test_other_file(tmp_path):
    (tmp_path / "no data").read_bytes()
"""


@pytest.mark.parametrize(
    ("folder", "required", "outcomes"),
    [
        ("nowhere", None, {"skipped": 3, "failed": 1}),
        ("nowhere", "1", {"errors": 3, "failed": 1}),
        ("here", None, {"passed": 1, "skipped": 2, "failed": 1}),
        ("here", "1", {"passed": 1, "errors": 1, "failed": 2}),
    ],
)
def test_missing_data(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    required: str | None,
    outcomes: dict[str, int],
) -> None:
    pytester.mkdir("here")
    monkeypatch.setenv("PRBKIT_TEST_DATA", str(pytester.path / folder))
    monkeypatch.delenv("PRBKIT_REQUIRE_DATA", raising=False)
    if required:
        monkeypatch.setenv("PRBKIT_REQUIRE_DATA", required)
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-rA", "-p", "no:cacheprovider")
    found = result.parseoutcomes()
    assert {name: found.get(name.removesuffix("s")) or found.get(name) for name in outcomes} == (
        outcomes
    )
    if required:
        assert "test data required, but" in result.stdout.str()
    else:
        assert "no test data at" in result.stdout.str()
