"""What a refusal of Kerberos means for us: number and text of libkrb5 -> BlockferryError. PURE.

Numbers: krb5_err.h and RFC 4120 section 7.5.9 (theirs is the number above `_BASE`); small positive ones are errnos, and
those of profile.h begin at `_PROFILE`.
"""

from __future__ import annotations

from dataclasses import dataclass

from blockferry.errors import BlockferryError, Whose

_BASE = -1765328384
_PROFILE = range(-1429577728, -1429577728 + 64)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried: `what` for people (`the login of alice@A`), by which keytab and krb5.conf (empty: not given)."""

    what: str
    keytab: str = ""
    krb5_conf: str = ""


@dataclass(frozen=True, slots=True)
class _Meaning:
    reason: str
    cure: str
    whose: Whose = Whose.CALLER
    retryable: bool = False


_UNKNOWN_PRINCIPAL = _Meaning(
    "PRINCIPAL_UNKNOWN", "Check the principal's name and realm, and that it exists in the realm's KDC."
)
_WRONG_KEYS = _Meaning(
    "KEYTAB_REFUSED",
    "Its keys are not the principal's present ones: export the keytab anew (ktadd), and compare `klist -kte` with "
    "`kvno`.",
)
_NO_KEYS = _Meaning(
    "KEYTAB_REFUSED", "The keytab has no keys for this principal: see its principals with `klist -kt`, or give another."
)
_UNREADABLE = _Meaning("KEYTAB_MISSING", "Give the keytab's path on the worker, readable for the worker's user.")
_UNREACHABLE = _Meaning(
    "KDC_UNAVAILABLE",
    "Check that a KDC of the realm runs, that [realms] of krb5.conf names it, and that its port (88) is open.",
    Whose.SOURCE,
    True,
)
_NO_KDC = _Meaning("KDC_UNKNOWN", "Name the realm's KDC in [realms] of the location's krb5.conf.")
_SKEW = _Meaning(
    "CLOCK_SKEWED",
    "The clocks of the worker, the KDC and the cluster must differ by less than 5 minutes: let NTP set them.",
)
_EXPIRED = _Meaning(
    "TICKET_EXPIRED", "Run kinit again as the worker's user, or give the location a principal and a keytab."
)
_NO_CACHE = _Meaning(
    "TICKET_MISSING",
    "Give the location a principal and a keytab, or run kinit as the worker's user (KRB5CCNAME names another cache).",
)
_NO_SERVICE = _Meaning(
    "SERVICE_UNKNOWN",
    "Check dfs.namenode.kerberos.principal of the site files, the host name in the location, and [domain_realm] of "
    "krb5.conf.",
)
_LOCKED = _Meaning("PRINCIPAL_LOCKED", "Have the principal or its keys made valid again by the KDC's administrator.")
_NO_TYPE = _Meaning(
    "ENCRYPTION_TYPE_REFUSED",
    "The KDC and the keytab share no encryption type that is allowed here: export the keytab with AES keys, and check "
    "permitted_enctypes of krb5.conf.",
)
_BAD_CONF = _Meaning("KRB5_CONF_INVALID", "Give the location a krb5.conf that the worker can read and parse.")
_OTHER = _Meaning("KERBEROS_FAILED", "See the KDC's log and, with KRB5_TRACE=/dev/stderr in the worker, the steps.")

_MEANINGS = {
    _BASE + 6: _UNKNOWN_PRINCIPAL,  # KDC_ERR_C_PRINCIPAL_UNKNOWN
    _BASE + 7: _NO_SERVICE,  # KDC_ERR_S_PRINCIPAL_UNKNOWN
    _BASE + 11: _SKEW,  # KDC_ERR_NEVER_VALID: what was asked would end before it begins
    _BASE + 14: _NO_TYPE,  # KDC_ERR_ETYPE_NOSUPP
    _BASE + 18: _LOCKED,  # KDC_ERR_CLIENT_REVOKED
    _BASE + 21: _LOCKED,  # KDC_ERR_CLIENT_NOTYET
    _BASE + 23: _LOCKED,  # KDC_ERR_KEY_EXP
    _BASE + 24: _WRONG_KEYS,  # KDC_ERR_PREAUTH_FAILED
    _BASE + 31: _WRONG_KEYS,  # KRB_AP_ERR_BAD_INTEGRITY: of the KDC's answer
    _BASE + 32: _EXPIRED,  # KRB_AP_ERR_TKT_EXPIRED
    _BASE + 33: _SKEW,  # KRB_AP_ERR_TKT_NYV
    _BASE + 37: _SKEW,  # KRB_AP_ERR_SKEW
    _BASE + 68: _UNKNOWN_PRINCIPAL,  # KDC_ERR_WRONG_REALM
    -1765328250: _UNKNOWN_PRINCIPAL,  # KRB5_PARSE_MALFORMED
    -1765328249: _BAD_CONF,  # KRB5_CONFIG_CANTOPEN
    -1765328248: _BAD_CONF,  # KRB5_CONFIG_BADFORMAT
    -1765328245: _NO_CACHE,  # KRB5_CC_BADNAME
    -1765328243: _EXPIRED,  # KRB5_CC_NOTFOUND: no valid ticket in the cache
    -1765328230: _NO_KDC,  # KRB5_REALM_UNKNOWN
    -1765328228: _UNREACHABLE,  # KRB5_KDC_UNREACH
    -1765328203: _NO_KEYS,  # KRB5_KT_NOTFOUND
    -1765328200: _UNREADABLE,  # KRB5_KT_IOERR
    -1765328190: _NO_CACHE,  # KRB5_FCC_PERM
    -1765328189: _NO_CACHE,  # KRB5_FCC_NOFILE
    -1765328185: _NO_CACHE,  # KRB5_CC_FORMAT
    -1765328174: _WRONG_KEYS,  # KRB5_PREAUTH_FAILED
    -1765328171: _WRONG_KEYS,  # KRB5_KEYTAB_BADVNO
    -1765328164: _NO_KDC,  # KRB5_REALM_CANT_RESOLVE
    -1765328160: _NO_KDC,  # KRB5_CONFIG_NODEFREALM
    -1765328149: _UNREADABLE,  # KRB5_KT_FORMAT
}


def kerberos_error(attempt: Attempt, code: int, text: str) -> BlockferryError:
    """Returns our error for what libkrb5 or GSSAPI said (its `code` is 0) when `attempt` was made."""
    meaning = _meaning(attempt, code, text)
    by = f" with the keytab {attempt.keytab}" if attempt.keytab else ""
    under = f" under {attempt.krb5_conf}" if attempt.krb5_conf else ""
    return BlockferryError(
        meaning.reason,
        f"Kerberos: {attempt.what}{by}{under} failed: {text.strip().rstrip('.')}. {meaning.cure}",
        retryable=meaning.retryable,
        whose=meaning.whose,
        krb5_code=code,
    )


def _meaning(attempt: Attempt, code: int, text: str) -> _Meaning:
    if code in _PROFILE:
        return _BAD_CONF
    if 0 < code < 4096:  # an errno: the keytab's, as there is hardly another file
        return _UNREADABLE if attempt.keytab else _OTHER
    if code in _MEANINGS:
        return _MEANINGS[code]
    return meaning_of_text(text) or _OTHER


def meaning_of_text(text: str) -> _Meaning | None:
    """Returns what a text of GSSAPI means where no number tells: MIT's, or Java's with the number in brackets."""
    for mark, meaning in (
        ("Clock skew too great", _SKEW),
        ("Ticket not yet valid", _SKEW),
        ("Ticket expired", _EXPIRED),
    ):
        if mark.lower() in text.lower():
            return meaning
    return None
