"""Site files: what Hadoop's Configuration makes of them, and errors with their place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.hdfs.config.site import MAX_SUBSTITUTIONS, Include, Property, SiteConfig
from stores.hdfs.config.site_xml import parse
from tests.unit.stores.hdfs.sites import site, xml

# What XML can hold, without \r, which it reads as \n.
TEXT = st.text(st.characters(exclude_characters="\r", exclude_categories=("Cs", "Cc", "Cn")), max_size=30)
NAMES = TEXT.map(str.strip).filter(bool)


def properties(content: str) -> list[tuple[str, str, bool]]:
    items = parse(content.encode(), "x.xml")
    return [(item.name, item.value, item.is_final) for item in items if isinstance(item, Property)]


def refusal(content: bytes) -> BlockferryError:
    with pytest.raises(BlockferryError) as error:
        parse(content, "/conf/hdfs-site.xml")
    assert error.value.reason == "SITE_FILE_INVALID"
    assert error.value.message.startswith(f"/conf/hdfs-site.xml:{error.value.coordinates['line']}: ")
    return error.value


@given(st.dictionaries(NAMES, TEXT, max_size=8))
def test_what_was_written_is_read(said: dict[str, str]) -> None:
    items = parse(xml(said), "x.xml")
    assert {item.name: item.value for item in items if isinstance(item, Property)} == said


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_line(content: bytes) -> None:
    try:
        parse(content, "/conf/hdfs-site.xml")
    except BlockferryError as error:
        assert error.reason == "SITE_FILE_INVALID"
        assert int(error.coordinates["line"]) > 0


def test_all_forms_of_a_property_are_read() -> None:
    said = """<?xml version="1.0"?>
    <?xml-stylesheet type="text/xsl" href="configuration.xsl"?>
    <configuration><!-- a comment -->
      <property><name> a </name><value>1<!-- in it -->2</value><description>of <b>it</b></description></property>
      <property name="b" value="2" final="true"/>
      <property><final> true </final><source>x</source><value><![CDATA[<3>]]></value><name>c</name></property>
      <configuration><property><name>d</name><value/></property></configuration>
      <property><name>without a value</name></property>
      <property><value>without a name</value></property>
    </configuration>"""
    assert properties(said) == [("a", "12", False), ("b", "2", True), ("c", "<3>", True), ("d", "", False)]


def test_an_include_has_its_place_and_its_fallback() -> None:
    content = b"""<configuration xmlns:xi="http://www.w3.org/2001/XInclude">
    <xi:include href="a.xml"/>
    <xi:include href="b.xml">
      <xi:fallback><property name="x" value="1"/><xi:include href="c.xml"/></xi:fallback>
    </xi:include>
    </configuration>"""
    first, second = parse(content, "f")
    assert first == Include("a.xml", "f", 2, None)
    assert isinstance(second, Include)
    assert (second.href, second.line) == ("b.xml", 3)
    assert second.fallback == (Property("x", "1", False, "f", 4), Include("c.xml", "f", 4, None))


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (b"", 1, "no element found"),
        (b"<configuration>\n<property>\n</configuration>", 3, "mismatched tag"),
        (b"\n<properties/>", 2, "<properties>, not <configuration>"),
        (b"<configuration>\n<include/></configuration>", 2, "without href"),
        (b'<!DOCTYPE c [\n<!ENTITY e "x">]><configuration/>', 2, "entity e"),
        (b'<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/passwd">]><configuration/>', 1, "entity e"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(content: bytes, line: int, why: str) -> None:
    error = refusal(content)
    assert error.coordinates["line"] == str(line)
    assert why in error.message


def test_later_ones_win_but_over_final_ones() -> None:
    said = [("a", "1", False), ("b", "1", True), ("a", "2", False), ("b", "2", False)]
    config = SiteConfig(Property(name, value, is_final, "f", 1) for name, value, is_final in said)
    assert (config.get("a"), config.get("b")) == ("2", "1")


def test_old_keys_stand_for_new_ones() -> None:
    config = site({"fs.default.name": "hdfs://old", "dfs.federation.nameservices": "a", "dfs.socket.timeout": "5000"})
    assert config.get("fs.defaultFS") == "hdfs://old"
    assert config.strings("dfs.nameservices") == ("a",)
    assert config.seconds("dfs.client.socket-timeout", 60) == 5
    assert "dfs.nameservices" in config
    provider = site({"dfs.encryption.key.provider.uri": "kms://x"})
    assert provider.get("hadoop.security.key.provider.path") == "kms://x"


def test_variables_are_replaced_also_in_each_other() -> None:
    config = SiteConfig(
        [
            Property("realm", "EXAMPLE", False, "f", 1),
            Property("principal", "nn/_HOST@${realm}", False, "f", 2),
            Property("which", "realm", False, "f", 3),
            Property("nested", "${${which}}-${realm}", False, "f", 4),
            Property("unknown", "${nobody.knows}/${realm}", False, "f", 5),
            Property("env", "${env.SET}-${env.UNSET:-a}-${env.UNSET-b}-${env.EMPTY:-c}-${env.EMPTY-d}", False, "f", 6),
            Property("me", "${user.name}", False, "f", 7),
        ],
        {"env.SET": "s", "env.EMPTY": "", "user.name": "alice"},
    )
    assert config.get("principal") == "nn/_HOST@EXAMPLE"
    assert config.get("nested") == "EXAMPLE-EXAMPLE"
    assert config.get("unknown") == "${nobody.knows}/EXAMPLE"
    assert config.get("env") == "s-a-b-c-"
    assert config.get("me") == "alice"


@pytest.mark.parametrize("said", [{"a": "${a}"}, {"a": "${b}", "b": "x${a}"}, {"a": "${b}${b}", "b": "${a}${a}"}])
def test_a_value_that_refers_to_itself_is_refused_when_it_is_asked_for(said: dict[str, str]) -> None:
    with pytest.raises(BlockferryError) as error:
        site(said).get("a")
    assert error.value.reason == "SITE_FILE_INVALID"
    assert "hdfs-site.xml:1" in error.value.message
    assert error.value.coordinates["property"] == "a"


@given(st.integers(1, 40))
def test_substitution_is_bounded(count: int) -> None:
    config = site({str(number): f"${{{number + 1}}}" for number in range(count)} | {str(count): "end"})
    if count <= MAX_SUBSTITUTIONS:
        assert config.get("0") == "end"
    else:
        with pytest.raises(BlockferryError):
            config.get("0")


@given(st.integers(0, 10**9), st.sampled_from(["ns", "us", "ms", "s", "m", "h", "d", "S", "Ms", ""]))
def test_times_have_units(number: int, unit: str) -> None:
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "": 1e-3}[unit.lower()]
    assert site({"t": f" {number}{unit} "}).seconds("t", 7) == pytest.approx(number * scale)


@given(st.integers(0, 10**9), st.integers(0, 6))
def test_sizes_have_units(number: int, power: int) -> None:
    unit = "_kmgtpe"[power].strip("_")
    assert site({"s": f"{number}{unit}"}).size_bytes("s", 7) == number * 1024**power


def test_what_is_not_said_is_the_default() -> None:
    config = site({"empty": " "})
    for name in ("empty", "missing"):
        assert config.get(name, "d") == "d"
        assert config.seconds(name, 1.5) == 1.5
        assert config.size_bytes(name, 5) == 5
        assert config.count(name, 6) == 6
        assert config.flag(name, True) is True
        assert config.strings(name) == ()
    assert site({"f": "TRUE "}).flag("f", False) is True
    assert site({"f": "false"}).flag("f", True) is False
    assert site({"f": "yes"}).flag("f", True) is True  # as in Hadoop: neither true nor false is nothing said


def test_a_value_of_another_kind_is_refused_with_its_place() -> None:
    config = site({"first": "", "x": "fast"})
    for ask in (config.seconds, config.size_bytes, config.count):
        with pytest.raises(BlockferryError) as error:
            ask("x", 1)
        assert error.value.reason == "SITE_FILE_INVALID"
        assert "hdfs-site.xml:2: the value of x: 'fast'" in error.value.message


def test_values_are_not_shown() -> None:
    assert "secret" not in repr(Property("ssl.client.keystore.password", "secret", False, "f", 1))
    assert "secret" not in repr(site({"p": "secret"}))
