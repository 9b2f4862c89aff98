# SPDX-License-Identifier: MIT
"""The end of `airlock run` while airlock-tls still passes on what the program has left behind."""
import signal
import threading

import pytest

from support import tls_origin, world

NAME = "good.test"
PYTHON = "/usr/bin/python3"

# Writes until nothing more is taken for half a second: then every buffer on the way is full.
FILL = f"""
import select, socket, sys
connection = socket.create_connection(("{NAME}", int(sys.argv[1])))
connection.sendall(b"first line\\n")
connection.setblocking(False)
while select.select([], [connection], [], 0.5)[1]:
    try:
        connection.send(bytes(65536))
    except BlockingIOError:
        pass
print("written", flush=True)
sys.exit(3)
"""


@pytest.fixture
def stalled(peers, dns, pki):
	"""An origin that reads one line and then nothing until `release` is set."""
	dns.add(NAME, world.PUBLIC)
	release = threading.Event()

	def script(session):
		session.read_until(b"\n")
		release.wait()
		session.read_all()

	origin = peers.listen(tls_origin.serve(tls_origin.context(pki.root.issue(NAME)), script))
	origin.release = release.set
	yield origin
	release.set()


@pytest.fixture
def draining(tls, stalled):
	"""A launcher whose program has ended with status 3 and whose airlock-tls holds what it wrote."""
	def start(**settings):
		tls.configure(**settings)
		launcher = tls.popen([PYTHON, "-c", FILL, str(stalled.port)])
		launcher.wait_line("written")
		assert not launcher.has_ended(1), launcher.output
		return launcher
	return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP],
	ids=lambda number: number.name)
def test_a_signal_ends_the_drain_at_once(draining, number):
	launcher = draining()
	launcher.send_signal(number)
	assert launcher.has_ended(9), "it waits for airlock-tls all the same"
	assert launcher.process.returncode == 3, "the status is the program's"
	launcher.wait_line("airlock: airlock-tls is killed; what it had not passed on is lost")


def test_other_signals_do_not(draining):
	launcher = draining()
	launcher.send_signal(signal.SIGUSR1)
	launcher.send_signal(signal.SIGWINCH)
	assert not launcher.has_ended(1)


def test_what_it_waits_for_is_said_at_info(draining, stalled):
	launcher = draining(log="info")
	launcher.wait_line(
		"airlock: waiting for airlock-tls to pass on what programs have written; another signal ends this")
	stalled.release()
	assert launcher.has_ended(30) and launcher.process.returncode == 3
	assert "killed" not in launcher.output


def test_another_run_has_its_own_meanwhile(draining, stalled, tls, peers, pki):
	"""Nobody waits for one that is ending, nor ends with it."""
	other = peers.listen(tls_origin.serve(tls_origin.context(pki.root.issue(NAME)), tls_origin.echo_line))
	launcher = draining()
	assert tls.talk(NAME, other.port).startswith("got 6 plain")
	assert not launcher.has_ended()
	stalled.release()
	assert launcher.has_ended(30)


def test_nothing_is_said_unasked(draining, stalled):
	launcher = draining()
	stalled.release()
	assert launcher.has_ended(10) and "waiting" not in launcher.output


def test_an_end_without_a_drain_says_nothing(tls, stalled):
	tls.configure(log="info")
	stalled.release()
	result = tls.run([PYTHON, "-c", "pass"])
	assert (result.status, "waiting" in result.stderr) == (0, False), result
