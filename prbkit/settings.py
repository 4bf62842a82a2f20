"""One validated settings tree: a TOML file, PRBKIT_* variables, and the PHALA_* names of PRB v2.

Later sources win: defaults, the file, PRB v2's variables, PRBKIT_* variables. A PRBKIT_ variable
names a key with ``__`` between the levels (``PRBKIT_RELAY__ENDPOINTS=["ws://…"]``); lists and
tables are JSON. Tables that are not fields here are sections of plugins: they are validated by
the models that the plugins bring (`Settings.bind_sections`).

An error names file (or variable), key, what was found and what is allowed.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
)

from prbkit import prb2_env
from prbkit.errors import ConfigError

__all__ = ["ChainSettings", "Endpoint", "Section", "Settings"]

PREFIX = "PRBKIT_"
NOT_SETTINGS = frozenset({"PRBKIT_DEBUG", "PRBKIT_CFLAGS", "PRBKIT_LDFLAGS", "PRBKIT_CONFIG"})
"""Variables of the prefix that the build, the tests and the command line read."""


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme in ("ws", "wss", "http", "https") and not parts.hostname:
        raise ValueError("a URL with a host, such as ws://127.0.0.1:9944")
    if not parts.scheme:
        raise ValueError("a URL, such as ws://127.0.0.1:9944")
    return url


def _genesis_hash(text: str) -> str:
    if re.fullmatch("0x[0-9a-fA-F]{64}", text) is None:
        raise ValueError("it must be 0x and 64 hex digits")
    return text


Endpoint = Annotated[str, AfterValidator(_endpoint)]
"""URL of a chain's endpoint; a chain source plugin must claim its scheme."""
GenesisHash = Annotated[str, AfterValidator(_genesis_hash)]
"""Hash of a chain's block 0 as ``0x`` hex."""


class Section(BaseModel):
    """Base of settings tables: unknown keys are refused, values are final."""

    model_config = ConfigDict(extra="forbid", frozen=True)


DEEPEST = 32
"""Tables and lists within each other."""


class ChainSettings(Section):
    """One of the two chains."""

    endpoints: tuple[Endpoint, ...] = ()
    """In order of preference; all of the same scheme family."""
    genesis_hash: GenesisHash | None = None
    """Refuse endpoints of any other chain."""


class Settings(BaseModel):
    """What the operator set. Frozen; `section` gives the tables of plugins."""

    model_config = ConfigDict(extra="allow", frozen=True)

    services: tuple[str, ...] = ("data_provider", "lifecycle", "trader", "monitor")
    """The services that this process runs."""
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("prbkit")))
    """Where everything is kept; relative paths in URLs are relative to it."""
    namespace: str = Field(default="default", min_length=1)
    """Bridge identity: only processes of the same name talk to each other."""
    identity: Path = Path("identity.pem")
    """The RSA key that makes the peer id and seals secrets; relative to `data_dir`."""
    sealing_key: Path | None = None
    """The RSA key that seals the inventory's secrets instead, where processes share one."""
    relay: ChainSettings = ChainSettings()
    para: ChainSettings = ChainSettings()
    store: str = "lmdb:blobs"
    transport: str = "zmq+tcp://127.0.0.1:18888"
    local_transport: str = "zmq+tcp://127.0.0.1:0"
    """Where the child processes of this one listen."""
    boot_nodes: tuple[str, ...] = ()
    """Addresses of other processes of this bridge."""
    queue: str = "sqlite:queue.db"
    inventory: str = "sqlite:inventory.db"
    prefer: Mapping[str, str] = Field(default_factory=dict)
    """Scheme to plugin name, where two plugins claim one scheme."""
    plugin_files: tuple[Path, ...] = ()
    """Python files with hooks, loaded as plugins; relative to the settings file."""
    disabled_plugins: tuple[str, ...] = ()
    log_level: Literal["trace", "debug", "info", "warning", "error", "critical"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    development: bool = False

    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)
    _origin: str = PrivateAttr(default="settings")
    _sections: dict[str, BaseModel] = PrivateAttr(default_factory=dict)
    _notes: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
    ) -> Self:
        """Read settings from a TOML file (None: from the environment alone).

        Raises `ConfigError` for an unreadable file and for values that do not fit. Sections of
        plugins are checked by `bind_sections`.
        """
        environ = os.environ if environ is None else environ
        origin = "environment"
        tree: dict[str, Any] = {}
        if path is not None:
            file = Path(path)
            origin = str(file)
            tree = _read_toml(file)
            _anchor_paths(tree, file)
        old, notes = prb2_env.read(environ)
        _merge(tree, old)
        _merge(tree, _from_environment(environ))
        settings = cls.from_tree(tree, origin=origin)
        settings._notes.extend(notes)
        return settings

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any], *, origin: str = "settings") -> Self:
        """Validate a plain tree, as TOML or JSON gives it. Raises `ConfigError`."""
        raw = _plain(tree, (), origin)
        try:
            settings = cls.model_validate(dict(tree))
        except ValidationError as error:
            raise _explain(error, origin, ()) from None
        settings._raw = raw
        settings._origin = origin
        return settings

    def tree(self) -> dict[str, Any]:
        """The plain tree these settings were made from, secrets included: never log it."""
        return json.loads(json.dumps(self._raw))  # type: ignore[no-any-return]

    def replace(self, **changes: Any) -> Self:
        """New settings with top-level keys changed; a section that changes must be bound again."""
        tree = self.tree()
        _merge(tree, changes)
        made = type(self).from_tree(tree, origin=self._origin)
        kept = {name: table for name, table in self._sections.items() if name not in changes}
        made._sections.update(kept)
        return made

    @property
    def notes(self) -> Sequence[str]:
        """What the operator should know of how the settings were read (old names, say)."""
        return self._notes

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Show what no secret stands in: sections hold tokens, and URLs may hold passwords."""
        yield "services", self.services
        yield "data_dir", str(self.data_dir)

    def bind_sections(self, models: Mapping[str, Callable[[], type[BaseModel]]]) -> None:
        """Validate the tables that are not fields of this class, with their plugins' models.

        Raises `ConfigError` for a table or key that nobody knows.
        """
        extra = self.model_extra or {}
        known = sorted([*type(self).model_fields, *models])
        for name in extra:
            if name not in models:
                raise ConfigError(
                    f"unknown setting {name!r}{_close_to(name, known)}",
                    where=self._origin,
                    hint=f"allowed are: {', '.join(known)}",
                )
        for name, load_model in models.items():
            try:
                self._sections[name] = load_model().model_validate(extra.get(name, {}))
            except ValidationError as error:
                raise _explain(error, self._origin, (name,)) from None

    def section(self, name: str) -> Any:
        """The validated table of a plugin. Raises `ConfigError` where no plugin brought it."""
        try:
            return self._sections[name]
        except KeyError:
            raise ConfigError(f"no plugin brings the settings section {name!r}") from None

    def data_path(self, path: str | os.PathLike[str]) -> Path:
        """A path out of a URL or setting, relative ones under `data_dir`."""
        return self.data_dir / _expand(path)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "there is no such settings file", where=str(file), hint="give one with -c FILE"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read the settings: {error.strerror}", where=str(file)) from None
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, and numbers of 4300 digits
        raise ConfigError(f"not TOML: {error}", where=str(file)) from None


def _anchor_paths(tree: dict[str, Any], file: Path) -> None:
    """Make the paths that the file itself gives relative to the file's folder."""
    folder = file.resolve().parent
    if isinstance(path := tree.get("data_dir"), str):
        tree["data_dir"] = str(folder / _expand(path, f"{file}, data_dir"))
    if isinstance(files := tree.get("plugin_files"), list):
        tree["plugin_files"] = [str(folder / f) if isinstance(f, str) else f for f in files]


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in NOT_SETTINGS or name.startswith("PRBKIT_TEST"):
            continue
        if name == "PRBKIT_REQUIRE_DATA":
            continue
        *tables, key = name[len(PREFIX) :].lower().split("__")
        value: Any = text
        if text[:1] in "[{":
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"not JSON: {error}", where=name) from None
        for table in reversed(tables):
            key, value = table, {key: value}
        _merge(tree, {key: value})
    return tree


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(old := into.get(key), dict):
            _merge(old, value)
        else:
            into[key] = value


def _expand(path: str | os.PathLike[str], where: str | None = None) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"no home folder is known for {os.fspath(path)!r}",
            where=where,
            hint="write the path in full",
        ) from None


def _plain(value: object, place: tuple[str, ...], origin: str) -> Any:
    """Copy a tree, of what JSON can hold alone, so that child processes get the same."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, str | bool | float):
        return value
    if len(place) > DEEPEST:
        raise ConfigError(f"{'.'.join(place[:3])}…: tables nest too deep", where=origin)
    if isinstance(value, Mapping):
        return {str(k): _plain(v, (*place, str(k)), origin) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, (*place, f"[{i}]"), origin) for i, v in enumerate(value)]
    where = ".".join(place).replace(".[", "[")
    if not isinstance(value, int):
        raise ConfigError(
            f"{where}: expected text, a number, a list or a table; found a {type(value).__name__}",
            where=origin,
        )
    if value.bit_length() > 128:
        raise ConfigError(
            f"{where}: expected a number; found one of {value.bit_length()} bits", where=origin
        )
    return value


def _explain(error: ValidationError, origin: str, outer: tuple[str, ...]) -> ConfigError:
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        place = ".".join(
            str(part) if isinstance(part, str) else f"[{part}]" for part in (*outer, *item["loc"])
        ).replace(".[", "[")
        found = item["input"]
        if item["type"] == "extra_forbidden":
            lines.append(f"{place}: unknown key")
        elif item["type"] == "missing":
            lines.append(f"{place}: missing, and it is needed")
        else:
            allowed = _ALLOWED.get(item["type"]) or item["msg"].removeprefix("Value error, ")
            shown = "a secret" if _is_secret(place) else repr(found)
            lines.append(f"{place}: {allowed}; found {shown[:200]}")
    return ConfigError("; ".join(lines), where=origin, hint="see docs/settings.md")


_ALLOWED = {
    "tuple_type": "it must be a list",
    "dict_type": "it must be a table",
    "model_type": "it must be a table",
    "string_type": "it must be a text",
}
"""What pydantic says in Python's words, in TOML's."""


def _is_secret(place: str) -> bool:
    return any(word in place.lower() for word in ("secret", "key", "psk", "token", "password"))


def _close_to(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""
