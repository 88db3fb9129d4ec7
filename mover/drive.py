"""Carries out what `transfer.py` decides, for one file that goes in parts: commands to the pool and the ledger, their
answers back. Decides nothing itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import trace

from ledger.ledger import Ledger
from ledger.records import Receipt
from mover import measures
from mover.calls import Answer, Errand
from mover.pool import Pool
from mover.transfer import Command, DropNote, FileMove, Next, NoteUpload, Stage, step
from service import telemetry

LOG = logging.getLogger("blockferry.mover")
TRACER = trace.get_tracer("blockferry.mover")


@dataclass(frozen=True, slots=True)
class ShardDesk:
    """What a shard's work is done with. `count` is told every answer, for the progress."""

    shard: str
    errand: Errand
    ledger: Ledger
    pool: Pool
    count: Callable[[Answer], None]

    async def ask(self, command: Command) -> Answer | None:
        """Carries a command out. Returns the pool's answer; None from the ledger, whose word is kept when it returns.

        Raises:
            BlockferryError: what concerns every entry alike: a store or the ledger cannot be reached.
        """
        match command:
            case NoteUpload():
                await asyncio.to_thread(self.ledger.note_upload, self.shard, command.note)
            case DropNote():
                await asyncio.to_thread(self.ledger.drop_upload, self.shard, command.path)
            case call:
                answer = await self.pool.run(call, self.errand, telemetry.carrier())
                self.count(answer)
                return answer
        return None


async def drive(desk: ShardDesk, begun: Next) -> Receipt:
    """Moves a file from its first command to its receipt.

    Raises:
        BlockferryError: what concerns every entry alike. Calls that run go on until the pool is told to stop them.
    """
    move, commands = begun
    facts: dict[str, str | int] = {"path": move.file.path, "size_bytes": move.file.size_bytes}
    with TRACER.start_as_current_span("move object", attributes=facts) as span:
        receipt = await _until_done(desk, move, commands)
        if receipt.failure is None:
            measures.MOVED_FILES.add(1)
        else:
            span.set_status(trace.StatusCode.ERROR, f"{receipt.failure.reason}: {receipt.failure.message}")
            measures.FAILED_FILES.add(1, {"reason": receipt.failure.reason})
        return receipt


async def _until_done(desk: ShardDesk, move: FileMove, commands: tuple[Command, ...]) -> Receipt:
    running: set[asyncio.Task[Answer | None]] = set()
    try:
        while True:
            for command in commands:
                if isinstance(command, NoteUpload | DropNote):
                    await desk.ask(command)
                else:
                    running.add(asyncio.create_task(desk.ask(command)))
            if move.stage is Stage.DONE and move.receipt is not None:
                return move.receipt
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            # gather looks at every error, also where it raises the first: two parts often fail by the same cause.
            move, commands = _stepped(move, await asyncio.gather(*done))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _stepped(move: FileMove, answers: list[Answer | None]) -> Next:
    commands: tuple[Command, ...] = ()
    for answer in answers:
        if answer is not None:
            move, more = step(move, answer)
            commands += more
    return move, commands
