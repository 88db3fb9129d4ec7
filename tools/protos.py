"""Generates the Python code of protos/ beside its packages, or (--check) tells which file is not fresh.

A proto package equals a Python package, so no import has to be rewritten. The generator is the pinned grpcio-tools:
its code runs with protobuf 6.31.1 up to 7.x.
"""

from __future__ import annotations

import filecmp
import re
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
# Root of the Python packages whose protos lie in the folder of this name.
TARGETS = {"blockferry": ROOT / "sdk" / "src", "service": ROOT, "stores": ROOT}


def generate(target: Path, folder: str) -> None:
    """Writes the code of every proto below `folder` into `target`. Exits when protoc refuses one."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / folder).rglob("*.proto"))
    well_known = str(Path(protoc.__file__).parent / "_proto")
    plugins = [f"--{plugin}_out={target}" for plugin in ("python", "pyi")]
    services = [source for source in sources if re.search(r"^service ", (PROTOS / source).read_text(), re.M)]
    arguments = ["protoc", f"-I{PROTOS}", f"-I{well_known}"]
    if protoc.main([*arguments, *plugins, *sources]):
        raise SystemExit(f"protoc failed for {folder}")
    if services and protoc.main([*arguments, f"--grpc_python_out={target}", *services]):
        raise SystemExit(f"protoc failed for the services of {folder}")


def stale_files() -> tuple[Path, ...]:
    """Returns the committed generated files that differ from what the protos give now, or are missing or left over."""
    stale: list[Path] = []
    for folder, target in TARGETS.items():
        with tempfile.TemporaryDirectory() as scratch:
            generate(Path(scratch), folder)
            made = {path.relative_to(scratch) for path in Path(scratch).rglob("*_pb2*.py*")}
            kept = {path.relative_to(target) for path in (target / folder).rglob("*_pb2*.py*") if path.suffix != ".pyc"}
            stale += [target / name for name in made ^ kept]
            stale += [
                target / name for name in made & kept if not filecmp.cmp(Path(scratch) / name, target / name, False)
            ]
    return tuple(sorted(stale))


def main() -> None:
    """Generates, or with `--check` compares and exits with 1 when something is stale."""
    if "--check" not in sys.argv[1:]:
        for folder, target in TARGETS.items():
            generate(target, folder)
        return
    if stale := stale_files():
        raise SystemExit("not fresh, run `make protos`:\n" + "\n".join(str(path) for path in stale))


if __name__ == "__main__":
    main()
