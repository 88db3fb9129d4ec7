"""Runs the scanner: `python -m scanner --listen HOST:PORT`."""

from __future__ import annotations

import argparse
import asyncio
import gc

from scanner.api import register
from service.server import serve

NEW_OBJECTS = 20_000  # so many more before the collector looks: some pages of both listings


def spare_collections() -> None:
    """Has the collector of garbage look less often, and not at what is loaded by now, which stays: either costs a scan
    up to 1 us an entry (`bench/unchanged.py`), and its rows hold no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m scanner", description="Finds what differs between two locations.")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where to listen; port 0 takes a free one")
    spare_collections()
    asyncio.run(serve("scanner", parser.parse_args().listen, register))


if __name__ == "__main__":
    main()
