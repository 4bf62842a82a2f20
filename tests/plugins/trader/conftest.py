"""Fixtures of the trader's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from prbkit.scale import Metadata
from prbkit_plugins.trader import intake, observation, patience


@pytest.fixture(scope="module")
def md(data_dir: Path) -> Metadata:
    md = Metadata.parse((data_dir / "metadata/rhala_1241_v14.scale").read_bytes())
    md.prepare()
    return md


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE", 0.005)
    monkeypatch.setattr(intake, "WAIT", 0.05)
    monkeypatch.setattr(observation, "BEST", 0.002)
