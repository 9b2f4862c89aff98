# SPDX-License-Identifier: MIT
"""Fixtures of the TLS tests."""
import pytest

from support import origins, pki as pki_module, process, tls_route, tls_servers, world
from support.hostd import build_directory


@pytest.fixture(scope="session")
def pki(session_directory):
	"""Good and bad certificates: see support/pki.py."""
	return pki_module.Pki(session_directory / "pki")


@pytest.fixture
def tls(directory, airlock, pki, background, dns):
	"""Programs on tls routes: see support/tls_route.py."""
	for name, address in tls_servers.NAMES.items():
		dns.add(name, address)
	assert (build_directory() / "bin/airlock-tls").exists(), "airlock-tls is not built"
	route = tls_route.TlsRoute(directory, airlock, pki, background)
	yield route
	route.check_clean_ends()


def _serve(start):
	daemon = start()
	yield daemon
	daemon.stop()


@pytest.fixture(scope="session")
def tls_web(session_directory, pki):
	yield from _serve(lambda: tls_servers.TlsWeb(session_directory / "tls-web", pki))


@pytest.fixture(scope="session")
def tls_redis(session_directory, pki):
	yield from _serve(lambda: tls_servers.TlsRedis(session_directory / "tls-redis", pki))


@pytest.fixture(scope="session")
def tls_postgres(session_directory, pki):
	if not process.which("psql") or not origins.find_postgres() or not world.is_real_root:
		pytest.skip("needs PostgreSQL, and root to start it as another user")
	yield from _serve(lambda: tls_servers.TlsPostgres(session_directory / "tls-postgres", pki))
