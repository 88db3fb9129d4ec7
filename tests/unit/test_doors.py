"""Import rules that import-linter cannot say: it sees only the first word of an outside package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_ROOMS = ("ledger", "mover", "scanner", "scheduler", "sdk/src/blockferry", "service", "stores", "verifier")


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _importers(package: str) -> set[str]:
    return {
        str(path.relative_to(_ROOT))
        for room in _ROOMS
        for path in (_ROOT / room).rglob("*.py")
        if any(f"{name}.".startswith(f"{package}.") for name in _imports(path.read_text()))
    }


@pytest.mark.parametrize("package", ["opentelemetry.sdk", "opentelemetry.exporter"])
def test_only_telemetry_has_the_heavy_part_of_opentelemetry(package: str) -> None:
    assert _importers(package) == {"service/telemetry.py"}


@pytest.mark.parametrize(
    "package", ["pydantic", "cryptography", "orjson", "rpds", "polars", "tokenizers", "jsonschema"]
)
def test_no_room_imports_what_brings_a_rust_extension(package: str) -> None:
    assert _importers(package) == set()


def test_an_import_inside_a_function_is_seen() -> None:
    assert list(_imports("def f():\n    from a.b import c\n    import d.e as g")) == ["a.b.c", "d.e"]
