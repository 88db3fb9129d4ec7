"""Locations are read byte for byte; what is no location is refused with the cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from blockferry.cli.options import Addressing, HdfsOptions, Protection, S3Options
from blockferry.cli.uris import parse_destination, parse_location
from blockferry.errors import BlockferryError
from blockferry.v1.location_pb2 import HdfsLocation, S3Location

HDFS, S3 = HdfsOptions(), S3Options()


@pytest.mark.parametrize(
    ("uri", "namenodes", "root"),
    [
        ("hdfs://nn:9000/a/b", ["nn:9000"], "/a/b"),
        ("hdfs://nn/a/", ["nn:8020"], "/a"),
        ("hdfs://nn/", ["nn:8020"], "/"),
        ("hdfs://nn1:8020,nn2:8020/a", ["nn1:8020", "nn2:8020"], "/a"),
        ("hdfs://nn/a%20b/c?d#e", ["nn:8020"], "/a%20b/c?d#e"),
        ("hdfs://[::1]:8020/a", ["[::1]:8020"], "/a"),
    ],
)
def test_hdfs(uri: str, namenodes: list[str], root: str) -> None:
    hdfs = parse_location(uri, HDFS, S3).hdfs
    assert (list(hdfs.namenodes), hdfs.root) == (namenodes, root)


@pytest.mark.parametrize(
    ("uri", "nameservice", "namenodes"),
    [
        ("hdfs://ns1/a", "ns1", []),
        ("viewfs://all/a", "all", []),
        ("hdfs:///a", "", []),
        ("hdfs://nn:9000/a", "", ["nn:9000"]),
        ("hdfs://nn1,nn2/a", "", ["nn1:8020", "nn2:8020"]),
    ],
)
def test_site_files_explain_logical_names(uri: str, nameservice: str, namenodes: list[str]) -> None:
    hdfs = parse_location(uri, HdfsOptions(hdfs_conf="/etc/hadoop/conf"), S3).hdfs
    assert (hdfs.nameservice, list(hdfs.namenodes), hdfs.conf_dir) == (nameservice, namenodes, "/etc/hadoop/conf")


def test_how_to_log_in_to_hdfs() -> None:
    options = HdfsOptions(
        "", "alice", "ferry@R", "/k", "/krb5.conf", "kms://http@k:1/kms", Protection.PRIVACY, Protection.INTEGRITY
    )
    assert parse_location("hdfs://nn/a", options, S3).hdfs == HdfsLocation(
        namenodes=["nn:8020"],
        root="/a",
        user="alice",
        principal="ferry@R",
        keytab="/k",
        krb5_conf="/krb5.conf",
        kms_uri="kms://http@k:1/kms",
        rpc_protection=HdfsLocation.PROTECTION_PRIVACY,
        transfer_protection=HdfsLocation.PROTECTION_INTEGRITY,
    )


@pytest.mark.parametrize("options", [HdfsOptions(hdfs_principal="a@R"), HdfsOptions(hdfs_keytab="/k")])
def test_a_principal_and_its_keytab_are_given_together(options: HdfsOptions) -> None:
    with pytest.raises(BlockferryError) as caught:
        parse_location("hdfs://nn/a", options, S3)
    assert caught.value.reason == "INVALID_CREDENTIALS_REFERENCE"


def test_options_of_an_hdfs_destination_are_for_one() -> None:
    hdfs = HdfsOptions(hdfs_user="alice")
    assert parse_destination("hdfs://nn/a", hdfs, S3).hdfs.user == "alice"
    assert parse_destination("s3://b", HDFS, S3).s3.bucket == "b"
    with pytest.raises(BlockferryError) as caught:
        parse_destination("s3://b", hdfs, S3)
    assert caught.value.reason == "INVALID_OPTION"


def test_paths_become_independent_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = HdfsOptions(hdfs_conf="conf", hdfs_keytab="/k", hdfs_user="u").absolute()
    assert options == HdfsOptions(hdfs_conf=str(tmp_path / "conf"), hdfs_keytab="/k", hdfs_user="u")


@pytest.mark.parametrize(
    ("uri", "bucket", "prefix"),
    [("s3://b", "b", ""), ("s3://b/", "b", ""), ("s3a://b/x/y", "b", "x/y"), ("s3://b/a%20b", "b", "a%20b")],
)
def test_s3(uri: str, bucket: str, prefix: str) -> None:
    s3 = parse_location(uri, HDFS, S3).s3
    assert (s3.bucket, s3.prefix) == (bucket, prefix)


def test_options_that_a_uri_cannot_say() -> None:
    options = S3Options(s3_endpoint="http://s", s3_addressing=Addressing.VIRTUAL, s3_profile="p", ca_bundle="/ca.pem")
    s3 = parse_location("s3://b", HDFS, options).s3
    assert (s3.endpoint, s3.credentials.profile, s3.ca_bundle) == ("http://s", "p", "/ca.pem")
    assert s3.addressing_style == S3Location.ADDRESSING_STYLE_VIRTUAL


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "b",
        "ftp://h/a",
        "hdfs://",
        "hdfs:///a",
        "hdfs://nn",
        "hdfs://u@nn:1/a",
        "hdfs://nn:x/a",
        "viewfs://all/a",
        "s3://",
        "s3:///a",
    ],
)
def test_what_is_no_location_is_refused(uri: str) -> None:
    with pytest.raises(BlockferryError) as caught:
        parse_location(uri, HDFS, S3)
    assert caught.value.reason == "INVALID_URI"
    assert "hdfs://HOST:PORT/path" in caught.value.message


def test_credentials_are_named_in_one_way() -> None:
    with pytest.raises(BlockferryError) as caught:
        parse_location("s3://b", HDFS, S3Options(s3_profile="p", s3_credentials_file="/f"))
    assert caught.value.reason == "INVALID_CREDENTIALS_REFERENCE"
