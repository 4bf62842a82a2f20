"""The environment variables of PRB v2, read into prbkit's settings.

Compose files written for PRB v2 set nothing but these, so that ``prbkit serve`` without a file
runs from them: ``PHALA_MODULE`` picks the service. What a variable has no meaning for any more is
accepted with a note that says what replaces it.

Source: protocol.md section 8's list, read off PRB v2's own ``src/utils/env.ts`` and
``src/lifecycle/env.ts``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from prbkit.errors import ConfigError

__all__ = ["read"]

MODULES = {"data_provider": "data_provider", "lifecycle": "lifecycle", "trade": "trader"}
LEVELS = {"warn": "warning", "fatal": "critical"}
_MULTIADDR = re.compile(
    r"^/(?:ip4|ip6|dns|dns4|dns6)/(?P<host>[^/]+)/tcp/(?P<port>\d+)(?:/(?:p2p|ipfs)/(?P<peer>\w+))?$"
)
_UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - what a boot node must not be


def _text(value: str) -> Any:
    return value


def _flag(value: str) -> Any:
    if value.lower() in ("true", "1", "yes", "on"):
        return True
    if value.lower() in ("false", "0", "no", "off", ""):
        return False
    raise ValueError("true or false")


def _number(value: str) -> Any:
    return int(value)


def _seconds(value: str) -> Any:
    return int(value) / 1000


def _mebibytes(value: str) -> Any:
    return int(value) * 2**20


def _endpoints(value: str) -> Any:
    return [url for url in (part.strip() for part in value.split(",")) if url]


def _level(value: str) -> Any:
    return LEVELS.get(value, value)


def _listen(value: str) -> Any:
    """The first TCP multiaddr, as a URL of the stock transport."""
    for address in value.split(","):
        if found := _MULTIADDR.match(address.strip()):
            host = found["host"]
            return f"zmq+tcp://{f'[{host}]' if ':' in host else host}:{found['port']}"
    raise ValueError("multiaddrs such as /ip4/0.0.0.0/tcp/18888")


def _boot_nodes(value: str) -> Any:
    """Multiaddrs as addresses of the stock transport; unspecified hosts mean none."""
    nodes = []
    for address in _endpoints(value):
        found = _MULTIADDR.match(address)
        if not found:
            raise ValueError("multiaddrs such as /ip4/10.0.0.2/tcp/18888")
        host = found["host"]
        if host in _UNSPECIFIED:
            continue
        url = f"zmq+tcp://{f'[{host}]' if ':' in host else host}:{found['port']}"
        nodes.append(f"{url}/p2p/{found['peer']}" if found["peer"] else url)
    return nodes


_Read = Callable[[str], Any]

TABLE: Mapping[str, tuple[str, _Read]] = {
    "PHALA_LOGGER_LEVEL": ("log_level", _level),
    "PHALA_CHAIN_ENDPOINT": ("para.endpoints", _endpoints),
    "PHALA_PARENT_CHAIN_ENDPOINT": ("relay.endpoints", _endpoints),
    "PHALA_WALKIE_LISTEN_ADDRESSES": ("transport", _listen),
    "PHALA_WALKIE_BOOT_NODES": ("boot_nodes", _boot_nodes),
    "PTP_BOOT_NODES": ("boot_nodes", _boot_nodes),
    "PHALA_BRIDGE_IDENTITY": ("namespace", _text),
    "PHALA_Q_REDIS_ENDPOINT": ("queue", _text),
    "PHALA_LIFECYCLE_BLOB_SERVER_SESSION_MAX_MEMORY": ("zmq.session_bytes", _mebibytes),
    "PHALA_RUNNER_MAX_WORKER_NUMBER": ("lifecycle.runner_max_workers", _number),
    "PHALA_LIFECYCLE_CONFIG_MODE": ("lifecycle.config_mode", _flag),
    "PHALA_LRU_CACHE_SIZE": ("lifecycle.cache_blobs", _number),
    "PHALA_LRU_CACHE_MAX_AGE": ("lifecycle.cache_age", _seconds),
    "PHALA_ENFORCE_MIN_BENCH_SCORE": ("lifecycle.enforce_min_score", _flag),
    "PHALA_MIN_BENCH_SCORE": ("lifecycle.min_score", _number),
    "PHALA_PRPC_REQUEST_TIMEOUT": ("lifecycle.rpc_timeout", _seconds),
    "PHALA_BLOB_REQUEST_TIMEOUT": ("lifecycle.blob_timeout", _seconds),
    "WORKER_KEEPALIVE_ENABLED": ("lifecycle.keep_alive", _flag),
    "WORKER_KEEPALIVE_TIMEOUT": ("lifecycle.keep_alive_timeout", _seconds),
    "PHALA_SYNC_ONLY": ("lifecycle.sync_only", _flag),
    "PHALA_DEV_SKIP_RA": ("lifecycle.skip_ra", _flag),
    "PHALA_WALKIE_DISABLE_MDNS_DISCOVERY": ("zmq.mdns", lambda value: not _flag(value)),
    "PHALA_PTP_IGNORE_BRIDGE_IDENTITY": ("zmq.ignore_namespace", _flag),
}
"""Variable → where it goes in the settings, and how its text is read."""

REPLACED: Mapping[str, str] = {
    "PHALA_DATA_PROVIDER_LOCAL_SERVER_PORT": "blobs are served on the transport",
    "PHALA_DATA_PROVIDER_LOCAL_SERVER": "blobs are served on the transport",
    "PHALA_DATA_PROVIDER_BLOB_MAX_RANGE_COUNT": "segments end at justified blocks",
    "PHALA_DATA_PROVIDER_BLOB_MAX_PARA_BLOCK_RANGE_COUNT": "requests are cut by bytes",
    "PHALA_ENABLE_PARA_BATCH_SYNC": "blocks are always dispatched in batches by bytes",
    "PHALA_LRU_CACHE_DBUG_LOG_INTERVAL": "cache figures are metrics",
    "PHALA_LIFECYCLE_BLOB_QUEUE_SIZE": "requests for one blob are coalesced",
    "PHALA_HOLD_ON_SUBPROCESS_EXIT": "a child process that dies is started again alone",
    "PRPC_QUEUE_SIZE": "a worker has one request in flight",
    "PRPC_SUBQUEUE_SIZE": "a worker has one request in flight",
    "DISABLE_LRU": "set lifecycle.cache_bytes",
    "USE_LEGACY_SYNC": "there is one way to sync",
    "PHALA_PARA_PARALLEL_BLOCKS": "requests are pipelined: substrate.window",
    "PHALA_PARENT_PARALLEL_BLOCKS": "requests are pipelined: substrate.window",
    "PHALA_TRUSTED_ORIGINS": "who may command is the allow list of the transport",
    "PHALA_EXTERNAL_LISTEN_ADDRESSES": "set transport",
    "DEBUG_LIFECYCLE_ALLOW_BLOB_FROM_SYNCHING_STATE": "workers sync from whatever is committed",
}
"""Variable → what replaces it, for the note."""


def read(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """PRB v2's variables as a settings tree, and notes on those that mean nothing any more.

    Raises `ConfigError` naming the variable, what was found and what is allowed.
    """
    tree: dict[str, Any] = {}
    notes: list[str] = []
    module = environ.get("PHALA_MODULE")
    if module is not None:
        if module not in MODULES:
            raise ConfigError(
                f"expected one of {', '.join(MODULES)}, found {module!r}", where="PHALA_MODULE"
            )
        services = [MODULES[module]]
        if module == "lifecycle" and _read_flag(environ, "USE_BUILT_IN_TRADER"):
            services.append("trader")
        tree["services"] = services
    for name, (path, convert) in TABLE.items():
        if (text := environ.get(name)) is None:
            continue
        try:
            value = convert(text)
        except (ValueError, OverflowError) as error:
            raise ConfigError(f"expected {error}, found {text[:200]!r}", where=name) from None
        _put(tree, path, value)
    if prefix := environ.get("PHALA_PEER_ID_PREFIX"):
        _put(tree, "identity", f"{prefix}/{(module or 'bridge').upper()}.pem")
    if folder := environ.get("PHALA_LOCAL_DB_PATH"):
        if module == "lifecycle":
            _put(tree, "inventory", f"sqlite:{folder}")
        else:
            _put(tree, "store", f"lmdb:{folder}")
    if environ.get("NODE_ENV") == "development":
        _put(tree, "development", True)
    for name, instead in REPLACED.items():
        if name in environ:
            notes.append(f"{name} is not needed any more: {instead}")
    notes.extend(
        f"{name} is not a variable that PRB v2 or prbkit knows: ignored"
        for name in environ
        if name.startswith("PHALA_") and not _known(name)
    )
    return tree, notes


def _known(name: str) -> bool:
    read_here = ("PHALA_MODULE", "PHALA_PEER_ID_PREFIX", "PHALA_LOCAL_DB_PATH")
    return name in TABLE or name in REPLACED or name in read_here


def _read_flag(environ: Mapping[str, str], name: str) -> bool:
    try:
        return bool(_flag(environ.get(name, "")))
    except ValueError as error:
        raise ConfigError(f"expected {error}, found {environ[name]!r}", where=name) from None


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *tables, key = path.split(".")
    for table in tables:
        tree = tree.setdefault(table, {})
    tree[key] = value
