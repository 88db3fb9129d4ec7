"""What is said to Hadoop's Key Management Server: its address, its requests and its answers as values. PURE.

Facts from KMSClientProvider.java, KMSRESTConstants.java and KMSJSONReader.java (3.4.2), seen on a real server. The KMS
holds the keys of encryption zones; a file has a key of its own (DEK), which HDFS keeps encrypted (EDEK) under one
version of its zone's key. Keys never leave the KMS but as decrypted EDEKs, and never show in text here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.security.aes_ctr import BLOCK_BYTES, KEY_SIZES

_URI = re.compile(r"kms://(https?)@([^/?#@\s]+)(/[^?#\s]*)?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:;\[\]]+)(?::(\d{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}  # java.net.URL's: the KMS's own, 9600 and 16000 before, must be given
_UNKNOWN_KEY = re.compile(r"not found|does not exist|no such key", re.IGNORECASE)
_PAGE_MESSAGE = re.compile(r"<th>MESSAGE:</th><td>([^<]*)</td>")
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class KmsAddress:
    """The servers of one KMS, which all hold the same keys. `hosts` come with their ports; `path` begins with a slash
    and ends without one."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str


@dataclass(frozen=True, slots=True)
class EncryptedKey:
    """A file's encrypted key (EDEK) as the NameNode tells it; worth nothing without the KMS."""

    key_name: str
    version_name: str
    iv: bytes = field(repr=False)
    material: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KmsAnswer:
    """An answer that is no key: status, the text, and the class name of the server's exception, if it said one."""

    status: int
    text: str
    exception: str = ""


def parse_uri(uri: str) -> KmsAddress:
    """Returns the servers of `kms://http@host1;host2:port/kms` (dfs.encryption.key.provider.uri).

    The last port counts for all hosts before it that have none, as in Hadoop, where only one port may stand.

    Raises:
        BlockferryError: KMS_URI_INVALID, KMS_UNSUPPORTED.
    """
    scheme = uri.partition("://")[0]
    if "://" in uri and scheme != "kms":
        raise _bad_uri(
            "KMS_UNSUPPORTED", uri, f"names a key provider of the kind {scheme}, and only a KMS can be asked"
        )
    match = _URI.fullmatch(uri.rstrip("/"))
    parts = match and [_HOST.fullmatch(part) for part in match[2].split(";")]
    if match is None or not parts or not all(parts):
        raise _bad_uri("KMS_URI_INVALID", uri, "is not the address of a KMS")
    ports = [int(part[2]) if part and part[2] else 0 for part in parts]
    last = ports[-1] or _DEFAULT_PORTS[match[1]]
    names = [part[1].strip("[]") for part in parts if part]
    hosts = tuple((name, port or last) for name, port in zip(names, ports, strict=True))
    return KmsAddress(match[1], hosts, (match[3] or "").rstrip("/"))


def origin(scheme: str, host: str, port: int) -> str:
    """Returns `scheme://host:port`."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def decrypt_target(path: str, key: EncryptedKey, who: dict[str, str]) -> str:
    """Returns the target of the POST that decrypts an EDEK; `who` are the parameters that say who asks."""
    version = quote(key.version_name, safe="")
    return f"{path}/v1/keyversion/{version}/_eek?{urlencode({'eek_op': 'decrypt', **who}, quote_via=quote)}"


def greeting_target(path: str, who: dict[str, str]) -> str:
    """Returns the target of a GET that only tells whether the server knows us: it lists the names of keys."""
    return f"{path}/v1/keys/names?{urlencode(who, quote_via=quote)}"


def decrypt_body(key: EncryptedKey) -> bytes:
    """Returns the body of that POST, JSON."""
    texts = {"name": key.key_name, "iv": _base64(key.iv), "material": _base64(key.material)}
    return json.dumps(texts).encode()


def data_key(body: bytes) -> bytes:
    """Returns the decrypted key out of the answer to that POST. The KMS writes base64url without padding.

    Raises:
        ValueError: there is no AES key in it. The text does not tell what is.
    """
    try:
        text = str(json.loads(body)["material"]).translate(str.maketrans("+/", "-_")).rstrip("=")
        key = base64.b64decode(text + "=" * (-len(text) % 4), "-_", validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise ValueError("no key in the answer") from None
    if len(key) not in KEY_SIZES:
        raise ValueError(f"a key of {len(key)} bytes in the answer")
    return key


def encrypted_key(key_name: str, version_name: str, iv: bytes, material: bytes) -> EncryptedKey:
    """Returns the EDEK. Raises ValueError when no AES-CTR key can be behind it."""
    if len(iv) != BLOCK_BYTES or not material:
        raise ValueError(f"an iv of {len(iv)} bytes and an encrypted key of {len(material)}")
    return EncryptedKey(key_name, version_name, iv, material)


def answer_of(status: int, body: bytes) -> KmsAnswer:
    """Returns what an answer without a key says: Hadoop's JSON (RemoteException), or Jetty's page."""
    try:
        remote = json.loads(body)["RemoteException"]
        return KmsAnswer(status, _shown(str(remote.get("message") or "")), str(remote.get("exception") or ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        page = _PAGE_MESSAGE.search(body[:4096].decode("utf-8", "replace"))
        return KmsAnswer(status, _shown(page[1]) if page else "")


def failure_of(answer: KmsAnswer, key: EncryptedKey, user: str, host: str) -> BlockferryError:
    """Returns the error for an answer that is no key.

    Returns:
        ACCESS_DENIED, KMS_KEY_UNKNOWN, KMS_LOGIN_REFUSED, KMS_REFUSED; KMS_UNAVAILABLE: another server may do better.
    """
    said = _said(answer)
    status, reason, retryable, whose = answer.status, "KMS_REFUSED", False, Whose.CALLER
    what = f"refused to decrypt a file's key for {user} (status {status}){said}. See the KMS's log."
    if _is_stranger(answer):
        reason = "KMS_LOGIN_REFUSED"
        what = f"does not accept our login as {user} (status {status}){said}. {_LOGIN_CURE}"
    elif status == 403:
        reason = "ACCESS_DENIED"
        what = f"does not let {user} decrypt with the key {key.key_name}{said}. {_acl_cure(key.key_name)}"
    elif status == 404 or _UNKNOWN_KEY.search(answer.text):
        reason = "KMS_KEY_UNKNOWN"
        what = f"does not have the key version {key.version_name}{said}. {_KEY_CURE}"
    elif status >= 500 or status == 429:
        reason, retryable, whose = "KMS_UNAVAILABLE", True, Whose.SOURCE
        what = f"failed (status {status}){said}. See the KMS's log."
    return BlockferryError(
        reason,
        f"The KMS {host} {what}",
        retryable=retryable,
        whose=whose,
        host=host,
        key_name=key.key_name,
        key_version=key.version_name,
        user=user,
        status=status,
    )


def greeting_failure(answer: KmsAnswer, user: str, host: str) -> BlockferryError | None:
    """Returns what is wrong with a server, or with our login there, by its answer to a greeting; None: nothing. That a
    user may not list the names of keys is usual.

    Returns:
        KMS_LOGIN_REFUSED, KMS_REFUSED, KMS_UNAVAILABLE.
    """
    status, said = answer.status, _said(answer)
    if _is_stranger(answer):
        reason = "KMS_LOGIN_REFUSED"
        what = f"does not accept our login as {user} (status {status}){said}. {_LOGIN_CURE}"
    elif status in (200, 403):
        return None
    elif status >= 500 or status == 429:
        reason, what = "KMS_UNAVAILABLE", f"failed (status {status}){said}. See the KMS's log."
    else:
        reason = "KMS_REFUSED"
        what = f"does not answer as a KMS does (status {status}){said}. Check the KMS's URI: port and path (/kms)."
    retryable = reason == "KMS_UNAVAILABLE"
    whose = Whose.SOURCE if retryable else Whose.CALLER
    return BlockferryError(
        reason, f"The KMS {host} {what}", retryable=retryable, whose=whose, host=host, user=user, status=status
    )


def _said(answer: KmsAnswer) -> str:
    return f": {answer.text}" if answer.text else ""


def _is_stranger(answer: KmsAnswer) -> bool:
    """Returns whether the server does not believe who we are."""
    return answer.status == 401 or (answer.status == 403 and answer.exception in ("", "AuthenticationException"))


_LOGIN_CURE = (
    "Give the location the principal and keytab (or the ticket cache) of a user whom the KMS knows; without Kerberos, "
    "its user."
)
_KEY_CURE = "Give the location the KMS of this cluster; without its key nobody can read the file."


def _acl_cure(key_name: str) -> str:
    return (
        f"Let an administrator of the KMS give this user DECRYPT_EEK (key.acl.{key_name}.DECRYPT_EEK and "
        "hadoop.kms.acl.DECRYPT_EEK in kms-acls.xml), or leave the file out."
    )


def _bad_uri(reason: str, uri: str, what: str) -> BlockferryError:
    cure = (
        "Give the location kms://https@HOST;HOST:PORT/kms, as dfs.encryption.key.provider.uri of the cluster says it."
    )
    return BlockferryError(reason, f"{uri} {what}. {cure}", whose=Whose.CALLER, kms_uri=uri)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _shown(text: str) -> str:
    return " ".join(text.split())[:_SHOWN_CHARACTERS].rstrip(".")
