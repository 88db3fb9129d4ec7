"""No reason of a failed login is forgotten where it must be known."""

from __future__ import annotations

from mover.worker import CONCERN_ALL
from scanner.walk import SPECIFIC
from stores.hdfs.rpc import remote_errors
from stores.hdfs.security import kerberos_errors
from stores.login_reasons import LOGIN_REASONS


def test_every_meaning_of_kerberos_concerns_all() -> None:
    told = {meaning.reason for meaning in kerberos_errors._MEANINGS.values()}
    told |= {value.reason for value in vars(kerberos_errors).values() if isinstance(value, kerberos_errors._Meaning)}
    assert told <= LOGIN_REASONS


def test_what_a_namenode_says_of_a_login_concerns_all() -> None:
    names = ("_NEED_LOGIN", "_LOGIN_REFUSED", "_BAD_TOKEN", "_NOT_FOR_OTHERS", "_SKEW")
    assert {getattr(remote_errors, name).reason for name in names} <= LOGIN_REASONS


def test_movers_and_scanners_know_them() -> None:
    assert LOGIN_REASONS <= CONCERN_ALL
    assert LOGIN_REASONS <= SPECIFIC
