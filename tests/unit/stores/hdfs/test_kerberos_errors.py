"""Every refusal of Kerberos has a reason and a cure of its own."""

from __future__ import annotations

import ctypes

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.security import libgssapi, libkrb5_abi
from stores.hdfs.security.kerberos_errors import Attempt, kerberos_error

_LOGIN = Attempt("the login of alice@A.TEST", "/etc/alice.keytab", "/etc/a.conf")


@pytest.mark.parametrize(
    ("code", "reason", "cure"),
    [
        (-1765328378, "PRINCIPAL_UNKNOWN", "Check the principal's name"),
        (-1765328377, "SERVICE_UNKNOWN", "dfs.namenode.kerberos.principal"),
        (-1765328360, "KEYTAB_REFUSED", "export the keytab anew"),
        (-1765328353, "KEYTAB_REFUSED", "export the keytab anew"),
        (-1765328203, "KEYTAB_REFUSED", "klist -kt"),
        (-1765328347, "CLOCK_SKEWED", "NTP"),
        (-1765328351, "CLOCK_SKEWED", "NTP"),
        (-1765328228, "KDC_UNAVAILABLE", "port (88)"),
        (-1765328230, "KDC_UNKNOWN", "[realms]"),
        (-1765328352, "TICKET_EXPIRED", "kinit"),
        (-1765328243, "TICKET_EXPIRED", "kinit"),
        (-1765328189, "TICKET_MISSING", "kinit"),
        (-1765328366, "PRINCIPAL_LOCKED", "administrator"),
        (-1765328370, "ENCRYPTION_TYPE_REFUSED", "AES"),
        (-1429577714, "KRB5_CONF_INVALID", "krb5.conf"),
        (2, "KEYTAB_MISSING", "path on the worker"),
        (-1765328249, "KRB5_CONF_INVALID", "krb5.conf"),
        (13, "KEYTAB_MISSING", "path on the worker"),
        (-1765328000, "KERBEROS_FAILED", "KRB5_TRACE"),
    ],
)
def test_a_number_becomes_a_reason_and_a_cure(code: int, reason: str, cure: str) -> None:
    error = kerberos_error(_LOGIN, code, "It says so.")
    assert (error.reason, error.coordinates["krb5_code"]) == (reason, str(code))
    assert cure in error.message
    for part in ("alice@A.TEST", "/etc/alice.keytab", "/etc/a.conf", "It says so. "):
        assert part in error.message


def test_only_a_kdc_that_does_not_answer_is_worth_another_try() -> None:
    error = kerberos_error(_LOGIN, -1765328228, "Cannot contact any KDC for realm 'A.TEST'")
    assert (error.retryable, error.whose) == (True, Whose.SOURCE)
    assert not kerberos_error(_LOGIN, -1765328360, "Preauthentication failed").retryable


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Clock skew too great", "CLOCK_SKEWED"),
        ("GSS initiate failed [Caused by ... Clock skew too great (37) - PROCESS_TGS]", "CLOCK_SKEWED"),
        ("Ticket expired", "TICKET_EXPIRED"),
        ("something else", "KERBEROS_FAILED"),
    ],
)
def test_where_no_number_tells_the_text_does(text: str, reason: str) -> None:
    assert kerberos_error(Attempt("the login at HTTP/kms"), 0, text).reason == reason


@pytest.mark.parametrize("library", ["libkrb5.so", "libgssapi_krb5.so"])
def test_a_worker_without_the_libraries_says_what_to_install(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without them: the loader finds nothing of that name."""
    there = ctypes.CDLL

    def loader(name: str) -> ctypes.CDLL:
        if name.startswith(library):
            raise OSError(f"{name}: cannot open shared object file")
        return there(name)

    monkeypatch.setattr(ctypes, "CDLL", loader)
    loads = (libkrb5_abi.load, libgssapi._load)
    for load in loads:
        load.cache_clear()
    try:
        with pytest.raises(BlockferryError, match="apt-get install libgssapi-krb5-2") as caught:
            for load in loads:
                load()
    finally:
        for load in loads:
            load.cache_clear()
    assert caught.value.reason == "KERBEROS_MISSING"
