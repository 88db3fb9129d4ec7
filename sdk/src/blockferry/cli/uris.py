"""Locations as people write them: `hdfs://HOST:PORT/path` and `s3://bucket/prefix`. Pure.

With site files (`--hdfs-conf`) the host of an HDFS URI may be a logical name, `hdfs://nameservice/path`; without any
name, `hdfs:///path`, it is their `fs.defaultFS`. `viewfs://table/path` is a mount table of the site files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from blockferry.errors import BlockferryError, Whose
from blockferry.v1.location_pb2 import CredentialsReference, HdfsLocation, Location, S3Location

DEFAULT_NAMENODE_PORT = 8020
_NAME = re.compile(r"[A-Za-z0-9._-]+")  # without a port: with site files, they know what it means


@dataclass(frozen=True, slots=True)
class HdfsOptions:
    """What the URI of an HDFS location cannot say. Empty: the default. `rpc_protection` and `transfer_protection` are
    Hadoop's words: authentication, integrity, privacy."""

    conf: str = ""
    user: str = ""
    principal: str = ""
    keytab: str = ""
    krb5_conf: str = ""
    kms_uri: str = ""
    rpc_protection: str = ""
    transfer_protection: str = ""

    def absolute(self) -> HdfsOptions:
        """Returns the same with paths that do not depend on the current folder."""
        paths = {"conf": self.conf, "keytab": self.keytab, "krb5_conf": self.krb5_conf}
        return replace(self, **{name: str(Path(path).absolute()) for name, path in paths.items() if path})


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What a URI cannot say. Empty: the default."""

    hdfs: HdfsOptions = HdfsOptions()
    s3_endpoint: str = ""
    s3_region: str = ""
    s3_addressing: str = ""
    s3_profile: str = ""
    s3_credentials_env: str = ""
    s3_credentials_file: str = ""
    s3_storage_class: str = ""
    ca_bundle: str = ""


def parse_location(uri: str, options: StoreOptions) -> Location:
    """Returns the location that `uri` names.

    The path is taken byte for byte: nothing in it is decoded, so `%20`, `?` and `#` stand for themselves.

    Raises:
        BlockferryError: INVALID_URI with what is wrong and what is expected.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        raise _invalid(uri, "it has no scheme")
    match scheme:
        case "hdfs" | "viewfs":
            return Location(hdfs=_hdfs(uri, rest, options.hdfs, is_view=scheme == "viewfs"))
        case "s3" | "s3a":
            return Location(s3=_s3(uri, rest, options))
        case _:
            raise _invalid(uri, f"the scheme {scheme!r} is not known")


def parse_destination(uri: str, options: StoreOptions, hdfs: HdfsOptions) -> Location:
    """Returns the location that `uri` names, with its own options for HDFS.

    Raises:
        BlockferryError: INVALID_URI; INVALID_OPTION when options for HDFS are given and it is none.
    """
    location = parse_location(uri, replace(options, hdfs=hdfs))
    if hdfs != HdfsOptions() and location.WhichOneof("store") != "hdfs":
        text = f"{uri} is not in HDFS: the options that begin with --dest- are for a destination in HDFS."
        raise BlockferryError("INVALID_OPTION", text, whose=Whose.CALLER, uri=uri)
    return location


def _hdfs(uri: str, rest: str, options: HdfsOptions, is_view: bool) -> HdfsLocation:
    authority, slash, path = rest.partition("/")
    if not authority and not options.conf:
        raise _invalid(uri, "it names no NameNode, and no site files are given (--hdfs-conf) that do")
    if not slash:
        raise _invalid(uri, "it names no path (for everything write a slash at its end)")
    if is_view and not options.conf:
        raise _invalid(uri, "a mount table is explained by site files: give their folder by --hdfs-conf")
    if bool(options.principal) != bool(options.keytab):
        given, missing = ("principal", "keytab") if options.principal else ("keytab", "principal")
        text = f"--hdfs-{given} is given without --hdfs-{missing}: give both, or neither for the ticket cache."
        raise BlockferryError("INVALID_CREDENTIALS_REFERENCE", text, whose=Whose.CALLER)
    protections = {
        "": HdfsLocation.PROTECTION_UNSPECIFIED,
        "authentication": HdfsLocation.PROTECTION_AUTHENTICATION,
        "integrity": HdfsLocation.PROTECTION_INTEGRITY,
        "privacy": HdfsLocation.PROTECTION_PRIVACY,
    }
    is_logical = bool(options.conf) and _NAME.fullmatch(authority) is not None
    return HdfsLocation(
        namenodes=[] if is_logical or not authority else [_with_default_port(uri, one) for one in authority.split(",")],
        nameservice=authority if is_logical else "",
        root="/" + path.strip("/"),
        user=options.user,
        conf_dir=options.conf,
        principal=options.principal,
        keytab=options.keytab,
        krb5_conf=options.krb5_conf,
        kms_uri=options.kms_uri,
        rpc_protection=protections[options.rpc_protection],
        transfer_protection=protections[options.transfer_protection],
    )


def _with_default_port(uri: str, namenode: str) -> str:
    try:
        parts = urlsplit(f"//{namenode}")
        port = parts.port
    except ValueError:
        raise _invalid(uri, f"{namenode!r} is no HOST:PORT") from None
    if not parts.hostname or "@" in namenode:
        raise _invalid(uri, f"{namenode!r} is no HOST:PORT (give the user by --hdfs-user)")
    return namenode if port else f"{namenode}:{DEFAULT_NAMENODE_PORT}"


def _s3(uri: str, rest: str, options: StoreOptions) -> S3Location:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise _invalid(uri, "it names no bucket")
    styles = {
        "": S3Location.ADDRESSING_STYLE_UNSPECIFIED,
        "path": S3Location.ADDRESSING_STYLE_PATH,
        "virtual": S3Location.ADDRESSING_STYLE_VIRTUAL,
    }
    location = S3Location(
        bucket=bucket,
        prefix=prefix,
        endpoint=options.s3_endpoint,
        region=options.s3_region,
        addressing_style=styles[options.s3_addressing],
        ca_bundle=options.ca_bundle,
        storage_class=options.s3_storage_class,
    )
    if reference := _credentials(options):
        location.credentials.CopyFrom(reference)
    return location


def _credentials(options: StoreOptions) -> CredentialsReference | None:
    given = {
        "profile": options.s3_profile,
        "environment": options.s3_credentials_env,
        "file": options.s3_credentials_file,
    }
    chosen = {kind: value for kind, value in given.items() if value}
    if len(chosen) > 1:
        names = ", ".join(sorted(chosen))
        text = f"Credentials are given in {len(chosen)} ways ({names}): give one."
        raise BlockferryError("INVALID_CREDENTIALS_REFERENCE", text, whose=Whose.CALLER)
    return CredentialsReference(**chosen) if chosen else None


def _invalid(uri: str, what: str) -> BlockferryError:
    text = f"{uri!r} is no location: {what}. Write hdfs://HOST:PORT/path or s3://bucket/prefix."
    return BlockferryError("INVALID_URI", text, whose=Whose.CALLER, uri=uri)
