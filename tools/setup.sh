#!/usr/bin/env bash
# Makes .venv with exactly the versions of constraints.txt, and the missing Debian packages when run as root.
# Quick when nothing has changed. Never touches anything outside this folder except through apt-get.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/setup.stamp
say() { printf 'setup: %s\n' "$*" >&2; }

python=$(command -v python3.11 || command -v python3 || true)

# --- programs: what each is for, and the Debian package that has it ---------------------------------------------
missing=()
[ -n "$python" ] || missing+=(python3)
{ [ -n "$python" ] && "$python" -c 'import ensurepip, venv'; } 2>/dev/null || missing+=(python3-venv)
command -v javac >/dev/null || missing+=(openjdk-17-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v openssl >/dev/null || missing+=(openssl)
command -v setpriv >/dev/null || missing+=(util-linux)
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || missing+=(postgresql)
# Kerberos: a realm for the tests, with a clock that can be set wrong
{ [ -x /usr/sbin/krb5kdc ] && [ -x /usr/sbin/kadmin.local ]; } || missing+=(krb5-kdc krb5-admin-server)
command -v kinit >/dev/null || missing+=(krb5-user)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || missing+=(libfaketime)

if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "installing Debian packages: ${missing[*]}"
  if [ ! -e /etc/postgresql-common ]; then
    # the tests start a PostgreSQL of their own: let the package not start one for good
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/blockferry.conf
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
  missing=()
  python=$(command -v python3.11 || command -v python3)
fi
if [ ${#missing[@]} -gt 0 ]; then
  say "missing; run as root: apt-get install ${missing[*]}"
  case " ${missing[*]} " in *" python3 "* | *" python3-venv "*) exit 1 ;; esac
  say "going on without: the demo needs Java and Maven, the integration tests need them all"
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed"; exit 1; }
command -v go >/dev/null || say "no Go: the tests against versitygw will be skipped"

# --- Python packages ----------------------------------------------------------------------------------------------
wanted=$(cat constraints.txt pyproject.toml sdk/pyproject.toml tools/setup.sh | sha256sum; pwd)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  exit 0
fi
say "installing Python packages into $venv"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
rm -f "$stamp"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
pip install --quiet --constraint constraints.txt --upgrade pip setuptools # its pip must know --group
# ./sdk is named beside the root, so that blockferry[cli] is this one and never an index's
# PYTHONWARNINGS: setuptools warns of every editable install of packages that lie side by side
PYTHONWARNINGS=ignore pip install --quiet --constraint constraints.txt --no-build-isolation --editable './sdk[cli]' --editable . --group dev
pip check --quiet
# with these, ray would load a Rust extension into each worker (see docs/architecture.md)
for rust in rpds-py referencing jsonschema-specifications pydantic-core; do
  if pip show --quiet "$rust" 2>/dev/null; then
    say "$rust is installed; remove $venv and run make setup again"
    exit 1
  fi
done
printf '%s\n' "$wanted" > "$stamp"
say "done"
