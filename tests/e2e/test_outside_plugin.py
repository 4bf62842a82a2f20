"""A plugin that was installed with pip is used by `serve` through one setting."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.farm import Farm
from tests.e2e.harness import EXAMPLES, prbkit

pytestmark = pytest.mark.e2e


def test_a_store_from_outside_serves_a_whole_farm(tmp_path: Path) -> None:
    # pip builds in the folder that it is given: a copy keeps the checkout clean.
    plugin = shutil.copytree(EXAMPLES / "plugins" / "prbkit-logstore", tmp_path / "plugin")
    site = tmp_path / "site"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--target", str(site), str(plugin)),
        ],
        check=True,
        timeout=200,
        cwd=tmp_path,
    )
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    listed = json.loads(prbkit("plugins", "--json", PYTHONPATH=path).stdout)
    (found,) = [row for row in listed["plugins"] if row["name"] == "logstore"]
    assert found["schemes"] == {"blob_store": ["logstore"]}
    assert found["distribution"] == "prbkit-logstore"

    with Farm(tmp_path, workers=1, PRBKIT_STORE="logstore:blobs.log", PYTHONPATH=path) as farm:
        farm.wait_until_active()
    assert (tmp_path / "data" / "data_provider" / "blobs.log").stat().st_size > 0
