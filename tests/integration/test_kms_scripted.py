"""KmsClient against key servers that misbehave, that want Kerberos or TLS, and that forget whom they know."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.config.cluster import Cluster
from stores.hdfs.zones import kms as kms_module
from stores.hdfs.zones.kms import AVOIDED_FOR_S, KmsClient, KmsLogin
from stores.hdfs.zones.kms_wire import EncryptedKey, KmsAddress, parse_uri
from stores.hdfs.zones.zone_kms import ZoneKms
from tests.support.certificates import Certificates, make_certificates
from tests.support.ports import free_port
from tests.support.scripted_kms import KEY, Said, ScriptedKms

EDEK = EncryptedKey("k1", "k1@0", b"i" * 16, b"m" * 16)
WANTS_KERBEROS = Said(401, b"", {"WWW-Authenticate": "Negotiate"})
COOKIE = {"Set-Cookie": 'hadoop.auth="u=alice&p=alice@R&t=kerberos&e=1&s=x="; Path=/; HttpOnly'}


class Tickets:
    """A Kerberos login of whom every host gets a new token."""

    def __init__(self, principal: str = "alice@REALM") -> None:
        self.principal = principal
        self.hosts: list[str] = []

    def negotiate(self, host: str) -> str:
        self.hosts.append(host)
        return f"Negotiate token{len(self.hosts)}"


@contextmanager
def client(*servers: ScriptedKms, login: KmsLogin | None = None, dead: int = 0) -> Iterator[KmsClient]:
    """Yields a client of these servers, and of others that nobody listens for."""
    hosts = [("localhost", server.port) for server in servers] + [("127.0.0.1", free_port()) for _ in range(dead)]
    with closing(KmsClient(KmsAddress("http", tuple(hosts), "/kms"), login or KmsLogin("alice"))) as made:
        yield made


def failure(kms: KmsClient) -> BlockferryError:
    with pytest.raises(BlockferryError) as error:
        kms.decrypt(EDEK)
    return error.value


def test_one_connection_serves_many_questions() -> None:
    with ScriptedKms() as server, client(server) as kms:
        assert [kms.decrypt(EDEK) for _ in range(3)] == [KEY] * 3
        assert {asked.target for asked in server.asked} == {
            "/kms/v1/keyversion/k1%400/_eek?eek_op=decrypt&user.name=alice"
        }
        assert server.asked[0].headers["Host"] == f"localhost:{server.port}"
        assert server.asked[0].body == {
            "name": "k1",
            "iv": "aWlpaWlpaWlpaWlpaWlpaQ==",
            "material": "bW1tbW1tbW1tbW1tbW1tbQ==",
        }
        assert len(kms._servers[0]._pool._idle) == 1


def test_questions_are_spread_over_the_servers() -> None:
    with ScriptedKms() as one, ScriptedKms() as two, client(one, two) as kms:
        for _ in range(10):
            kms.decrypt(EDEK)
        assert len(one.asked) == len(two.asked) == 5


def test_a_server_that_is_down_is_avoided_for_a_while() -> None:
    now_s = [100.0]
    with ScriptedKms() as alive:
        address = KmsAddress("http", (("127.0.0.1", free_port()), ("localhost", alive.port)), "/kms")
        with closing(KmsClient(address, KmsLogin("alice"), clock=lambda: now_s[0])) as kms:
            for _ in range(4):
                assert kms.decrypt(EDEK) == KEY
            dead = kms._servers[0]
            assert [server is dead for server in kms._order()] == [False, True]
            now_s[0] += AVOIDED_FOR_S
            firsts = {kms._order()[0] is dead for _ in range(2)}
            assert firsts == {False, True}


def test_all_servers_down_is_worth_another_try_later() -> None:
    with client(dead=2) as kms:
        error = failure(kms)
    assert (error.reason, error.retryable, error.whose) == ("KMS_UNAVAILABLE", True, Whose.SOURCE)
    assert error.message.startswith("No server of the KMS can be used: ")


@pytest.mark.parametrize(
    "bad",
    [
        Said(500, b"{}"),
        Said(503, b"busy"),
        Said(200, b"<html>a portal</html>"),
        Said(200, b'{"material": "AAAA"}'),
    ],
)
def test_a_server_that_fails_is_passed_over(bad: Said) -> None:
    with ScriptedKms([bad]) as one, ScriptedKms() as two, client(one, two) as kms:
        assert [kms.decrypt(EDEK) for _ in range(4)] == [KEY] * 4
    with ScriptedKms([bad]) as one, client(one) as kms:
        error = failure(kms)
        assert (error.reason, error.retryable) == ("KMS_UNAVAILABLE", True)
        assert "AAAA" not in str(error)


def test_a_refusal_is_not_asked_for_twice() -> None:
    """Every server of a KMS holds the same rights: another one would only log it once more."""
    body = {"message": "not allowed to do 'DECRYPT_EEK' on 'k1'", "exception": "AuthorizationException"}
    denied = Said(403, json.dumps({"RemoteException": body}).encode())
    with ScriptedKms([denied]) as one, ScriptedKms([denied]) as two, client(one, two) as kms:
        assert failure(kms).reason == "ACCESS_DENIED"
        assert len(one.asked) + len(two.asked) == 1


def test_a_hung_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kms_module, "WAIT_S", 0.2)
    released = threading.Event()

    class Hanging(ScriptedKms):
        def answer(self, asked: object) -> Said:
            released.wait(20)
            return Said()

    with Hanging() as hung, ScriptedKms() as alive, client(hung, alive) as kms:
        try:
            assert [kms.decrypt(EDEK) for _ in range(4)] == [KEY] * 4
        finally:
            released.set()


# ---- Kerberos --------------------------------------------------------------------------------------------------------


def test_a_ticket_is_shown_when_asked_for_and_the_cookie_then() -> None:
    tickets = Tickets()
    with (
        ScriptedKms([WANTS_KERBEROS, Said(headers=COOKIE)]) as server,
        client(server, login=KmsLogin(kerberos=tickets)) as kms,
    ):
        for _ in range(3):
            kms.decrypt(EDEK)
        first, second, third, fourth = server.asked
        assert "user.name=" in first.target
        assert second.headers["Authorization"] == "Negotiate token1"
        assert second.target == third.target == "/kms/v1/keyversion/k1%400/_eek?eek_op=decrypt"
        cookie = 'hadoop.auth="u=alice&p=alice@R&t=kerberos&e=1&s=x="'
        assert third.headers["Cookie"] == fourth.headers["Cookie"] == cookie
        assert "Authorization" not in third.headers
        assert tickets.hosts == ["localhost"]


def test_a_cookie_that_is_forgotten_is_replaced_by_a_new_ticket() -> None:
    tickets = Tickets()
    script = [WANTS_KERBEROS, Said(headers=COOKIE), Said(), WANTS_KERBEROS, Said(headers=COOKIE)]
    with ScriptedKms(script) as server, client(server, login=KmsLogin(kerberos=tickets)) as kms:
        for _ in range(3):
            assert kms.decrypt(EDEK) == KEY
        assert server.asked[4].headers["Authorization"] == "Negotiate token2"
        assert "Cookie" not in server.asked[4].headers


@pytest.mark.parametrize(
    ("principal", "user", "expected"),
    [
        ("ferry@REALM", "alice", "&doAs=alice"),
        ("alice@REALM", "alice", ""),
        ("alice@REALM", "alice@REALM", ""),
        ("alice@REALM", "", ""),
        ("alice/host@REALM", "alice", "&doAs=alice"),
    ],
)
def test_a_principal_stands_for_another_user(principal: str, user: str, expected: str) -> None:
    with (
        ScriptedKms([WANTS_KERBEROS, Said()]) as server,
        client(server, login=KmsLogin(user, Tickets(principal))) as kms,
    ):
        kms.decrypt(EDEK)
        assert server.asked[1].target.partition("eek_op=decrypt")[2] == expected


@pytest.mark.parametrize("login", [KmsLogin("alice"), KmsLogin("alice", Tickets())])
@pytest.mark.parametrize("refusal", [Said(401, b"", {"WWW-Authenticate": "PseudoAuth"}), Said(403, b"<html/>")])
def test_a_login_that_is_not_accepted(login: KmsLogin, refusal: Said) -> None:
    with ScriptedKms([refusal]) as server, client(server, login=login) as kms:
        error = failure(kms)
        assert (error.reason, error.retryable) == ("KMS_LOGIN_REFUSED", False)
        assert len(server.asked) == 1


def test_no_cookie_or_token_shows() -> None:
    login = KmsLogin("alice", Tickets())
    with ScriptedKms([WANTS_KERBEROS, Said(headers=COOKIE)]) as server, client(server, login=login) as kms:
        kms.decrypt(EDEK)
        shown = f"{kms!r} {kms._servers[0]!r} {login!r} {kms._servers[0]._pool!r}"
    assert "hadoop.auth" not in shown
    assert "token" not in shown


# ---- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("kms-tls"))


def test_the_truststore_of_the_site_files_is_trusted(certificates: Certificates, tmp_path: Path) -> None:
    properties = (
        f"<property><name>ssl.client.truststore.location</name><value>{certificates.authority}</value></property>"
    )
    (tmp_path / "ssl-client.xml").write_text(f"<configuration>{properties}</configuration>")
    with ScriptedKms(tls=(certificates.certificate, certificates.key)) as server:
        cluster = Cluster("c", ("nn:8020",), kms_uri=server.uri)
        with closing(ZoneKms(cluster, str(tmp_path), KmsLogin("alice"), lambda: "")) as kms:
            assert [kms.decrypt(EDEK) for _ in range(2)] == [KEY, KEY]


def test_a_certificate_of_its_own_in_the_truststore_is_enough(certificates: Certificates) -> None:
    """As in Java: the server's certificate stands there itself, without its authority."""
    with ScriptedKms(tls=(certificates.certificate, certificates.key)) as server:
        pem = certificates.certificate.read_text()
        with closing(KmsClient(parse_uri(server.uri), KmsLogin("alice"), pem)) as kms:
            assert kms.decrypt(EDEK) == KEY


def test_a_certificate_that_nobody_vouches_for_is_refused(certificates: Certificates) -> None:
    with ScriptedKms(tls=(certificates.certificate, certificates.key)) as server:
        with closing(KmsClient(parse_uri(server.uri), KmsLogin("alice"))) as kms:
            error = failure(kms)
        assert (error.reason, error.retryable, error.whose) == ("KMS_UNTRUSTED", False, Whose.CALLER)
        assert "ssl-client.xml" in error.message
        assert server.asked == []


def test_a_certificate_for_another_host_is_refused(certificates: Certificates) -> None:
    """127.0.0.2 is this machine too, and not in the certificate."""
    with ScriptedKms(tls=(certificates.certificate, certificates.key), address="127.0.0.2") as server:
        address = KmsAddress("https", (("127.0.0.2", server.port),), "/kms")
        with closing(KmsClient(address, KmsLogin("alice"), certificates.authority.read_text())) as kms:
            error = failure(kms)
    assert error.reason == "KMS_UNTRUSTED"
    assert "127.0.0.2" in error.message


# ---- where it is -----------------------------------------------------------------------------------------------------


def test_the_location_goes_before_the_namenode() -> None:
    asked: list[str] = []

    def namenode_says() -> str:
        asked.append("uri")
        return server.uri

    with ScriptedKms() as server:
        for kms_uri, expected in ((server.uri, 0), ("", 1)):
            with closing(ZoneKms(Cluster("c", ("nn:8020",), kms_uri=kms_uri), "", KmsLogin("a"), namenode_says)) as kms:
                assert [kms.decrypt(EDEK) for _ in range(3)] == [KEY] * 3
            assert len(asked) == expected, "asked once, when it is not known"


def test_a_kms_that_nobody_names() -> None:
    with closing(ZoneKms(Cluster("c", ("nn:8020",)), "", KmsLogin("alice"), lambda: "")) as kms:
        with pytest.raises(BlockferryError, match="kms://https@HOST") as error:
            kms.decrypt(EDEK)
    assert error.value.reason == "KMS_NOT_CONFIGURED"
