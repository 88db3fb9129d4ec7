"""Reasons of logins that fail: they say nothing about one file, and whoever asks next fails alike. PURE."""

from __future__ import annotations

LOGIN_REASONS = frozenset(
    {
        "AUTHENTICATION_REFUSED",
        "AUTHENTICATION_REQUIRED",
        "CLOCK_SKEWED",
        "DELEGATION_TOKEN_REFUSED",
        "ENCRYPTION_TYPE_REFUSED",
        "IMPERSONATION_REFUSED",
        "INVALID_LOGIN",
        "KDC_UNAVAILABLE",
        "KDC_UNKNOWN",
        "KERBEROS_FAILED",
        "KERBEROS_MISSING",
        "KEYTAB_MISSING",
        "KEYTAB_REFUSED",
        "KRB5_CONF_INVALID",
        "NAMENODE_INSECURE",
        "NAMENODE_NOT_GENUINE",
        "PRINCIPAL_LOCKED",
        "PRINCIPAL_UNKNOWN",
        "PROTECTION_REFUSED",
        "SERVICE_UNKNOWN",
        "TICKET_EXPIRED",
        "TICKET_MISSING",
        "TOKEN_FILE_INVALID",
    }
)
