"""A folder with site files: what is read of it, and what is refused with file, line and cure."""

from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.config.site_folder import read_site
from tests.unit.stores.hdfs.sites import write, xml


def include(href: str, fallback: str = "") -> str:
    return f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{href}">{fallback}</xi:include>'


def refusal(folder: str) -> BlockferryError:
    with pytest.raises(BlockferryError) as error:
        read_site(folder)
    return error.value


def test_both_files_are_read_the_second_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_HOST", "host1")
    site = read_site(write(tmp_path, {"a": "1", "b": "${env.SITE_HOST}:${a}"}, {"a": "2"}))
    assert (site.get("a"), site.get("b")) == ("2", "host1:2")
    assert site.place("a") == f"{tmp_path}/hdfs-site.xml:2"


@pytest.mark.parametrize("name", ["core-site.xml", "hdfs-site.xml"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, {}, {})
    (tmp_path / name).unlink()
    error = refusal(str(tmp_path))
    assert error.reason == "SITE_FILE_MISSING"
    assert f"{tmp_path}/{name} cannot be read (No such file or directory)" in error.message


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, {}, {})
    (tmp_path / "hdfs-site.xml").write_bytes(b"<configuration>\n<property>")
    error = refusal(str(tmp_path))
    assert error.reason == "SITE_FILE_INVALID"
    assert error.message.startswith(f"{tmp_path}/hdfs-site.xml:2: no XML (no element found)")


def test_files_of_the_folder_are_included_where_they_stand(tmp_path: Path) -> None:
    write(tmp_path, {}, {})
    (tmp_path / "core-site.xml").write_bytes(xml({"a": "1", "b": "1"}, include("mounts/table.xml")))
    (tmp_path / "mounts").mkdir()
    (tmp_path / "mounts" / "table.xml").write_bytes(xml({"a": "2"}, include("deeper.xml")))
    (tmp_path / "mounts" / "deeper.xml").write_bytes(xml({"b": "3"}))
    site = read_site(str(tmp_path))
    assert (site.get("a"), site.get("b")) == ("2", "3")
    (tmp_path / "core-site.xml").write_bytes(xml({}, include(f"file://{tmp_path}/mounts/deeper.xml")))
    assert read_site(str(tmp_path)).get("b") == "3"


@pytest.mark.parametrize("href", ["../other/x.xml", "/etc/hadoop/x.xml", "http://host/x.xml", "link.xml", "//host/x"])
def test_nothing_outside_the_folder_is_included(tmp_path: Path, href: str) -> None:
    folder = tmp_path / "conf"
    write(folder, {}, {})
    (folder / "link.xml").symlink_to("../other/x.xml")
    (folder / "hdfs-site.xml").write_bytes(xml({"a": "1"}, include(href)))
    error = refusal(str(folder))
    assert error.reason == "SITE_FILE_INVALID"
    assert error.message.startswith(f"{folder}/hdfs-site.xml:3: it includes {href}, which lies outside")


def test_a_missing_include_is_named_or_replaced_by_its_fallback(tmp_path: Path) -> None:
    write(tmp_path, {}, {})
    (tmp_path / "hdfs-site.xml").write_bytes(xml({}, include("gone.xml")))
    assert refusal(str(tmp_path)).coordinates["file"] == f"{tmp_path}/gone.xml"
    fallback = '<xi:fallback><property name="x" value="1"/></xi:fallback>'
    (tmp_path / "hdfs-site.xml").write_bytes(xml({}, include("gone.xml", fallback)))
    assert read_site(str(tmp_path)).get("x") == "1"


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    write(tmp_path, {}, {})
    (tmp_path / "hdfs-site.xml").write_bytes(xml({}, include("hdfs-site.xml")))
    error = refusal(str(tmp_path))
    assert error.reason == "SITE_FILE_INVALID"
    assert "include each other" in error.message


def test_a_folder_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", {}, {"a": "1"})
    (tmp_path / "real" / "core-site.xml").write_bytes(xml({}, include("hdfs-site.xml")))
    (tmp_path / "conf").symlink_to(tmp_path / "real")
    assert read_site(str(tmp_path / "conf")).get("a") == "1"
