"""Locations as people write them: `hdfs://HOST:PORT/path` and `s3://bucket/prefix`. Pure.

With site files (`--hdfs-conf`) the host of an HDFS URI may be a logical name, `hdfs://nameservice/path`; without any
name, `hdfs:///path`, it is their `fs.defaultFS`. `viewfs://table/path` is a mount table of the site files.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from blockferry.cli.options import Addressing, HdfsOptions, Protection, S3Options
from blockferry.errors import BlockferryError, Whose
from blockferry.v1.location_pb2 import CredentialsReference, HdfsLocation, Location, S3Location

DEFAULT_NAMENODE_PORT = 8020
_NAME = re.compile(r"[A-Za-z0-9._-]+")  # without a port: with site files, they know what it means


def parse_location(uri: str, hdfs: HdfsOptions, s3: S3Options) -> Location:
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
            return Location(hdfs=_hdfs(uri, rest, hdfs, is_view=scheme == "viewfs"))
        case "s3" | "s3a":
            return Location(s3=_s3(uri, rest, s3))
        case _:
            raise _invalid(uri, f"the scheme {scheme!r} is not known")


def parse_destination(uri: str, hdfs: HdfsOptions, s3: S3Options) -> Location:
    """Returns the location that `uri` names. `hdfs`: the options that begin with --dest-.

    Raises:
        BlockferryError: INVALID_URI; INVALID_OPTION when options for HDFS are given and it is none.
    """
    location = parse_location(uri, hdfs, s3)
    if hdfs != HdfsOptions() and location.WhichOneof("store") != "hdfs":
        text = f"{uri} is not in HDFS: the options that begin with --dest- are for a destination in HDFS."
        raise BlockferryError("INVALID_OPTION", text, whose=Whose.CALLER, uri=uri)
    return location


def _hdfs(uri: str, rest: str, options: HdfsOptions, is_view: bool) -> HdfsLocation:
    authority, slash, path = rest.partition("/")
    if not authority and not options.hdfs_conf:
        raise _invalid(uri, "it names no NameNode, and no site files are given (--hdfs-conf) that do")
    if not slash:
        raise _invalid(uri, "it names no path (for everything write a slash at its end)")
    if is_view and not options.hdfs_conf:
        raise _invalid(uri, "a mount table is explained by site files: give their folder by --hdfs-conf")
    if bool(options.hdfs_principal) != bool(options.hdfs_keytab):
        given, missing = ("principal", "keytab") if options.hdfs_principal else ("keytab", "principal")
        text = f"--hdfs-{given} is given without --hdfs-{missing}: give both, or neither for the ticket cache."
        raise BlockferryError("INVALID_CREDENTIALS_REFERENCE", text, whose=Whose.CALLER)
    protections = {
        None: HdfsLocation.PROTECTION_UNSPECIFIED,
        Protection.AUTHENTICATION: HdfsLocation.PROTECTION_AUTHENTICATION,
        Protection.INTEGRITY: HdfsLocation.PROTECTION_INTEGRITY,
        Protection.PRIVACY: HdfsLocation.PROTECTION_PRIVACY,
    }
    is_logical = bool(options.hdfs_conf) and _NAME.fullmatch(authority) is not None
    return HdfsLocation(
        namenodes=[] if is_logical or not authority else [_with_default_port(uri, one) for one in authority.split(",")],
        nameservice=authority if is_logical else "",
        root="/" + path.strip("/"),
        user=options.hdfs_user,
        conf_dir=options.hdfs_conf,
        principal=options.hdfs_principal,
        keytab=options.hdfs_keytab,
        krb5_conf=options.krb5_conf,
        kms_uri=options.kms_uri,
        rpc_protection=protections[options.hdfs_rpc_protection],
        transfer_protection=protections[options.hdfs_transfer_protection],
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


def _s3(uri: str, rest: str, options: S3Options) -> S3Location:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise _invalid(uri, "it names no bucket")
    styles = {
        None: S3Location.ADDRESSING_STYLE_UNSPECIFIED,
        Addressing.PATH: S3Location.ADDRESSING_STYLE_PATH,
        Addressing.VIRTUAL: S3Location.ADDRESSING_STYLE_VIRTUAL,
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


def _credentials(options: S3Options) -> CredentialsReference | None:
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
