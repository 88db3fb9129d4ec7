"""Runs the scanner: `python -m scanner --listen HOST:PORT`."""

from __future__ import annotations

import argparse
import asyncio
import gc

from scanner.api import register
from service.server import serve


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m scanner", description="Finds what differs between two locations.")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where to listen; port 0 takes a free one")
    # What is loaded by now stays. Collections that look through it again and again cost a scan 1 us an entry.
    gc.collect()
    gc.freeze()
    asyncio.run(serve("scanner", parser.parse_args().listen, register))


if __name__ == "__main__":
    main()
