"""What a Hadoop server's exception means for us: Java class and text -> BlockferryError. PURE.

Class names are facts of the wire (RpcResponseHeaderProto.exceptionClassName). A class that is not known here stays
visible in the message and in the coordinate `java_class`.
"""

from __future__ import annotations

from dataclasses import dataclass

from blockferry.errors import BlockferryError, Whose


@dataclass(frozen=True, slots=True)
class _Meaning:
    reason: str
    whose: Whose
    retryable: bool
    cure: str


_NEED_LOGIN = _Meaning(
    "AUTHENTICATION_REQUIRED",
    Whose.CALLER,
    False,
    "The cluster asks for Kerberos: give the location a principal and a keytab (--hdfs-principal, --hdfs-keytab), or "
    "run kinit as the worker's user.",
)
_LOGIN_REFUSED = _Meaning(
    "AUTHENTICATION_REFUSED",
    Whose.CALLER,
    False,
    "Check the NameNode's principal (dfs.namenode.kerberos.principal), that its keytab is the present one, the clocks, "
    "and the NameNode's log.",
)
_BAD_TOKEN = _Meaning(
    "DELEGATION_TOKEN_REFUSED",
    Whose.CALLER,
    False,
    "The delegation token has expired, was cancelled, or is of another cluster: have the file of tokens written anew, "
    "or give the location a principal and a keytab.",
)
_NOT_FOR_OTHERS = _Meaning(
    "IMPERSONATION_REFUSED",
    Whose.CALLER,
    False,
    "Have hadoop.proxyuser.NAME.hosts and hadoop.proxyuser.NAME.groups (or .users) in core-site.xml of the NameNodes "
    "allow it, NAME being the short name of the principal, or leave --hdfs-user out.",
)
_SKEW = _Meaning(
    "CLOCK_SKEWED",
    Whose.CALLER,
    False,
    "The clocks of the worker, the KDC and the cluster must differ by less than 5 minutes: let NTP set them.",
)
_DENIED = _Meaning(
    "ACCESS_DENIED",
    Whose.CALLER,
    False,
    "Give the location a user who may read it, or have the permissions changed.",
)
_MISSING = _Meaning("NOT_FOUND", Whose.CALLER, False, "Check the path.")
_STANDBY = _Meaning(
    "NAMENODE_STANDBY",
    Whose.SOURCE,
    True,
    "This NameNode is not the active one: give the location all NameNodes of the cluster, and make one active.",
)
_BUSY = _Meaning("NAMENODE_BUSY", Whose.SOURCE, True, "The NameNode asks to try again later.")
_SAFE_MODE = _Meaning(
    "NAMENODE_SAFE_MODE", Whose.SOURCE, True, "The NameNode is in safe mode: wait until it has left it."
)
_NO_SUBCLUSTER = _Meaning(
    "NAMENODE_UNAVAILABLE",
    Whose.SOURCE,
    True,
    "The router reaches no NameNode that can do it: check those of the subcluster, and the router's log.",
)
_OTHER_VERSION = _Meaning(
    "NAMENODE_INCOMPATIBLE",
    Whose.CALLER,
    False,
    "The server speaks no Hadoop RPC 9 ClientProtocol: check that host and port are those of the NameNode's RPC.",
)
_UNKNOWN = _Meaning("NAMENODE_ERROR", Whose.SOURCE, False, "See the NameNode's log.")

_MEANINGS = {
    "org.apache.hadoop.security.AccessControlException": _DENIED,
    "org.apache.hadoop.security.authorize.AuthorizationException": _DENIED,
    "org.apache.hadoop.fs.ParentNotDirectoryException": _MISSING,
    "org.apache.hadoop.hdfs.protocol.UnresolvedPathException": _Meaning(
        "SYMLINK_IN_PATH", Whose.CALLER, False, "Give the path that the symbolic link leads to."
    ),
    "java.io.FileNotFoundException": _MISSING,
    "java.nio.file.NoSuchFileException": _MISSING,
    "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException": _Meaning(
        "QUOTA_EXCEEDED", Whose.SOURCE, False, "Have the quota raised."
    ),
    "org.apache.hadoop.fs.InvalidPathException": _Meaning(
        "INVALID_PATH", Whose.CALLER, False, "Give an absolute path that HDFS allows."
    ),
    "org.apache.hadoop.ipc.StandbyException": _STANDBY,
    "org.apache.hadoop.ipc.ObserverRetryOnActiveException": _STANDBY,
    "org.apache.hadoop.ipc.RetriableException": _BUSY,
    "org.apache.hadoop.hdfs.server.namenode.SafeModeException": _SAFE_MODE,
    "org.apache.hadoop.hdfs.server.federation.router.RouterSafeModeException": _SAFE_MODE,
    "org.apache.hadoop.hdfs.server.federation.router.NoLocationException": _MISSING,
    # A router hands on what happened between it and the NameNodes of a subcluster.
    "java.io.EOFException": _NO_SUBCLUSTER,
    "java.net.ConnectException": _NO_SUBCLUSTER,
    "java.net.NoRouteToHostException": _NO_SUBCLUSTER,
    "java.net.SocketException": _NO_SUBCLUSTER,
    "java.net.SocketTimeoutException": _NO_SUBCLUSTER,
    "java.net.UnknownHostException": _NO_SUBCLUSTER,
    "org.apache.hadoop.net.ConnectTimeoutException": _NO_SUBCLUSTER,
    "org.apache.hadoop.hdfs.server.federation.router.ConnectionNullException": _NO_SUBCLUSTER,
    "org.apache.hadoop.hdfs.server.federation.router.NoNamenodesAvailableException": _NO_SUBCLUSTER,
    "org.apache.hadoop.hdfs.server.federation.router.SubClusterTimeoutException": _NO_SUBCLUSTER,
    "org.apache.hadoop.hdfs.server.federation.store.StateStoreUnavailableException": _NO_SUBCLUSTER,
    "org.apache.hadoop.ipc.RpcServerException": _UNKNOWN,
    "org.apache.hadoop.ipc.RpcNoSuchMethodException": _OTHER_VERSION,
    "org.apache.hadoop.ipc.RpcNoSuchProtocolException": _OTHER_VERSION,
    "org.apache.hadoop.ipc.RPC$VersionMismatch": _OTHER_VERSION,
    "org.apache.hadoop.ipc.RPC.VersionMismatch": _OTHER_VERSION,
    "javax.security.sasl.SaslException": _LOGIN_REFUSED,
    "org.apache.hadoop.security.token.SecretManager$InvalidToken": _BAD_TOKEN,
}
# What the text says goes before the class: the first mark that is in it.
_MARKS = (
    ("SIMPLE authentication is not enabled", _NEED_LOGIN),
    ("Client cannot authenticate", _NEED_LOGIN),
    ("is not allowed to impersonate", _NOT_FOR_OTHERS),
    ("Clock skew too great", _SKEW),
    ("GSS initiate failed", _LOGIN_REFUSED),
    # A router, in whatever exception it wraps it.
    ("No namenode available to invoke", _NO_SUBCLUSTER),
    ("No namenodes available under nameservice", _NO_SUBCLUSTER),
)


def remote_error(class_name: str, text: str, method: str, namenode: str, path: str = "") -> BlockferryError:
    """Returns our error for an exception that `namenode` (host:port) answered to a call about `path`."""
    meaning = _meaning(class_name, text)
    said = first_line(text) or class_name
    about = f" of {path}" if path and path not in said else ""
    error = BlockferryError(
        meaning.reason,
        f"The NameNode {namenode} refused {method}{about}: {said.rstrip('.')}. {meaning.cure}",
        retryable=meaning.retryable,
        whose=meaning.whose,
        host=namenode,
        method=method,
        java_class=class_name,
    )
    if path:
        error.coordinates["path"] = path
    return error


def asks_for_login(class_name: str, text: str) -> bool:
    """Returns whether a server says that it takes nobody by name alone."""
    return bool(class_name) and "SIMPLE authentication is not enabled" in text


def is_about_login(class_name: str, text: str) -> bool:
    """Returns whether a server says that it does not believe who we are."""
    return _meaning(class_name, text) in (_LOGIN_REFUSED, _SKEW)


def _meaning(class_name: str, text: str) -> _Meaning:
    marked = next((meaning for mark, meaning in _MARKS if mark in text), None)
    return marked or _MEANINGS.get(class_name, _UNKNOWN)


def first_line(text: str) -> str:
    """Returns an exception's text without its stack trace."""
    return text.partition("\n")[0].strip()
