# SPDX-License-Identifier: MIT
"""SIGHUP and SIGTERM while streams run."""

import select
import signal
import threading

import pytest

from support import transfer, wire
from support.daemon import CID
from support.hostd import DEFAULT_TIMEOUTS
from support.origin import Origin, SilentPort, exchange, match, pair

MIB = 1 << 20
LOOPBACK = "allow 127.0.0.0/8"
PATIENT = "header=5s dial=10s idle=1h drain=60s"


def is_refused(host, path):
	"""True when no stream can be opened at path any more."""
	try:
		with wire.Opener(path, wire.control(wire.PING)) as opener:
			return opener.receive_all() == b""
	except OSError:
		return True


# --- reload

def test_transfers_are_whole_though_hostd_reloads_all_the_time(start):
	host = start(LOOPBACK)
	with Origin() as origin:
		openers = [host.open(origin.destination) for _ in range(4)]
		assert all(opener.wait() for opener in openers)
		pairs = [(opener.socket, accepted) for opener, accepted in match(openers, origin)]
		moved = []
		mover = threading.Thread(target=lambda: moved.append(transfer.both_ways(pairs, 64 * MIB)))
		mover.start()
		reloads = 0
		while mover.is_alive():
			host.configure(LOOPBACK, more=f"# turn {reloads}")
			host.reload()
			reloads += 1
		mover.join()
		assert moved == [True] and reloads >= 3
		for one, other in pairs:
			one.close()
			other.close()


def test_new_rules_hold_for_new_streams_and_old_streams_go_on(start, origin):
	host = start("allow 127.0.0.1")
	with pair(host, origin) as (opener, accepted):
		host.configure("allow 127.0.0.2")
		host.reload()
		host.wait_verdict(origin.destination, ("policy", "denied"))
		with Origin("127.0.0.2") as two, pair(host, two) as (second, second_accepted):
			exchange(second, second_accepted)
		exchange(opener, accepted)


BAD_FILES = {
	"unknown directive": "\nfrobnicate now\n",
	"unknown key": "\ntimeout dail=3s\n",
	"bad rule": "\nenclave bad cid=77\n  allow 10.0.0.1/8\n",
	"control bytes": "\nworkers\x01 2\n",
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_configuration_is_refused_with_its_place_and_the_old_one_stays(start, origin, what):
	host = start("allow 127.0.0.1")
	with pair(host, origin) as (opener, accepted):
		good = host.file.read_text()
		host.file.write_text(good + BAD_FILES[what])
		line = host.reload()
		number = (good + BAD_FILES[what]).count("\n", 0, len(good)) + BAD_FILES[what].count("\n")
		assert "error" in line and f"{host.file}:{number}:" in line, line
		exchange(opener, accepted)
		with pair(host, origin) as (second, second_accepted):
			exchange(second, second_accepted)
	host.file.write_text(good)
	assert "refused" not in host.reload()


def test_a_configuration_that_is_gone_is_refused_and_the_old_one_stays(start, origin):
	host = start("allow 127.0.0.1")
	text = host.file.read_text()
	host.file.unlink()
	assert "error" in host.reload()
	with pair(host, origin) as (opener, accepted):
		exchange(opener, accepted)
	host.file.write_text(text)


def test_a_listener_that_was_added_answers(start, origin):
	host = start("allow 127.0.0.1")
	added = host.path.with_name("added.sock")
	host.configure("allow 127.0.0.1", more=f"listen unix:{added} cid={CID}")
	host.reload()
	wire.wait_until(lambda: not is_refused(host, added), "the new listener answers")
	with pair(host, origin, path=added) as (opener, accepted):
		exchange(opener, accepted)


def test_a_listener_that_was_removed_is_gone_and_its_streams_go_on(start, origin):
	host = start()
	extra = host.path.with_name("extra.sock")
	host.configure("allow 127.0.0.1", more=f"listen unix:{extra} cid={CID}")
	host.reload()
	wire.wait_until(lambda: not is_refused(host, extra), "the new listener answers")
	with pair(host, origin, path=extra) as (opener, accepted):
		host.configure("allow 127.0.0.1")
		host.reload()
		wire.wait_until(lambda: is_refused(host, extra), "the listener is gone")
		exchange(opener, accepted)
		assert host.is_answering()


def test_a_listener_whose_cid_changes_stands_for_the_new_one(start, origin):
	host = start("allow 127.0.0.1")
	text = host.file.read_text()
	host.file.write_text(text.replace("other.sock cid=17", f"other.sock cid={CID}"))
	host.reload()
	host.wait_verdict(("127.0.0.1", 9), ("dial", "refused"), path=host.other_path)
	with pair(host, origin, path=host.other_path) as (opener, accepted):
		exchange(opener, accepted)


def test_the_connection_limit_counts_across_a_reload(start, origin):
	host = start("allow 127.0.0.1\nlimit connections=1")
	with pair(host, origin) as (opener, accepted):
		host.reload()
		assert host.refusal(origin.destination) == ("limit", "limit")
		exchange(opener, accepted)
	host.line_of(opener.id)
	with pair(host, origin) as (opener, accepted):
		exchange(opener, accepted)


def test_a_dial_under_way_survives_a_reload(start):
	host = start(LOOPBACK)
	with SilentPort() as silent, host.open(silent.destination) as opener:
		wire.wait_until(lambda: host.outcome(opener.id, False)[0] == "dial", "the dial begins")
		host.reload()
		silent.answer()
		assert opener.wait()
		with silent.accept() as accepted:
			exchange(opener, accepted)


def test_outcomes_are_remembered_across_a_reload(start):
	host = start("allow 127.0.0.2")
	with host.open(("127.0.0.1", 9)) as opener:
		assert not opener.wait()
	host.reload()
	assert host.outcome(opener.id)[:2] == ("policy", "denied")


def test_a_hundred_reloads_leave_descriptors_and_memory_where_they_were(start):
	host = start(LOOPBACK)
	for _ in range(10):
		host.reload()
	descriptors, memory = host.settled_descriptors(), host.memory()
	for _ in range(100):
		host.reload()
	assert host.settled_descriptors() == descriptors
	assert host.is_sanitized or host.memory() - memory < MIB


# --- drain

def begin_drain(host):
	host.send_signal(signal.SIGTERM)
	wire.wait_until(lambda: is_refused(host, host.path), "new streams are refused")


def test_drain_lets_running_streams_finish_and_refuses_new_ones(start, origin):
	host = start(LOOPBACK, timeouts=PATIENT)
	with pair(host, origin) as (opener, accepted):
		begin_drain(host)
		exchange(opener, accepted, 100_000)
		assert not host.has_ended()
		opener.finish()
		assert accepted.recv(1) == b""
		accepted.sendall(b"the last word")
		accepted.close()
		assert opener.receive_all() == b"the last word"
		opener.close()
		assert host.has_ended(wire.PATIENCE)
	assert host.stop() == 0


def test_drain_without_streams_ends_at_once(start):
	host = start(LOOPBACK, timeouts=PATIENT)
	host.send_signal(signal.SIGTERM)
	assert host.has_ended(wire.PATIENCE)
	assert host.stop() == 0


def test_a_large_transfer_is_whole_though_it_is_drained(start, origin):
	host = start(LOOPBACK, timeouts=PATIENT)
	with pair(host, origin) as (opener, accepted):
		mover = []
		thread = threading.Thread(
			target=lambda: mover.append(transfer.both_ways([(opener.socket, accepted)], 128 * MIB))
		)
		thread.start()
		begin_drain(host)
		thread.join()
		assert mover == [True]
	assert host.has_ended(wire.PATIENCE)
	assert host.stop() == 0


def test_the_drain_deadline_ends_streams_that_never_finish(start, origin):
	host = start(LOOPBACK, timeouts="header=5s dial=10s idle=1h drain=400ms")
	with pair(host, origin) as (opener, accepted):
		exchange(opener, accepted)
		begin_drain(host)
		assert host.has_ended(wire.PATIENCE)
		assert host.stop() == 0
		assert not opener.probe()


def test_a_second_signal_ends_the_drain(start, origin):
	host = start(LOOPBACK, timeouts=PATIENT)
	with pair(host, origin):
		begin_drain(host)
		assert not host.has_ended()
		host.send_signal(signal.SIGTERM)
		assert host.has_ended(wire.PATIENCE)
	host.stop()


def test_a_dial_under_way_when_the_drain_begins_is_decided(start):
	host = start(LOOPBACK, timeouts="header=5s dial=10s idle=1h drain=5s")
	with SilentPort() as silent, host.open(silent.destination) as opener:
		wire.wait_until(lambda: host.outcome(opener.id, False)[0] == "dial", "the dial begins")
		host.send_signal(signal.SIGTERM)
		assert opener.events(select.POLLOUT, wire.PATIENCE), "an opener was left hanging"
	assert host.has_ended(wire.PATIENCE)
	assert host.stop() == 0


def test_the_socket_files_are_removed_at_the_end(start):
	host = start(LOOPBACK)
	assert host.stop() == 0
	assert not host.path.exists() and not host.admin_path.exists()


def test_the_drain_command_does_what_the_signal_does(start, origin):
	host = start(LOOPBACK, timeouts=PATIENT)
	with pair(host, origin) as (opener, accepted):
		assert host.admin("drain").status == 0
		wire.wait_until(lambda: is_refused(host, host.path), "new streams are refused")
		exchange(opener, accepted)
	assert host.has_ended(wire.PATIENCE)
	assert host.stop() == 0


def test_the_reload_command_tells_success_and_failure(start, origin):
	host = start("allow 127.0.0.2")
	assert host.refusal(origin.destination) == ("policy", "denied")
	host.configure("allow 127.0.0.1")
	assert host.admin("reload").status == 0
	host.wait_verdict(("127.0.0.1", 9), ("dial", "refused"))
	host.configure("allow 127.0.0.2", more=f"listen unix:/nowhere/at/all.sock cid={CID}")
	result = host.admin("reload")
	assert result.status == 1 and "/nowhere/at/all.sock" in result.stdout + result.stderr
	assert host.verdict(("127.0.0.1", 9)) == ("dial", "refused")
	host.configure("allow 127.0.0.1")


def test_the_reload_command_finds_a_mistake_in_the_file_itself(start):
	host = start("allow 127.0.0.1")
	good = host.file.read_text()
	host.file.write_text("frobnicate\n")
	result = host.admin("reload")
	assert result.status == 2 and f"{host.file}:1:1:" in result.stderr
	assert host.verdict(("127.0.0.1", 9)) == ("dial", "refused")
	host.file.write_text(good)


def test_timeouts_of_a_new_configuration_hold_for_new_streams(start):
	host = start(LOOPBACK)
	host.configure(LOOPBACK, timeouts=DEFAULT_TIMEOUTS.replace("dial=10s", "dial=300ms"))
	host.reload()
	with SilentPort() as silent:
		host.wait_verdict(silent.destination, ("dial", "timed-out"))
