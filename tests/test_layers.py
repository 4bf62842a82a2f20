"""The house stands as docs/architecture.md draws it: every import points down, none in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]

LAYERS = (
    {"_speedups", "errors"},
    {"_native"},
    {"scale", "light", "blobs", "wire", "identity", "settings", "prb2_env", "sqlite"},
    {"interfaces", "events", "jobs"},
    {"hookspecs", "testing", "status"},
    {"plugins", "context", "child", "bridge", "logs", "cli", "__main__"},
)
"""The packages and modules of `prbkit`, from the ground up."""
SIDE_BY_SIDE = {"scale", "light", "blobs", "wire", "identity", "settings"}
"""The domain: none of these knows another."""
HOOK_MODULES = "plugins/*/__init__.py"


def imports(file: Path, *, at_run_time: bool = True) -> Iterator[str]:
    """Absolute names of the modules that a file imports, those for type checking left out."""
    tree = ast.parse(file.read_text("utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(child for part in node.body for child in ast.walk(part))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not at_run_time:
            skipped.update(ast.walk(node))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if is_module(name) else node.module


def is_module(name: str) -> bool:
    path = REPO.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def modules(pattern: str) -> list[Path]:
    return sorted(REPO.glob(pattern))


def test_every_part_has_its_layer() -> None:
    parts = {
        path.stem if path.suffix == ".py" else path.name
        for path in (REPO / "prbkit").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__"}
    assert parts == set().union(*LAYERS)


@pytest.mark.parametrize("file", modules("prbkit/**/*.py"), ids=str)
def test_imports_point_down(file: Path) -> None:
    if file == REPO / "prbkit" / "__init__.py":
        return  # the lazy names of the embedding API
    own = file.relative_to(REPO / "prbkit").parts[0].removesuffix(".py")
    floor = next(i for i, layer in enumerate(LAYERS) if own in layer)
    for module in imports(file):
        assert not module.startswith("prbkit_plugins"), "prbkit never imports its plugins"
        if not module.startswith("prbkit."):
            continue
        other = part_of(module)
        if other == own or other.startswith("__"):
            continue
        layer = next(i for i, layer in enumerate(LAYERS) if other in layer)
        assert layer <= floor, f"{own} (layer {floor}) imports {other} (layer {layer})"
        assert not {own, other} <= SIDE_BY_SIDE, f"{own} knows {other}"


@pytest.mark.parametrize("file", modules("plugins/**/*.py"), ids=str)
def test_a_stock_plugin_knows_no_other_plugin(file: Path) -> None:
    for module in imports(file):
        assert not module.startswith("prbkit_plugins"), "import your own modules relatively"
        assert part_of(module) not in {"_speedups", "_native", "bridge", "context", "child"}, (
            f"{module} is no public API"
        )


@pytest.mark.parametrize("file", modules(HOOK_MODULES), ids=str)
def test_a_hook_module_imports_hookspecs_and_the_standard_library(file: Path) -> None:
    import sys

    for module in imports(file, at_run_time=False):
        root = module.split(".")[0]
        assert module == "prbkit.hookspecs" or root in sys.stdlib_module_names, module


def test_no_circle_at_import_time() -> None:
    graph: dict[str, set[str]] = {}
    for file in modules("prbkit/**/*.py"):
        parts = file.relative_to(REPO).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        graph[name] = {
            module
            for module in imports(file, at_run_time=False)
            if module.startswith("prbkit.") and module != name
        }
    TopologicalSorter(graph).prepare()
