"""A real Kerberos realm on this machine: MIT's KDC as a child process, its principals, keytabs and tickets.

127.0.0.1 only. Several realms may run side by side: nothing is read from /etc/krb5.conf.
"""

import os
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import free_port
from tests.support.processes import Child, bound_to_us, program

SERVICE_HOST = "localhost"  # the host part of every service principal, as Java finds it for 127.0.0.1
SERVICES = ("nn", "dn", "jn", "rt", "HTTP")
SUPERUSER = "hdfs"
SECOND_KMS = "HTTP/127.0.0.2"
USERS = (SUPERUSER, "alice", "bob", "ferry")
_CURE = "Debian: apt-get install krb5-kdc krb5-admin-server krb5-user, or run `make setup` as root"
_COMMAND_S = 60

_KRB5_CONF = """[libdefaults]
 default_realm = {realm}
 dns_lookup_realm = false
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
 ticket_lifetime = 24h
 renew_lifetime = 7d
 forwardable = true
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
[domain_realm]
 {host} = {realm}
"""

_KDC_CONF = """[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/kadm5.acl
  max_life = 24h
  max_renewable_life = 7d
  default_principal_flags = +preauth
  supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
 }}
[logging]
 kdc = FILE:{folder}/kdc.log
"""


def _program(name: str) -> str:
    """Returns the path of one of Kerberos' programs; Debian keeps the server's in /usr/sbin, which users may lack."""
    place = Path("/usr/sbin") / name
    return str(place) if place.exists() else program(name, _CURE)


def _faketime() -> str:
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        raise FileNotFoundError("libfaketime is missing; Debian: apt-get install libfaketime, or `make setup` as root")
    return str(found)


def _run(command: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> str:
    done = subprocess.run(
        bound_to_us(command), env=environment, input=stdin, capture_output=True, text=True, timeout=_COMMAND_S
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} exited with {done.returncode}: {(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Realm:
    """What servers and clients must know of a realm: its name, its krb5.conf, and the folder of its keytabs."""

    name: str
    folder: Path
    port: int

    @property
    def krb5_conf(self) -> Path:
        """The clients' configuration; it names this realm only."""
        return self.folder / "krb5.conf"

    def keytab(self, name: str) -> Path:
        """Returns the keytab of a user (alice) or of a service (nn, dn, jn, rt, HTTP, HTTP/otherhost)."""
        return self.folder / "keytabs" / f"{name.replace('/', '_')}.keytab"

    def principal(self, name: str) -> str:
        """Returns the full principal: alice@REALM, or nn/localhost@REALM for a service."""
        return f"{name}/{SERVICE_HOST}@{self.name}" if name in SERVICES else f"{name}@{self.name}"

    def client_environment(self, cache: Path | None = None) -> dict[str, str]:
        """Returns the environment of MIT's tools: this realm, and `cache` (by default none that exists) for tickets."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("KRB5")},
            "KRB5_CONFIG": str(self.krb5_conf),
            "KRB5CCNAME": f"FILE:{cache or self.folder / 'no-tickets'}",
        }


@dataclass(slots=True)
class Kdc:
    """A running KDC; `start` makes one with all principals of SERVICES and USERS."""

    realm: Realm
    child: Child | None = None

    @classmethod
    def start(cls, folder: Path, realm: str = "ALPHA.TEST") -> Self:
        """Makes a realm in an empty folder and starts its KDC (about 1 s)."""
        kdc = cls(Realm(realm, folder.absolute(), free_port()))
        (folder / "keytabs").mkdir(parents=True)
        values = {"realm": realm, "port": kdc.realm.port, "folder": kdc.realm.folder, "host": SERVICE_HOST}
        kdc.realm.krb5_conf.write_text(_KRB5_CONF.format(**values))
        (folder / "kdc.conf").write_text(_KDC_CONF.format(**values))
        _run((_program("kdb5_util"), "create", "-s", "-r", realm, "-P", "master"), kdc._environment())
        kdc.add_principals((*SERVICES, SECOND_KMS, *USERS))
        kdc.start_process()
        return kdc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _environment(self) -> dict[str, str]:
        return {**self.realm.client_environment(), "KRB5_KDC_PROFILE": str(self.realm.folder / "kdc.conf")}

    def start_process(self, environment: Mapping[str, str] | None = None) -> None:
        """Starts the KDC (again, with its old keys) and returns when it answers; `environment` adds to its own."""
        command = (_program("krb5kdc"), "-n", "-P", str(self.realm.folder / "kdc.pid"))
        log = self.realm.folder / "kdc.out"
        self.child = Child.start("kdc", command, log, environment={**self._environment(), **(environment or {})})
        self.child.wait_ready(self._listens)

    def _listens(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.realm.port), timeout=5):
            return True

    def stop(self) -> None:
        """Ends the KDC; keys and keytabs stay, so `start_process` brings the same realm back."""
        if self.child is not None:
            self.child.stop()

    @contextmanager
    def skewed(self, offset: str) -> Iterator[Realm]:
        """Runs a second KDC on the same keys whose clock is off, such as by `+10m`; gives the realm as its clients see
        it."""
        realm = replace(self.realm, folder=self.realm.folder / f"skewed{offset}", port=free_port())
        realm.folder.mkdir()
        (realm.folder / "keytabs").symlink_to(self.realm.folder / "keytabs")
        for name in ("krb5.conf", "kdc.conf"):
            text = (self.realm.folder / name).read_text()
            (realm.folder / name).write_text(text.replace(f":{self.realm.port}", f":{realm.port}"))
        with Kdc(realm) as other:
            other.start_process({"LD_PRELOAD": _faketime(), "FAKETIME": offset})
            yield realm

    # ---- principals --------------------------------------------------------------------------------------------

    def kadmin(self, *commands: str) -> str:
        """Runs commands of kadmin.local and returns what they print (it reports errors in words only)."""
        return _run((_program("kadmin.local"),), self._environment(), "".join(f"{command}\n" for command in commands))

    def add_principals(self, names: Iterable[str], options: str = "") -> None:
        """Makes principals with random keys and keytabs of their own; options are kadmin's, such as -maxlife 30s."""
        wanted = tuple(names)
        commands = [
            command
            for name in wanted
            for command in (
                f"addprinc -randkey {options} {self.realm.principal(name)}",
                f"ktadd -k {self.realm.keytab(name)} {self.realm.principal(name)}",
            )
        ]
        said = self.kadmin(*commands)
        missing = [name for name in wanted if not self.realm.keytab(name).exists()]
        if missing:
            raise RuntimeError(f"kadmin made no keytabs of {missing}: {said[-2000:]}")

    def wrong_keytab(self, name: str) -> Path:
        """Returns a keytab with the principal of a user but not its key."""
        path = self.realm.folder / "keytabs" / f"{name}.wrong.keytab"
        add = f"addent -password -p {self.realm.principal(name)} -k 1 -e aes256-cts-hmac-sha1-96\nnot the key\n"
        path.unlink(missing_ok=True)
        _run((_program("ktutil"),), self.realm.client_environment(), f"{add}wkt {path}\nquit\n")
        return path

    def kinit(self, name: str, cache: Path, *options: str) -> Path:
        """Logs a user in by keytab and returns the ticket cache; options are kinit's, such as -l 30s."""
        command = (program("kinit", _CURE), *options, "-kt", str(self.realm.keytab(name)), self.realm.principal(name))
        _run(command, self.realm.client_environment(cache))
        return cache
