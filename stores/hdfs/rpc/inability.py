"""Which errors say that a NameNode cannot do calls now, and what it means when none of them can. PURE."""

from __future__ import annotations

from blockferry.errors import BlockferryError, Whose

# Words of a server that say nothing about the call: another NameNode may do it, or the same one later.
_OF_A_NAMENODE = frozenset(
    {
        "AUTHENTICATION_REFUSED",
        "AUTHENTICATION_REQUIRED",
        "CLOCK_SKEWED",
        "DELEGATION_TOKEN_REFUSED",
        "NAMENODE_BUSY",
        "NAMENODE_SAFE_MODE",
        "NAMENODE_STANDBY",
        "NAMENODE_UNAVAILABLE",
    }
)
# What is said of the cluster if any NameNode says so: these come from the active one, or need somebody's help.
_TELLING = ("NAMENODE_SAFE_MODE", "NAMENODE_BUSY")


def is_about_call(error: BlockferryError) -> bool:
    """Returns whether an error is a NameNode's answer to the call: every other one would say the same."""
    return "java_class" in error.coordinates and error.reason not in _OF_A_NAMENODE


def can_pass(failures: tuple[BlockferryError, ...]) -> bool:
    """Returns whether waiting can help a cluster that has answered before: nothing in it needs somebody's help. A host
    name that is unknown now may be known again."""
    return all(each.retryable or each.reason == "HOST_UNKNOWN" for each in failures)


def unable(failures: tuple[BlockferryError, ...], lasted_s: float, silent: tuple[str, ...] = ()) -> BlockferryError:
    """Returns the error of a call that no NameNode can do.

    Args:
        failures: the last one of each NameNode.
        lasted_s: how long this has been so.
        silent: `host:port` of NameNodes that were asked and have not answered yet.
    """
    waited = f" This has lasted for {lasted_s:.0f} s, which is as long as calls wait." if lasted_s >= 1 else ""
    failure = _telling(failures, silent)
    if failure is not None:
        failure.message += waited
    else:
        said = [each.message for each in failures] + [f"{each} has not answered yet." for each in silent]
        failure = BlockferryError(
            "NAMENODE_UNAVAILABLE",
            f"No NameNode of the cluster is active: {' '.join(said)}{waited}",
            retryable=any(each.retryable for each in failures),
            whose=Whose.SOURCE,
            host=",".join((*(each.coordinates.get("host", "") for each in failures), *silent)),
        )
        failure.__cause__ = failures[-1]
    failure.coordinates["waited_s"] = f"{lasted_s:.0f}"
    return failure


def _telling(failures: tuple[BlockferryError, ...], silent: tuple[str, ...]) -> BlockferryError | None:
    """Returns the failure that says it all."""
    if len(failures) == 1 and not silent:
        return failures[0]
    for each in failures:
        if each.reason in _TELLING or not (each.retryable or each.reason == "HOST_UNKNOWN"):
            return each
    return None
