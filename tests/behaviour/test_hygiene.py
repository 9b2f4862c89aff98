# SPDX-License-Identifier: MIT
"""A library in a program that is not its own: other allocators, sanitizers, other roots, few or no
descriptors, no environment, and never a word unless asked."""
import ctypes.util
import os
import pathlib
import re
import shutil

import pytest

from support import peer, process, sanitizer, world
from support.airlock import library

ALLOCATORS = ["jemalloc", "tcmalloc_minimal"]
NOBODY = "65534"


@pytest.fixture
def origin(peers, dns):
	dns.add("echo.test", world.PUBLIC)
	return peers.listen(peer.echo)


def in_enclave(airlock, environment, *command, **options):
	"""A program that is preloaded by hand. Nothing but hostd's socket leads out of there."""
	return process.run([*world.ENCLAVE_PREFIX, "env", *(f"{key}={value}" for key, value in
		environment.items()), *map(str, command)], env=airlock.environment(), **options)


def preloaded(airlock, *others_before, after=()):
	return sanitizer.environment({"LD_PRELOAD": ":".join(map(str, [*others_before, library(), *after])),
		"AIRLOCK_CONF": airlock.config})


# --- other libraries that replace functions

def allocator(name):
	found = ctypes.util.find_library(name)
	if not found:
		pytest.skip(f"{name} is not installed")
	return found


PROGRAMS = {
	"probe": lambda probe, origin: [probe("hygiene"), "threads", origin.host, origin.port],
	"names": lambda probe, origin: [probe("hygiene"), "talk-by-name", "echo.test", origin.port],
	"bytes": lambda probe, origin: [probe("transfer"), "echoed", origin.host, origin.port, "send", 1000001],
	"python": lambda _, origin: ["/usr/bin/python3", "-c", "import asyncio\nasync def talk():\n"
		f"\tr, w = await asyncio.open_connection('echo.test', {origin.port})\n"
		"\tw.write(b'ping'); print(await r.readexactly(4)); w.close()\nasyncio.run(talk())"],
}


@pytest.mark.parametrize("order", ["before", "behind"])
@pytest.mark.parametrize("name", ALLOCATORS)
@pytest.mark.parametrize("program", ["probe", "names", "bytes", "python"])
def test_with_another_allocator(airlock, origin, probe, program, name, order):
	other = allocator(name)
	command = PROGRAMS[program](probe, origin)
	native = airlock.native(command, env={"LD_PRELOAD": other})
	environment = preloaded(airlock, other) if order == "before" else preloaded(airlock, after=[other])
	result = in_enclave(airlock, environment, *command)
	pair = (native, result)
	assert (result.status, result.stdout, result.stderr) == (0, native.stdout, native.stderr), pair


@pytest.mark.parametrize("name", ALLOCATORS)
def test_the_launcher_keeps_what_was_to_be_preloaded(airlock, origin, probe, name):
	other = allocator(name)
	result = airlock.run(["/usr/bin/python3", "-c", "print(open('/proc/self/maps').read())"],
		env={"LD_PRELOAD": other})
	assert f"lib{name}" in result.stdout and "libairlock.so" in result.stdout, result


@pytest.mark.parametrize("case, host", [("talk", None), ("talk-by-name", "echo.test"), ("threads", None),
	("without-environment", None)])
@pytest.mark.parametrize("sanitizer", ["address", "undefined"])
def test_a_program_with_a_sanitizer(both, origin, probe, case, host, sanitizer):
	runtime = {"address": "-static-libasan", "undefined": "-static-libubsan"}[sanitizer]
	program = probe("hygiene", f"-fsanitize={sanitizer}", runtime)
	pair = both([program, case, host or origin.host, origin.port]).assert_same()
	assert pair.airlock.status == 0 and "gave up" not in pair.airlock.stdout, pair.describe()


def test_a_program_with_a_shared_sanitizer(both, origin, probe):
	"""It wants to be the first library of all; its own option gives that up."""
	pair = both([probe("hygiene", "-fsanitize=address"), "threads", origin.host, origin.port],
		env={"ASAN_OPTIONS": "verify_asan_link_order=0"}).assert_same()
	assert pair.airlock.stdout == "all talked\n", pair.describe()


# --- what a program does to itself

@pytest.mark.parametrize("case, arguments", [("without-environment", []), ("without-descriptors", []),
	("few-descriptors", ["1"]), ("few-descriptors", ["2"]), ("children", [])])
def test_a_program_that(both, origin, probe, case, arguments):
	pair = both([probe("hygiene"), case, origin.host, origin.port, *arguments]).assert_same()
	assert pair.airlock.status == 0 and "recv: 4 ping" in pair.airlock.stdout, pair.describe()


def test_a_program_that_may_not_have_one_more_descriptor(airlock, origin, probe):
	"""The swap takes one for a moment, beyond the soft limit if need be, but never beyond the hard one: a
	connect then fails for want of it, and works as soon as there is one."""
	result = airlock.run([probe("hygiene"), "few-descriptors", origin.host, origin.port, "2", "hard"])
	talk = "connect: 0\nsend: 4\nrecv: 4 ping\n"
	assert result.stdout == (f"before: 38 open\n{talk}after: 38 open\n{talk}limit 40\nsocket: -1 EMFILE\n"
		f"connect: -1 ENOBUFS\n{talk}"), result


def test_a_program_that_closes_its_standard_descriptors(airlock, origin, probe):
	reports = []
	for name, run in (("native", airlock.native), ("airlock", airlock.run)):
		report = airlock.home / name
		result = run([probe("hygiene"), "without-standard-descriptors", origin.host, origin.port, report])
		assert result.status == 0, result
		reports.append(report.read_text())
	assert reports[0] == reports[1] == "socket 0 connect 0 next 1\nrecv ping\n"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_connection_with_a_standard_number_gets_no_log(airlock, origin, probe, number):
	"""A program that was started without standard descriptors, and was asked for a log."""
	airlock.configure(log="debug")
	reports = []
	for name, run in (("native", airlock.native), ("airlock", airlock.run)):
		report = airlock.home / name
		run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", probe("hygiene"), "without-standard-descriptors",
			origin.host, origin.port, report, number], env={"AIRLOCK_LOG": "debug"})
		reports.append(report.read_text())
	assert reports[0] == reports[1] == f"socket {number} connect 0 next {number + 1}\nrecv ping\n"
	for connection in origin.wait_connections(2):
		connection.wait_end()
		assert connection.received == b"ping"


# --- another root

def make_root(directory, *files):
	"""A root with these files and the libraries that ldd finds for them, at the same paths as outside."""
	root = directory / "root"
	wanted = set(map(str, files))
	for path in files:
		listed = process.run(["ldd", str(path)]).stdout
		wanted |= set(re.findall(r"(/\S+) \(0x", listed))
	for path in wanted:
		target = pathlib.Path(f"{root}{path}")
		target.parent.mkdir(parents=True, exist_ok=True)
		shutil.copy(path, target)
	for place in ("dev/shm", "tmp"):
		(root / place).mkdir(parents=True, exist_ok=True)
	return root


@pytest.fixture
def bound(airlock, directory):
	"""bound(root, script): a command that sees hostd's directory inside of root, and runs the script."""
	def make(root, script, *words):
		inside = pathlib.Path(f"{root}{airlock.hostd.directory}")
		inside.mkdir(parents=True)
		return ["sh", "-ec", f'mount --bind {airlock.hostd.directory} {inside}; {script}', "sh",
			*map(str, words)]
	return make


def test_in_a_chroot(airlock, origin, probe, directory, bound):
	"""Started inside: program, library and settings are found there."""
	program = probe("hygiene")
	root = make_root(directory, program, library().resolve(), airlock.config)
	result = airlock.run(bound(root, 'exec chroot "$@"', root, program, "talk", origin.host, origin.port))
	assert (result.status, result.stderr) == (0, ""), result
	assert result.stdout == "connect: 0\nsend: 4\nrecv: 4 ping\n"


def test_that_enters_a_chroot(airlock, origin, probe, directory, bound):
	"""Started outside: nothing of it is found inside but hostd's socket."""
	root = directory / "root"
	root.mkdir()
	result = airlock.run(bound(root, 'exec "$@"', probe("hygiene"), "in-another-root", origin.host,
		origin.port, root))
	assert (result.status, result.stderr) == (0, ""), result
	assert result.stdout == "connect: 0\nsend: 4\nrecv: 4 ping\n"


# --- never a word

LINE = re.compile(r"airlock(\[\d+\])?: .*")


@pytest.mark.parametrize("level", [None, "error", "debug"])
def test_it_says_nothing_unless_asked_and_then_on_stderr_alone(airlock, origin, peers, probe, level):
	refused = peers.refuse().port
	script = (f"{probe('hygiene')} talk {origin.host} {origin.port}; {probe('hygiene')} talk-by-name echo.test"
		f" {origin.port}; {probe('hygiene')} talk {origin.host} {refused}; getent hosts nobody.test; true")
	native = airlock.native(["sh", "-c", script])
	result = airlock.run(["sh", "-c", script], env={"AIRLOCK_LOG": level} if level else None)
	assert result.stdout == native.stdout, (native, result)
	own = result.stderr.splitlines()
	assert all(LINE.fullmatch(line) for line in own), result
	assert (len(own) > 0) == (level == "debug"), result


def test_it_says_nothing_when_hostd_is_gone(airlock, probe):
	"""The program's own errno is all there is. (Preloaded by hand: the launcher itself does warn.)"""
	airlock.configure()
	environment = preloaded(airlock) | {"AIRLOCK_HOSTD": "unix:/nonexistent/hostd.sock"}
	result = in_enclave(airlock, environment, probe("hygiene"), "talk", "11.0.0.1", "9")
	assert (result.status, result.stderr) == (0, ""), result
	assert result.stdout == "connect: -1 ENETUNREACH\n", result


def test_it_says_nothing_of_a_bad_configuration(airlock, directory, probe):
	(directory / "bad.conf").write_text("no such word\n")
	environment = preloaded(airlock) | {"AIRLOCK_CONF": directory / "bad.conf"}
	result = in_enclave(airlock, environment, probe("hygiene"), "talk", "11.0.0.1", "9")
	assert (result.status, result.stderr) == (0, ""), result
	assert re.fullmatch(r"connect: -1 E\w+\n", result.stdout), result


def test_the_environment_is_left_as_it_was(airlock):
	pair = airlock.both(["env"], enclave=False)
	theirs, ours = (dict(line.split("=", 1) for line in each.stdout.splitlines())
		for each in (pair.native, pair.airlock))
	added = set(ours) - set(theirs)
	assert all(name == "LD_PRELOAD" or name.startswith("AIRLOCK_") for name in added), added
	assert {name: ours.get(name) for name in theirs} == theirs


# --- setuid

@pytest.fixture
def probes(probe, directory):
	"""Where anybody may run them: a plain copy, and one that becomes root for whoever runs it."""
	if not world.is_real_root:
		pytest.skip("only root can make a program of root's")
	if os.statvfs(directory).f_flag & os.ST_NOSUID:
		pytest.skip(f"{directory} is mounted nosuid")
	copies = directory / "plain", directory / "setuid"
	for copy, mode in zip(copies, (0o755, 0o4755)):
		shutil.copy(probe("hygiene"), copy)
		copy.chmod(mode)
	return copies


@pytest.fixture
def shared_library(directory):
	"""A copy that anybody may read."""
	copy = directory / "libairlock.so"
	shutil.copy(library(), copy)
	copy.chmod(0o4755)
	return copy


def as_nobody(*command):
	return ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--", *map(str, command)]


def see_streams(airlock):
	return [line for line in airlock.hostd.log() if "id" in line]


def test_a_setuid_program_is_not_preloaded(airlock, origin, probes, shared_library):
	"""By the loader. The other one is, which shows that nobody may use the library here."""
	environment = {"LD_PRELOAD": str(shared_library), "AIRLOCK_CONF": str(airlock.config),
		"AIRLOCK_LOG": "debug"}
	plain, setuid = probes
	pathlib.Path(airlock.hostd.directory, "hostd.sock").chmod(0o666)
	for number, (program, is_routed) in enumerate(((setuid, False), (plain, True)), 1):
		result = airlock.native(as_nobody(program, "talk", origin.host, origin.port), env=environment)
		assert result.stdout == "connect: 0\nsend: 4\nrecv: 4 ping\n", result
		assert ("airlock" in result.stderr) == is_routed, result
		origin.wait_connections(number)[-1].wait_end()
	peer.wait_until(lambda: see_streams(airlock), what="the plain program's stream")
	assert len(see_streams(airlock)) == 1, airlock.hostd.output


def test_a_setuid_program_that_is_preloaded_ignores_the_environment(airlock, origin, probes, shared_library):
	"""The loader does preload a set-user-ID library from a standard directory (ld.so(8)); it is put over
	one that no program needs, in a mount namespace of its own."""
	standard = pathlib.Path("/usr/lib", f"{os.uname().machine}-linux-gnu", "libutil.so.1")
	if not standard.exists():
		pytest.skip(f"there is no {standard}")
	if os.path.exists("/etc/airlock/enclave.conf"):
		pytest.skip("this machine has a configuration of its own")
	plain, setuid = probes
	pathlib.Path(airlock.hostd.directory, "hostd.sock").chmod(0o666)
	environment = {"LD_PRELOAD": standard.name, "AIRLOCK_CONF": str(airlock.config), "AIRLOCK_LOG": "debug",
		"AIRLOCK_HOSTD": airlock.hostd.endpoint}

	def run(program):
		words = as_nobody("env", *(f"{key}={value}" for key, value in environment.items()), program, "talk",
			origin.host, origin.port)
		cover = f'mount --bind {shared_library} {standard}; exec "$@"'
		return airlock.native(["unshare", "--mount", "sh", "-ec", cover, "sh", *words])

	assert "airlock" in run(plain).stderr, "the library is preloaded by that name"
	result = run(setuid)
	assert result.stderr == "", "it was not asked to log by anyone whom it may trust"
	# Without the environment there is no configuration here, and without one nothing is routed nor let out.
	assert re.fullmatch(r"connect: -1 E\w+\n", result.stdout), result
	peer.wait_until(lambda: see_streams(airlock), what="the plain program's stream")
	assert len(see_streams(airlock)) == 1, airlock.hostd.output
