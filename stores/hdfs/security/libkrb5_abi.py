"""MIT's libkrb5 as ctypes sees it: struct layouts and signatures of krb5.h, the same since krb5 1.4. Calls nothing."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_int32, c_uint, c_uint32, c_void_p
from ctypes.util import find_library
from functools import lru_cache

from blockferry.errors import BlockferryError, Whose

CURE = "Install MIT Kerberos' libraries on the worker (Debian and Ubuntu: apt-get install libgssapi-krb5-2)."


class Data(ctypes.Structure):
    _fields_ = (("magic", c_int32), ("length", c_uint), ("data", c_void_p))


class Creds(ctypes.Structure):
    """krb5_creds, with krb5_keyblock and krb5_ticket_times spread out."""

    _fields_ = (
        ("magic", c_int32),
        ("client", c_void_p),
        ("server", c_void_p),
        ("key_magic", c_int32),
        ("key_type", c_int32),
        ("key_length", c_uint),
        ("key_contents", c_void_p),
        ("auth_time", c_uint32),
        ("start_time", c_uint32),
        ("end_time", c_uint32),
        ("renew_till", c_uint32),
        ("is_skey", c_uint),
        ("ticket_flags", c_int32),
        ("addresses", c_void_p),
        ("ticket", Data),
        ("second_ticket", Data),
        ("authdata", c_void_p),
    )


def missing(library: str) -> BlockferryError:
    """Returns the error of a worker without Kerberos' libraries."""
    return BlockferryError("KERBEROS_MISSING", f"Kerberos needs {library}, which is not here. {CURE}", whose=Whose.US)


@lru_cache(maxsize=1)
def load() -> ctypes.CDLL:
    """Returns libkrb5 with the signatures declared. Raises KERBEROS_MISSING."""
    for name in ("libkrb5.so.3", find_library("krb5")):
        try:
            return _declared(ctypes.CDLL(name or "libkrb5.so"))
        except (OSError, AttributeError):
            continue
    raise missing("libkrb5.so.3")


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    handle, out, text = c_void_p, POINTER(c_void_p), c_char_p
    signatures: dict[str, tuple[object, ...]] = {
        "profile_init_path": (text, out),
        "krb5_init_context": (out,),
        "krb5_init_context_profile": (handle, c_int32, out),
        "krb5_parse_name": (handle, text, out),
        "krb5_unparse_name": (handle, handle, POINTER(text)),
        "krb5_sname_to_principal": (handle, text, text, c_int32, out),
        "krb5_kt_resolve": (handle, text, out),
        "krb5_kt_close": (handle, handle),
        "krb5_cc_resolve": (handle, text, out),
        "krb5_cc_default": (handle, out),
        "krb5_cc_close": (handle, handle),
        "krb5_cc_destroy": (handle, handle),
        "krb5_cc_initialize": (handle, handle, handle),
        "krb5_cc_copy_creds": (handle, handle, handle),
        "krb5_cc_store_cred": (handle, handle, POINTER(Creds)),
        "krb5_cc_get_principal": (handle, handle, out),
        "krb5_cc_get_full_name": (handle, handle, POINTER(text)),
        "krb5_get_init_creds_opt_alloc": (handle, out),
        "krb5_get_init_creds_opt_set_out_ccache": (handle, handle, handle),
        "krb5_get_init_creds_keytab": (handle, POINTER(Creds), handle, handle, c_int32, text, handle),
        "krb5_get_renewed_creds": (handle, POINTER(Creds), handle, handle, text),
        "krb5_get_credentials": (handle, c_int32, handle, POINTER(Creds), POINTER(POINTER(Creds))),
    }
    releases: dict[str, tuple[object, ...]] = {
        "profile_release": (handle,),
        "krb5_free_context": (handle,),
        "krb5_free_principal": (handle, handle),
        "krb5_free_string": (handle, text),
        "krb5_free_unparsed_name": (handle, text),
        "krb5_free_error_message": (handle, handle),
        "krb5_free_cred_contents": (handle, POINTER(Creds)),
        "krb5_free_creds": (handle, POINTER(Creds)),
        "krb5_get_init_creds_opt_free": (handle, handle),
    }
    for result, group in ((c_int, signatures), (None, releases)):
        for name, arguments in group.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    library.krb5_get_error_message.restype = handle
    library.krb5_get_error_message.argtypes = (handle, c_int32)
    return library
