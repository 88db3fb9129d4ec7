"""`python -m scheduler`: runs the scheduler until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import sys

import grpc

from blockferry.errors import BlockferryError
from scheduler.api import register
from scheduler.bench import Limits
from scheduler.dispatch import Dispatcher
from scheduler.store import Desk, Store
from scheduler.workers import WorkerKind, Workers
from service import telemetry
from service.server import serve


def arguments(argv: list[str]) -> argparse.Namespace:
    """Returns the command line's options. Exits with 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="scheduler", description="Decides what is scanned, moved and verified, and when."
    )
    parser.add_argument(
        "--listen", default="127.0.0.1:7640", metavar="HOST:PORT", help="where the public API is served"
    )
    parser.add_argument("--database-url", required=True, metavar="URL", help="SQLAlchemy URL, sqlite or postgresql")
    parser.add_argument(
        "--ledger", required=True, metavar="URI", help="folder of the executions' ledgers, on the workers"
    )
    for kind in WorkerKind:
        parser.add_argument(f"--{kind}", required=True, metavar="HOST:PORT", help=f"where the {kind} is served")
    parser.add_argument("--moving-shards", type=int, default=2, metavar="N", help="shards that are moved at once")
    parser.add_argument("--verifying-shards", type=int, default=2, metavar="N", help="shards that are verified at once")
    return parser.parse_args(argv)


async def run(options: argparse.Namespace) -> None:
    """Serves until SIGTERM. Open executions go on when the scheduler is started again."""
    desk = Desk(Store(options.database_url))
    workers = Workers({kind: getattr(options, kind) for kind in WorkerKind})
    limits = Limits(moving=options.moving_shards, verifying=options.verifying_shards)
    dispatcher = Dispatcher(desk, workers, limits)

    def add_services(server: grpc.aio.Server) -> tuple[str, ...]:
        return tuple(register(server, desk, dispatcher, options.ledger))

    await dispatcher.start()
    try:
        await serve("scheduler", options.listen, add_services, dispatcher.let_go)
    finally:
        await dispatcher.close()


def main() -> int:
    """Returns the exit code: 0 after SIGTERM, 1 when the service could not run."""
    options = arguments(sys.argv[1:])
    telemetry.setup("scheduler")
    try:
        asyncio.run(run(options))
    except BlockferryError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
