"""Fixtures that tests of several plugins share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.plugins.redis_queue.server import Server


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("redis-server") is None:
        reason = "redis-server is not installed"
        if os.environ.get("PRBKIT_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()
