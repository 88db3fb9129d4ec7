"""Runs the scanner: `python -m scanner --listen HOST:PORT`."""

from __future__ import annotations

import argparse
import asyncio

from scanner.api import register
from service.server import serve


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m scanner", description="Finds what differs between two locations.")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where to listen; port 0 takes a free one")
    asyncio.run(serve("scanner", parser.parse_args().listen, register))


if __name__ == "__main__":
    main()
