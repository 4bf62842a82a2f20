"""Sphinx settings. Warnings are errors in CI (`make docs`)."""

from prbkit import __version__

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
