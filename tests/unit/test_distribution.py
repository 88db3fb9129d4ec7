"""The environment: who owns our package names, and which packages must stay away."""

import importlib.metadata
import site
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_ROOMS = ("ledger", "mover", "scanner", "scheduler", "service", "stores", "verifier")


@pytest.fixture(scope="module")
def owners() -> dict[str, set[str]]:
    found = importlib.metadata.packages_distributions()
    return {name: set(distributions) for name, distributions in found.items()}


@pytest.mark.parametrize("room", _ROOMS)
def test_nobody_else_owns_a_room_name(room: str, owners: dict[str, set[str]]) -> None:
    assert owners.get(room, set()) == {"blockferry-services"}


def test_the_sdk_alone_owns_blockferry(owners: dict[str, set[str]]) -> None:
    assert owners.get("blockferry", {"blockferry"}) == {"blockferry"}
    assert importlib.metadata.version("blockferry")


def test_rooms_are_importable_from_any_folder_and_are_ours(tmp_path: Path) -> None:
    names = ", ".join(("blockferry", *_ROOMS))
    script = f"import {names}\nprint(*[module.__file__ for module in ({names})], sep='\\n')"
    run = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert all(Path(line).is_relative_to(_ROOT) for line in run.stdout.splitlines())


def test_every_package_of_the_tree_is_listed_in_pyproject() -> None:
    listed = set(tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        ".".join(path.parent.relative_to(_ROOT).parts)
        for room in _ROOMS
        for path in (_ROOT / room).rglob("__init__.py")
    }
    assert listed == found


@pytest.mark.parametrize("name", ["rpds-py", "referencing", "jsonschema-specifications"])
def test_packages_that_bring_rust_into_workers_are_absent(name: str) -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version(name)


def test_jsonschema_is_the_last_one_in_pure_python() -> None:
    assert importlib.metadata.version("jsonschema") == "4.17.3"


def _pins() -> dict[str, str]:
    lines = (_ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def test_every_installed_package_is_pinned_to_its_version() -> None:
    installed = {
        dist.name.lower().replace("_", "-"): dist.version
        # Of this environment only: Ray puts a folder of packages of its own into `sys.path` when it is imported.
        for dist in importlib.metadata.distributions(path=site.getsitepackages())
        if not dist.name.startswith("blockferry")
    }
    assert {name: version for name, version in installed.items() if _pins().get(name) != version} == {}


def test_constraints_name_no_host() -> None:
    assert not any(mark in (_ROOT / "constraints.txt").read_text() for mark in ("://", "@", "--"))
