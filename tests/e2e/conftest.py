"""Fixtures for tests of whole processes."""

from tests.plugins.conftest import redis_server

__all__ = ["redis_server"]
