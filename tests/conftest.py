# SPDX-License-Identifier: MIT
"""Fixtures; tests/README.md explains them. Everything starts inside support.world's namespaces."""
import pathlib
import shutil
import signal
import tempfile

import pytest

from support import airlock as airlock_module
from support import dns_server, hostd as hostd_module, origins, peer, pki, probes, process, sanitizer, transport
from support import upstream, world


def pytest_configure(config):
	"""Before any test and any thread: leave the machine's network."""
	try:
		world.enter()
	except Exception as error:
		raise pytest.UsageError(f"the tests need network and mount namespaces of their own: {error}")


def pytest_collection_modifyitems(items):
	for item in items:
		if why := sanitizer.why_not(item.nodeid):
			item.add_marker(pytest.mark.skip(reason=f"not with the library's sanitizer: {why}"))
	if transport.IS_VSOCK:
		for item in items:
			if mark := item.get_closest_marker("stand_in"):
				item.add_marker(pytest.mark.skip(reason=f"only on the unix stand-in: {mark.args[0]}"))


def pytest_make_parametrize_id(config, val, argname):
	"""Long parameters are named by their size."""
	if isinstance(val, (str, bytes)) and len(val) > 80:
		return f"{argname}-of-{len(val)}"
	return None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
	"""A test that hangs fails: after three minutes, or as many seconds as its mark `limit` says."""
	mark = item.get_closest_marker("limit")
	seconds = mark.args[0] if mark else 180

	def give_up(*_):
		raise TimeoutError(f"the test still ran after {seconds} s")

	before = signal.signal(signal.SIGALRM, give_up)
	signal.setitimer(signal.ITIMER_REAL, seconds)
	yield
	signal.setitimer(signal.ITIMER_REAL, 0)
	signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def session_directory():
	"""Short and open to other users, unlike pytest's own: socket paths are limited to 107 bytes, and
	postgres is another user."""
	path = pathlib.Path(tempfile.mkdtemp(prefix="airlock-", dir="/tmp"))
	path.chmod(0o755)
	yield path
	shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def directory():
	"""A short-named directory for one test."""
	path = pathlib.Path(tempfile.mkdtemp(prefix="airlock-", dir="/tmp"))
	path.chmod(0o755)
	yield path
	shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _sanitizer_reports():
	yield
	sanitizer.remove_directory()


@pytest.fixture(autouse=True)
def sanitizer_reports(_sanitizer_reports):
	"""What the library's sanitizer found, in whichever process, fails the test in which it did."""
	yield
	reports = sanitizer.take_reports()
	assert not reports, "\n".join(reports)


@pytest.fixture(scope="session")
def dns_service():
	server = dns_server.DnsServer()
	yield server
	server.stop()


@pytest.fixture(autouse=True)
def dns(dns_service):
	"""The DNS server, knowing origins.NAMES and nothing else."""
	dns_service.reset()
	for name, addresses in origins.NAMES.items():
		dns_service.add(name, *addresses)
	return dns_service


@pytest.fixture
def peers():
	"""Scriptable origins on public-looking addresses: see support/peer.py."""
	all_peers = peer.Peers(world.PUBLIC, world.PUBLIC_6)
	yield all_peers
	all_peers.stop()


@pytest.fixture
def upstreams():
	"""Scriptable SOCKS5 and HTTP CONNECT proxies: see support/upstream.py."""
	all_upstreams = upstream.Upstreams("127.0.0.1")
	yield all_upstreams
	all_upstreams.stop()


@pytest.fixture
def hostd(directory):
	"""hostd(rules=..., upstream=..., limit=..., timeouts=..., extra=...) starts an airlock-hostd and
	returns it ready. At the end of the test each must stop cleanly, without a sanitizer's report."""
	running = []

	def start(env=None, prefix=(), **settings):
		place = directory / f"hostd-{len(running)}"
		place.mkdir()
		endpoint = transport.new_endpoint(place)
		config = hostd_module.write_config(place / "hostd.conf", place, endpoint=endpoint, **settings)
		running.append(hostd_module.Hostd(config, endpoint, place, env, prefix))
		return running[-1]

	yield start
	failures = []
	for daemon in running:
		try:
			daemon.check_clean_end()
		except AssertionError as error:
			failures.append(str(error))
	assert not failures, "\n".join(failures)


@pytest.fixture
def airlock(directory, hostd):
	"""Runs programs with (run, popen), without (native), or both: see support/airlock.py."""
	return airlock_module.Airlock(directory, hostd)


@pytest.fixture
def both(airlock):
	"""both(command) runs it natively in the world and under Airlock in an empty network namespace."""
	return airlock.both


@pytest.fixture
def background():
	"""background(daemon) returns it and stops it when the test is over."""
	running = []

	def keep(daemon):
		running.append(daemon)
		return daemon

	yield keep
	for daemon in reversed(running):
		daemon.stop()


@pytest.fixture(scope="session")
def _probes():
	return probes.Probes()


@pytest.fixture
def probe(_probes, request):
	"""probe("name") compiles name.c from the test's own directory and returns the program's path."""
	here = pathlib.Path(request.path).parent
	return lambda name, *flags: _probes.build(here / f"{name}.c", (*flags, *sanitizer.probe_flags()))


# --- origins, for the whole session

def _need(*programs):
	for program in programs:
		if not process.which(program):
			pytest.skip(f"{program} is not installed")


def _serve(start):
	daemon = start()
	yield daemon
	daemon.stop()


@pytest.fixture(scope="session")
def authority(session_directory):
	"""The CA of every TLS origin: authority.ca is the file to trust."""
	return pki.Issuer(session_directory / "ca", "Test CA")


@pytest.fixture(scope="session")
def web(session_directory, authority):
	_need("nginx")
	yield from _serve(lambda: origins.Web(session_directory / "web", authority))


@pytest.fixture(scope="session")
def redis(session_directory):
	_need("redis-server", "redis-cli")
	yield from _serve(lambda: origins.Redis(session_directory / "redis"))


@pytest.fixture(scope="session")
def postgres(session_directory):
	_need("psql")
	if not origins.find_postgres():
		pytest.skip("the PostgreSQL server is not installed")
	if not world.is_real_root:
		pytest.skip("the PostgreSQL server must be started by root, to become another user")
	yield from _serve(lambda: origins.Postgres(session_directory / "postgres"))


@pytest.fixture(scope="session")
def sshd(session_directory):
	_need("sshd", "ssh")
	if not world.is_real_root:
		pytest.skip("sshd must be started by root, to become other users")
	yield from _serve(lambda: origins.Ssh(session_directory / "ssh"))


@pytest.fixture(scope="session")
def git_commit(web):
	"""The commit of https://web.test/repo.git."""
	_need("git")
	return origins.make_git_repository(web)
