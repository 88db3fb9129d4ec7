"""HttpPool over real sockets, plain and with TLS: framing, kept connections, early answers, limits of time, proxies."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

import pytest

from stores.http_head import NoHttpError
from stores.http_pool import HttpPool, Route, UnreachableError
from tests.support.certificates import Certificates, make_certificates
from tests.support.ports import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Play = Callable[[socket.socket], None]


class Server:
    """Plays one script per connection, in order; notes what it was asked. As servers do, it lets no small answer wait
    for the client's word about the last one (Nagle): the kernel drops what waits where a connection is closed with
    something unread, and TLS 1.3 has sent its session tickets before."""

    def __init__(self, plays: tuple[Play, ...], tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.connections = 0
        self.thread = threading.Thread(target=self._serve, args=(plays,))
        self.thread.start()

    def _serve(self, plays: tuple[Play, ...]) -> None:
        for play in plays:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            with connection if self.tls is None else self.tls.wrap_socket(connection, server_side=True) as opened:
                with suppress(ConnectionError, ssl.SSLEOFError):  # a client that has heard enough may go
                    play(opened)

    def close(self) -> None:
        self.thread.join(20)
        self.listener.close()


@contextmanager
def serving(*plays: Play) -> Iterator[Server]:
    with closing(Server(plays)) as server:
        yield server


def pool_of(origin: str, *, proxy: str = "", authorities: str = "", wait_s: float = 10.0) -> HttpPool:
    return HttpPool(Route(origin, proxy, authorities, 2.0, wait_s), kept=4)


@dataclass(frozen=True, slots=True)
class Wire:
    """How a server and a pool talk: plain, or by a version of TLS."""

    tls: ssl.SSLContext | None = None
    authorities: str = ""

    @contextmanager
    def open(self, *plays: Play, wait_s: float = 10.0) -> Iterator[tuple[Server, HttpPool]]:
        with closing(Server(plays, self.tls)) as server:
            origin = f"{'https' if self.tls else 'http'}://127.0.0.1:{server.port}"
            with closing(pool_of(origin, authorities=self.authorities, wait_s=wait_s)) as pool:
                yield server, pool


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates") / "tls")


@pytest.fixture(params=["plain", "TLSv1_2", "TLSv1_3"])
def wire(request: pytest.FixtureRequest, certificates: Certificates) -> Wire:
    if request.param == "plain":
        return Wire()
    context = certificates.server_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[request.param]
    return Wire(context, str(certificates.authority))


def request(connection: socket.socket) -> bytes:
    """Returns the next request, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    sizes = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < (int(sizes[0]) if sizes else 0):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def says(*answers: bytes) -> Play:
    """Answers requests of one connection."""

    def play(connection: socket.socket) -> None:
        for answer in answers:
            request(connection)
            connection.sendall(answer)

    return play


def polite(play: Play) -> Play:
    """Says good-bye in TLS before the connection is closed."""

    def played(connection: socket.socket) -> None:
        play(connection)
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(0)
            with suppress(OSError):
                connection.unwrap()  # its word is sent; the other's is not waited for

    return played


def silent_until(done: threading.Event) -> Play:
    """Says nothing for 20 s, or until then."""

    def play(_: socket.socket) -> None:
        done.wait(20)

    return play


def rude(play: Play) -> Play:
    """Closes the connection without a word."""
    return play


def asked(
    answer: bytes, method: str = "GET", wire: Wire | None = None, way: Callable[[Play], Play] = rude
) -> tuple[int, bytes]:
    """Returns what a pool makes of an answer."""
    with (wire or Wire()).open(way(says(answer))) as (_, pool):
        found = pool.ask(method, "/", {"Host": "h"})
        return found.status, found.body


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\ny: 2\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_bodies_of_every_framing(answer: bytes, body: bytes) -> None:
    assert asked(answer)[1] == body


def test_the_answer_to_head_has_no_body() -> None:
    assert asked(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HEAD") == (200, b"")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n", NoHttpError),
        (b"220 mail ready\r\n\r\n", NoHttpError),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, NoHttpError),
    ],
)
@pytest.mark.parametrize("way", [rude, polite])
def test_what_ends_early_or_is_no_answer_is_an_error(
    wire: Wire, answer: bytes, error: type[Exception], way: Callable[[Play], Play]
) -> None:
    with pytest.raises(error):
        asked(answer, wire=wire, way=way)


@pytest.mark.parametrize("way", [rude, polite])
def test_a_connection_is_kept_and_a_closed_one_replaced(wire: Wire, way: Callable[[Play], Play]) -> None:
    with wire.open(way(says(OK, OK)), says(OK)) as (server, pool):
        for _ in range(2):
            assert pool.ask("GET", "/", {"Host": "h"}).body == b"ok"
        assert server.connections == 1
        idle = pool._idle[0]
        while not idle.is_stale():
            pass  # until the server's end has arrived
        assert pool.ask("GET", "/", {"Host": "h"}).body == b"ok"
        assert server.connections == 2


def test_a_connection_with_something_left_is_not_kept(wire: Wire) -> None:
    with wire.open(says(OK + b"more"), says(OK)) as (_, pool):
        for _ in range(2):
            assert pool.ask("GET", "/", {"Host": "h"}).body == b"ok"


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 5_000_000])
def test_bodies_arrive_as_they_are(wire: Wire, size: int) -> None:
    came: list[bytes] = []

    def play(connection: socket.socket) -> None:
        came.append(request(connection))
        connection.sendall(OK)

    body = bytes(number % 251 for number in range(size))
    with wire.open(play) as (_, pool):
        pool.ask("PUT", "/k?a=b", {"Host": "h", "Content-Length": str(size)}, memoryview(body))
    assert came == [b"PUT /k?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + body]


def test_an_answer_before_the_body_was_taken_is_seen(wire: Wire) -> None:
    def play(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")  # and closes

    body = bytes(64 << 20)
    with wire.open(play) as (_, pool):
        assert pool.ask("PUT", "/", {"Host": "h", "Content-Length": str(len(body))}, body).status == 403


@pytest.mark.parametrize("body", [b"", bytes(64 << 20)])
def test_a_silent_server_is_a_timeout(wire: Wire, body: bytes) -> None:
    done = threading.Event()
    with wire.open(silent_until(done), wait_s=0.3) as (_, pool):
        with pytest.raises(TimeoutError):
            pool.ask("PUT", "/", {"Host": "h", "Content-Length": str(len(body))}, body)
        done.set()


def test_a_server_that_does_not_shake_hands_is_a_timeout() -> None:
    done = threading.Event()
    with serving(silent_until(done)) as server:
        with closing(pool_of(f"https://127.0.0.1:{server.port}", wait_s=0.3)) as pool:
            with pytest.raises(TimeoutError, match="handshake"):
                pool.ask("GET", "/", {"Host": "h"})
        done.set()


def test_a_server_that_speaks_no_tls_is_an_error_of_tls() -> None:
    with serving(lambda connection: connection.sendall(OK)) as server:
        with closing(pool_of(f"https://127.0.0.1:{server.port}")) as pool, pytest.raises(ssl.SSLError):
            pool.ask("GET", "/", {"Host": "h"})


def test_nobody_there_is_unreachable() -> None:
    with (
        closing(pool_of(f"http://127.0.0.1:{free_port()}")) as pool,
        pytest.raises(UnreachableError, match="no connection"),
    ):
        pool.ask("GET", "/", {"Host": "h"})


def test_a_stream_gives_slices_and_its_connection_back(wire: Wire) -> None:
    body = bytes(100_000)
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body
    with wire.open(says(long, OK)) as (server, pool):
        head, slices = pool.stream("/", {"Host": "h"}, 7_000)
        pieces = list(slices)
        assert (head.status, b"".join(pieces)) == (200, body)
        assert max(map(len, pieces)) <= 7_000
        assert pool.ask("GET", "/", {"Host": "h"}).body == b"ok"
        assert server.connections == 1


def test_what_came_with_an_answer_and_is_still_encrypted_makes_a_connection_stale(certificates: Certificates) -> None:
    context = certificates.server_context()

    def play(connection: socket.socket) -> None:
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(coming, going, server_side=True)

        def until_done(call: Callable[[], object]) -> None:
            while True:
                try:
                    call()
                    return
                except ssl.SSLWantReadError:
                    connection.sendall(going.read())
                    coming.write(connection.recv(65536))

        until_done(tls.do_handshake)
        until_done(lambda: tls.read(65536))
        tls.write(OK)
        tls.write(b"more")
        connection.sendall(going.read())  # both records at once
        connection.recv(1)

    with serving(play) as server:
        with closing(pool_of(f"https://127.0.0.1:{server.port}", authorities=str(certificates.authority))) as pool:
            assert pool.ask("GET", "/", {"Host": "h"}).body == b"ok"
            assert pool._idle[0].is_stale()


def test_plain_requests_go_through_a_proxy() -> None:
    came: list[bytes] = []

    def play(connection: socket.socket) -> None:
        came.append(request(connection))
        connection.sendall(OK)

    with serving(play) as server:
        proxy = f"http://ada:p%40ss@127.0.0.1:{server.port}"
        with closing(pool_of("http://store.example:9000", proxy=proxy)) as pool:
            assert pool.ask("GET", "/b/k", {"Host": "store.example:9000"}).body == b"ok"
    assert came[0].startswith(b"GET http://store.example:9000/b/k HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic YWRhOnBAc3M=\r\n" in came[0]


def test_tls_goes_through_a_tunnel_and_trusts_only_who_it_was_told(certificates: Certificates) -> None:
    context = certificates.server_context()
    came: list[bytes] = []

    def play(connection: socket.socket) -> None:
        came.append(request(connection))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with ExitStack() as stack:
            inner = stack.enter_context(context.wrap_socket(connection.dup(), server_side=True))
            for _ in range(2):
                came.append(request(inner))
                inner.sendall(OK)

    def untrusted(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with pytest.raises(OSError):
            context.wrap_socket(connection.dup(), server_side=True)

    with serving(play, untrusted) as server:
        proxy = f"http://127.0.0.1:{server.port}"
        with closing(pool_of("https://127.0.0.1:9000", proxy=proxy, authorities=str(certificates.authority))) as pool:
            for _ in range(2):
                assert pool.ask("PUT", "/k", {"Host": "h", "Content-Length": "3"}, b"abc").body == b"ok"
        with closing(pool_of("https://127.0.0.1:9000", proxy=proxy)) as pool, pytest.raises(ssl.SSLError):
            pool.ask("GET", "/k", {"Host": "h"})
    assert came[0].startswith(b"CONNECT 127.0.0.1:9000 HTTP/1.1\r\n")
    assert came[1].endswith(b"\r\n\r\nabc")


def test_a_proxy_that_refuses_makes_it_unreachable() -> None:
    with serving(says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as server:
        proxy = f"http://127.0.0.1:{server.port}"
        with closing(pool_of("https://127.0.0.1:9000", proxy=proxy)) as pool:
            with pytest.raises(UnreachableError, match="407"):
                pool.ask("GET", "/", {"Host": "h"})
