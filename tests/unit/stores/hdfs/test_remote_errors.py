"""What exceptions of a NameNode mean for the caller."""

import pytest

from blockferry.errors import Whose
from stores.hdfs.rpc.remote_errors import asks_for_login, first_line, is_about_login, remote_error

ACCESS = "org.apache.hadoop.security.AccessControlException"


@pytest.mark.parametrize(
    ("class_name", "text", "reason", "whose", "retryable"),
    [
        (ACCESS, 'Permission denied: user=bob, access=READ, inode="/s"', "ACCESS_DENIED", Whose.CALLER, False),
        (ACCESS, "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]", "AUTHENTICATION_REQUIRED",
         Whose.CALLER, False),
        ("javax.security.sasl.SaslException", "GSS initiate failed", "AUTHENTICATION_REFUSED", Whose.CALLER, False),
        ("javax.security.sasl.SaslException", "GSS initiate failed [Clock skew too great (37)]", "CLOCK_SKEWED",
         Whose.CALLER, False),
        ("org.apache.hadoop.security.token.SecretManager$InvalidToken", "token (token for alice: ...) is expired",
         "DELEGATION_TOKEN_REFUSED", Whose.CALLER, False),
        ("org.apache.hadoop.security.authorize.AuthorizationException",
         "User: ferry@A.TEST is not allowed to impersonate bob", "IMPERSONATION_REFUSED", Whose.CALLER, False),
        ("java.io.FileNotFoundException", "File does not exist: /x", "NOT_FOUND", Whose.CALLER, False),
        ("org.apache.hadoop.ipc.StandbyException", "Operation category READ is not supported in state standby",
         "NAMENODE_STANDBY", Whose.SOURCE, True),
        ("org.apache.hadoop.ipc.RetriableException", "NameNode still not started", "NAMENODE_BUSY", Whose.SOURCE, True),
        ("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "Name node is in safe mode.",
         "NAMENODE_SAFE_MODE", Whose.SOURCE, True),
        ("org.apache.hadoop.ipc.RPC$VersionMismatch", "?", "NAMENODE_INCOMPATIBLE", Whose.CALLER, False),
        ("java.net.ConnectException", "No namenode available to invoke", "NAMENODE_UNAVAILABLE", Whose.SOURCE,
         True),
        ("org.apache.hadoop.ipc.RetriableException", "x.NoNamenodesAvailableException: No namenodes available under "
         "nameservice ns1", "NAMENODE_UNAVAILABLE", Whose.SOURCE, True),
        ("org.apache.hadoop.hdfs.server.federation.router.NoLocationException", "Cannot find locations for /x",
         "NOT_FOUND", Whose.CALLER, False),
        ("com.example.Odd", "what", "NAMENODE_ERROR", Whose.SOURCE, False),
    ],
)  # fmt: skip
def test_a_java_class_has_a_reason(class_name: str, text: str, reason: str, whose: Whose, retryable: bool) -> None:
    error = remote_error(class_name, f"{text}\n\tat org.apache.Foo", "getListing", "nn:8020", "/s")
    assert (error.reason, error.whose, error.retryable) == (reason, whose, retryable)
    assert error.coordinates == {"host": "nn:8020", "method": "getListing", "java_class": class_name, "path": "/s"}
    assert "nn:8020" in error.message
    assert "at org.apache" not in error.message
    assert first_line(text).rstrip(".") in error.message


def test_kerberos_is_named_with_what_works_instead() -> None:
    error = remote_error(ACCESS, "SIMPLE authentication is not enabled.", "getFileInfo", "nn:8020")
    assert "Kerberos" in error.message
    assert "kinit" in error.message
    assert "--hdfs-keytab" in error.message
    assert "path" not in error.coordinates


def test_the_cure_of_a_forbidden_run_as_user_names_the_settings() -> None:
    text = "User: ferry@A.TEST is not allowed to impersonate bob"
    error = remote_error("org.apache.hadoop.security.authorize.AuthorizationException", text, "getFileInfo", "nn:8020")
    assert "hadoop.proxyuser.NAME.hosts" in error.message
    assert text in error.message


def test_what_is_about_the_login_is_told_from_the_rest() -> None:
    refused = ("javax.security.sasl.SaslException", "GSS initiate failed")
    asked = (ACCESS, "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]")
    denied = (ACCESS, "Permission denied: user=bob")
    assert [is_about_login(*each) for each in (refused, asked, denied)] == [True, False, False]
    assert [asks_for_login(*each) for each in (refused, asked, denied, ("", ""))] == [False, True, False, False]


def test_an_exception_without_text_shows_its_class() -> None:
    assert "java.lang.NullPointerException" in remote_error("java.lang.NullPointerException", "", "m", "nn:1").message
