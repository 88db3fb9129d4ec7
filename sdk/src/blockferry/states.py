"""Which states of an execution are final. Pure."""

from __future__ import annotations

from blockferry.v1.execution_pb2 import Execution

FINAL = frozenset({Execution.STATE_SUCCESS, Execution.STATE_ERROR, Execution.STATE_CANCELLED})


def is_final(execution: Execution) -> bool:
    """Returns whether an execution has ended. States that this version does not know count as running."""
    return execution.state in FINAL
