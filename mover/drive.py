"""Carries out what `transfer.py` decides, for one file that goes in parts: commands to the pool and the ledger, their
answers back. Decides nothing itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from opentelemetry import trace

from blockferry.errors import BlockferryError
from ledger.ledger import Ledger
from ledger.records import Receipt, UploadNote
from mover import measures
from mover.calls import Answer, BeginUpload, Begun, Errand
from mover.pool import Pool
from mover.transfer import Command, DropNote, FileMove, Next, NoteUpload, Stage, step
from service import telemetry
from stores.base import Stat

LOG = logging.getLogger("blockferry.mover")
TRACER = trace.get_tracer("blockferry.mover")
_SETTLE_S = 1.0  # for answers of calls that have ended


@dataclass(frozen=True, slots=True)
class ShardDesk:
    """What a shard's work is done with. `count` is told every answer, for the progress.

    `begins` holds the begun uploads that are not noted yet, by path: see `note_begun`.
    """

    shard: str
    errand: Errand
    ledger: Ledger
    pool: Pool
    count: Callable[[Answer], None]
    begins: dict[str, tuple[Stat, asyncio.Task[Answer]]] = field(default_factory=dict)

    async def ask(self, command: Command) -> Answer | None:
        """Carries a command out. Returns the pool's answer; None from the ledger, whose word is kept when it returns.

        Raises:
            BlockferryError: what concerns every entry alike: a store or the ledger cannot be reached.
        """
        match command:
            case NoteUpload():
                await asyncio.to_thread(self.ledger.note_upload, self.shard, command.note)
                self.begins.pop(command.note.upload.path, None)
            case DropNote():
                await asyncio.to_thread(self.ledger.drop_upload, self.shard, command.path)
            case BeginUpload(file):
                # In a task of its own: an upload is begun also when the answer comes after we were cancelled.
                begin = asyncio.create_task(self.pool.run(command, self.errand, telemetry.carrier()))
                self.begins[file.path] = (file, begin)
                answer = await asyncio.shield(begin)
                if not isinstance(answer, Begun):
                    del self.begins[file.path]
                self.count(answer)
                return answer
            case call:
                answer = await self.pool.run(call, self.errand, telemetry.carrier())
                self.count(answer)
                return answer
        return None

    async def note_begun(self, part_bytes: int) -> None:
        """Notes the uploads whose begin was answered when nobody waited for it any more, so that none is forgotten.

        To be called when the calls of the run have ended. A ledger that cannot be written now is logged.
        """
        if self.begins:
            await asyncio.wait([task for _, task in self.begins.values()], timeout=_SETTLE_S)
        for file, task in self.begins.values():
            answer = task.result() if task.done() and not task.cancelled() and not task.exception() else None
            if isinstance(answer, Begun):
                note = UploadNote(answer.upload, file.version, part_bytes)
                try:
                    await asyncio.to_thread(self.ledger.note_upload, self.shard, note)
                except BlockferryError as error:
                    text = 'action="upload_not_noted" path=%r upload=%s error="%s"'
                    LOG.error(text, file.path, answer.upload.upload_id, error)


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
