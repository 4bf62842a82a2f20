"""Sphinx settings. Warnings are errors in CI (`make docs`)."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

from prbkit import __version__
from prbkit.plugins import Plugins

project = "prbkit"
author = "the prbkit authors"
copyright = "the prbkit authors"  # noqa: A001 - Sphinx's name
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"prbkit {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}
# Our docstrings use single backquotes for names; that is code here.
default_role = "code"


def settings_table(name: str, model: type[BaseModel]) -> str:
    """The fields of a plugin's settings section as a Markdown table, from the code."""
    told = ModuleAnalyzer.for_module(model.__module__).find_attr_docs()
    lines = [f"## `[{name}]`", "", (model.__doc__ or "").strip(), ""]
    lines += ["| key | default | meaning |", "| --- | --- | --- |"]
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "none" if default in (None, (), PydanticUndefined) else f"`{_toml(default)}`"
        meaning = field.description or " ".join(told.get((model.__qualname__, key), ()))
        meaning = meaning.replace("|", "\\|").strip()
        lines.append(f"| `{key}` | {shown} | {meaning.replace('``', '`')} |")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return "…" if isinstance(value, SecretStr) else str(value)


def fill_settings(app: Sphinx, document: str, source: list[str]) -> None:
    """Put the plugins' sections where a page says ``<!-- settings of NAME -->``."""
    models = Plugins().settings()
    source[0] = re.sub(
        r"<!-- settings of (\w+) -->",
        lambda marker: settings_table(marker[1], models[marker[1]]()),
        source[0],
    )


def setup(app: Sphinx) -> None:
    app.connect("source-read", fill_settings)
