# SPDX-License-Identifier: MIT
"""airlock-tls as a process: who starts it, what it may do, what it answers."""
import contextlib
import errno
import os
import pathlib
import pty
import re
import resource
import select
import signal
import subprocess
import termios

import pytest

from support import peer, process, sanitizer, tls_origin, tls_route, wire, world
from support.hostd import build_directory

NAME = "good.test"


@pytest.fixture
def origin(peers, dns, pki):
	dns.add(NAME, world.PUBLIC)
	return peers.listen(tls_origin.serve(tls_origin.context(pki.root.issue(NAME)), tls_origin.echo_line))


def status_of(pid):
	lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
	return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


# --- started, supervised, ended

def test_it_ends_with_the_program_and_takes_its_socket_along(tls, origin):
	assert tls.talk(NAME, origin.port).startswith("got 6 plain")
	assert not os.path.exists(tls.path)


def test_one_that_died_is_started_again(tls, origin):
	program = tls.popen(["sleep", "infinity"])
	first = peer.wait_until(lambda: originator_of(program.pid), what="an airlock-tls")
	peer.wait_until(lambda: is_answering(tls.path), what="an answer")
	os.kill(first, signal.SIGKILL)
	peer.wait_until(lambda: originator_of(program.pid) not in (None, first), what="another airlock-tls")
	peer.wait_until(lambda: is_answering(tls.path), what="an answer")
	program.wait_line("killed by signal 9")


def descendants(pid):
	try:
		children = [int(word) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
			for word in (task / "children").read_text().split()]
	except OSError:  # one that has ended meanwhile
		return []
	return children + [each for child in children for each in descendants(child)]


def originator_of(pid):
	"""The airlock-tls among a process's descendants (proc(5)), or None."""
	for each in descendants(pid):
		try:
			if os.readlink(f"/proc/{each}/exe").endswith("/airlock-tls"):
				return each
		except OSError:
			pass
	return None


def is_answering(path, patience=wire.PATIENCE):
	try:
		return wire.ask(path, wire.control(wire.PING), patience).status == wire.OK
	except OSError:
		return False


def test_one_that_answers_already_is_left_alone(tls, origin):
	kept = tls.keep()
	assert tls.talk(NAME, origin.port).startswith("got 6 plain")
	assert wire.ping(tls.path).payload.startswith(b"airlock-tls ")
	assert os.path.exists(f"/proc/{kept.pid}"), "it is not the second launcher's to end"


def test_one_of_another_run_is_replaced_when_that_run_has_ended(tls, origin):
	"""The second run lives on the first one's airlock-tls, which ends with the first one's program."""
	first = tls.popen(["sh", "-c", "echo up; exec sleep infinity"])
	first.wait_line("up")
	second = tls.popen(["sh", "-c", "echo up; exec sleep infinity"])
	second.wait_line("up")
	assert originator_of(first.pid) and not originator_of(second.pid)
	first.stop()
	peer.wait_until(lambda: originator_of(second.pid) and is_answering(tls.path), what="the second run's own")
	assert tls.talk(NAME, origin.port).startswith("got 6 plain")


def test_runs_that_start_at_once_share_one(tls, origin):
	program = f"{tls_route.PYTHON} {tls_route.TALK} {NAME} {origin.port}; exec sleep infinity"
	programs = [tls.popen(["sh", "-c", program]) for _ in range(6)]
	for each in programs:
		assert "got 6 plain" in each.wait_line(str(origin.port)), each.output
		assert "refused" not in each.output
	peer.wait_until(lambda: len([each for each in programs if originator_of(each.pid)]) == 1, what="the end of the others")


def test_one_that_does_not_listen_yet_is_not_replaced(tls):
	"""Between bind() and listen() its socket looks like one that a dead process has left; strace makes that last. Two
	would live, one of them out of reach."""
	if not process.which("strace") or tls_route.is_sanitized():
		pytest.skip("needs strace, and a program that a sanitizer does not trace itself")
	kept = tls.keep(prefix=["strace", "-D", "-o", "/dev/null", "-e", "inject=listen:delay_enter=400000"], wait=False)
	peer.wait_until(lambda: os.path.exists(tls.path), what="the socket's file")
	assert not is_answering(tls.path)
	second = process.run([str(tls_route.tls_program()), "-c", str(tls.config)], timeout=10)
	assert second.status == 3 and os.strerror(errno.EADDRINUSE) in second.stderr, second
	assert is_answering(tls.path) and not kept.has_ended()
	os.kill(kept.tracer(), signal.SIGKILL)  # the only signal that it takes so
	peer.wait_until(lambda: not kept.tracer(), what="strace's end")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_it_in_order(tls, number):
	kept = tls.keep()
	kept.send_signal(number)
	assert kept.has_ended(30) and not os.path.exists(tls.path)


def test_want_of_descriptors_ends_when_others_give_them_back(tls, origin):
	"""Without one stream open there is none whose end would make room."""
	kept = tls.keep()
	soft, hard = resource.prlimit(kept.pid, resource.RLIMIT_NOFILE)
	resource.prlimit(kept.pid, resource.RLIMIT_NOFILE, (0, hard))  # those that it has stay
	assert not is_answering(tls.path, patience=1)
	kept.wait_line("cannot accept")
	resource.prlimit(kept.pid, resource.RLIMIT_NOFILE, (soft, hard))
	assert tls.run_preloaded([tls_route.PYTHON, tls_route.TALK, NAME, origin.port]).stdout.count("got 6 plain") == 1


def test_want_of_descriptors_ends_while_streams_are_busy(tls, dns, pki, peers, directory):
	"""A stream that never pauses, and never ends, is no reason to accept nobody else."""
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(tls_origin.serve(tls_origin.context(pki.root.issue(NAME)), tls_origin.echo))
	kept = tls.keep()
	program = directory / "busy.py"
	program.write_text(f"""
import socket
sock = socket.create_connection(("{NAME}", {origin.port}))
print("busy", flush=True)
while sock.send(b"x"):
	sock.recv(1)
""")
	tls.popen_preloaded([tls_route.PYTHON, str(program)]).wait_line("busy")
	soft, hard = resource.prlimit(kept.pid, resource.RLIMIT_NOFILE)
	resource.prlimit(kept.pid, resource.RLIMIT_NOFILE, (0, hard))
	assert not is_answering(tls.path, patience=1)
	kept.wait_line("cannot accept")
	resource.prlimit(kept.pid, resource.RLIMIT_NOFILE, (soft, hard))
	assert is_answering(tls.path, patience=5)


# --- its log is nobody's obstacle

def test_a_log_that_nobody_reads_stops_nothing(tls, directory):
	fifo = directory / "log"
	os.mkfifo(fifo)
	reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
	try:
		fill(reader)
		tls.configure(log="debug")
		tls.keep(prefix=["sh", "-c", 'fifo=$0; exec "$@" 2>"$fifo"', str(fifo)])
		assert is_answering(tls.path, patience=5)
		while len(os.read(reader, 1 << 20)) == 1 << 20:
			pass
		assert is_answering(tls.path)
		said = os.read(reader, 1 << 20).decode()
	finally:
		os.close(reader)
	assert re.search(r"^time=\S+ level=debug msg=.* lines-lost=\d+\n", said), said
	assert said.count("lines-lost") == 1


def fill(pipe):
	"""To where not one byte more finds room (pipe(7))."""
	for size in (1 << 16, 1):
		with contextlib.suppress(BlockingIOError):
			while True:
				os.write(pipe, b"x" * size)


def test_a_terminal_that_stops_background_output_does_not_stop_it(tls, origin):
	"""`stty tostop`: airlock-tls leads a process group of its own, which is never the foreground's (termios(3))."""
	tls.configure(log="debug")
	command = tls.airlock.command([tls_route.PYTHON, tls_route.TALK, NAME, origin.port], config=tls.config)
	ours, theirs = pty.openpty()
	settings = termios.tcgetattr(theirs)
	settings[3] |= termios.TOSTOP
	termios.tcsetattr(theirs, termios.TCSANOW, settings)
	program = subprocess.Popen(["setsid", "--ctty", *command], stdin=theirs, stdout=theirs, stderr=theirs,
		env=tls.airlock.environment(sanitizer.environment({}, command)))
	os.close(theirs)
	said = b""
	try:
		while b"got 6 plain end" not in said and select.select([ours], [], [], 20)[0]:
			said += os.read(ours, 1 << 16)
		assert b"got 6 plain end" in said and b"msg=state" in said, said
		assert program.wait(30) == 0
	finally:
		program.kill()
		program.wait()
		os.close(ours)


def test_without_a_tls_route_none_is_started(tls):
	tls.configure("route * direct")
	result = tls.run(["sh", "-c", f"test -e {tls.path} && echo there"])
	assert result.stdout == ""


# --- what it may do

def test_it_is_confined(tls):
	if tls_route.is_sanitized():
		pytest.skip("a sanitizer's runtime makes calls of its own, so there is no filter")
	pid = tls.keep().pid
	wire.ping(tls.path)  # it serves, so it is confined
	status, own = status_of(pid), status_of("self")
	assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
	assert int(status["Seccomp_filters"]) == int(own["Seccomp_filters"]) + 1  # the tests have one of their own


def test_it_leaves_no_core(tls):
	pid = tls.keep().pid
	limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
	assert re.search(r"^Max core file size\s+0\s+0\s", limits, re.MULTILINE), limits
	# prctl(PR_SET_DUMPABLE, 0) gives a process's files in /proc to root (proc(5)).
	unprivileged = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "--", "readlink", f"/proc/{pid}/exe"],
		capture_output=True, text=True)
	assert unprivileged.returncode != 0


def test_its_environment_holds_nothing_of_the_callers(tls, origin):
	result = tls.run(["/bin/sh", "-c", 'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = "$0" ] && '
		'tr "\\0" "\\n" <$p/environ; done', str(build_directory().resolve() / "bin/airlock-tls")],
		env={"SECRET": "x", "GNUTLS_DEBUG_LEVEL": "9"})
	names = {line.split("=")[0] for line in result.stdout.splitlines()}
	assert names and names <= {"AIRLOCK_CONF", "AIRLOCK_HOSTD", "AIRLOCK_LOG"}, result


# --- what it answers

def ask(path, destination, name=None):
	"""An opener on one of the two daemons' sockets, its request sent; .id is the stream's."""
	stream_id = wire.new_id()
	opener = wire.Opener(path, wire.connect(destination, name, stream_id))
	opener.id = stream_id
	return opener


def refusal(path, destination, name=None):
	with ask(path, destination, name) as opener:
		assert not opener.wait()
		return wire.status(path, opener.id).outcome()


def test_a_refusal_by_hostd_comes_out_as_hostd_said_it(tls, peers, dns):
	dns.add(NAME, world.PUBLIC)
	refusing = peers.refuse()
	tls.keep()
	hostd = tls.airlock.hostd.endpoint.split(":", 1)[1]
	for destination, name in (((refusing.host, refusing.port), None), (("198.18.0.9", 80), "nowhere.test"),
			((world.METADATA, 80), None)):
		assert refusal(tls.path, destination, name) == refusal(hostd, destination, name)


def test_a_destination_without_a_tls_route_is_denied(tls, origin):
	tls.configure(f"route {NAME} tls")
	tls.keep()
	assert refusal(tls.path, (world.PUBLIC, origin.port))[:2] == ("policy", "denied")


@pytest.mark.parametrize("request_bytes", [wire.control(2, b"some.test"), wire.control(77)], ids=["RESOLVE", "unknown"])
def test_a_verb_that_it_has_no_answer_for(tls, request_bytes):
	tls.keep()
	assert wire.ask(tls.path, request_bytes).status == 3


def test_explain_shows_what_was_negotiated(tls, origin):
	result = tls.explain(NAME, origin.port)
	assert result.status == 0, result
	for part in (r"tls: version TLS1\.3", r"tls: cipher AES-\d+-GCM", r"tls: group X25519", r"tls: peer CN=",
			r"tls: issuer CN=", rf"tls: verified as {NAME} against 1 anchors of", r"stream: granted"):
		assert re.search(part, result.stdout), (part, result.stdout)


def test_its_command_line(tls):
	program = str(build_directory() / "bin/airlock-tls")
	assert process.run([program, "--version"]).stdout.startswith("airlock-tls ")
	assert process.run([program, "surplus"]).status == 2
	assert process.run([program, "--ready-fd", "three"]).status == 2
	assert process.run([program, "-c", "/nonexistent.conf"]).status == 2


def test_a_socket_that_cannot_be_had_ends_it(tls, directory):
	tls.configure(tls_listen=f"unix:{directory}/absent/tls.sock")
	result = process.run([str(build_directory() / "bin/airlock-tls"), "-c", str(tls.config)])
	assert result.status == 3 and os.strerror(errno.ENOENT) in result.stderr
