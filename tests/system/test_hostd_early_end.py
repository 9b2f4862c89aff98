# SPDX-License-Identifier: MIT
"""A destination that speaks and ends before hostd has seen that the connect succeeded: the kernel tells
it of all that in one event."""
import socket

import pytest

from support import wire
from support.origin import SilentPort, reset


@pytest.fixture
def end_before_it_is_looked_at(host):
	"""Opens a stream to a port that is silent at first, and gives it once hostd, which is stopped
	meanwhile, has connected and end(connection) is done."""
	openers = []

	def run(end):
		with SilentPort() as silent:
			opener = host.open(silent.destination)
			openers.append(opener)
			wire.wait_until(lambda: is_dialling(silent), "hostd's SYN")
			with host.stopped():
				silent.answer()
				accepted = silent.accept()
				end(accepted)
			return opener, accepted

	yield run
	for opener in openers:
		opener.close()


def is_dialling(silent):
	"""A socket of hostd's in SYN-SENT towards it (proc_net_tcp: state 02)."""
	with open("/proc/net/tcp", encoding="ascii") as table:
		wanted = f":{silent.port:04X} 02"
		return any(wanted in line for line in table)


def speak_and_end(accepted):
	accepted.sendall(b"early")
	accepted.shutdown(socket.SHUT_WR)


def test_an_end_that_comes_with_the_connect_is_passed_on(end_before_it_is_looked_at):
	opener, accepted = end_before_it_is_looked_at(speak_and_end)
	with accepted:
		assert opener.wait()
		assert opener.receive(6) == b"early", "five bytes and their end"
		opener.send(b"late")
		opener.finish()
		assert accepted.recv(5, socket.MSG_WAITALL) == b"late"


def test_an_end_without_a_byte_is_passed_on(end_before_it_is_looked_at):
	opener, accepted = end_before_it_is_looked_at(lambda accepted: accepted.shutdown(socket.SHUT_WR))
	with accepted:
		assert opener.wait()
		assert opener.receive(1) == b""


def test_a_reset_after_an_end_that_comes_with_the_connect_is_none_for_a_reader(end_before_it_is_looked_at, host):
	def speak_end_and_reset(accepted):
		speak_and_end(accepted)
		reset(accepted)

	opener, _ = end_before_it_is_looked_at(speak_end_and_reset)
	assert opener.wait()
	assert opener.receive(6) == b"early"
	assert host.outcome(opener.id)[:2] == ("open", "none")


def test_a_reset_that_comes_with_the_connect_is_told(end_before_it_is_looked_at, host):
	opener, _ = end_before_it_is_looked_at(reset)
	opener.wait()
	assert host.outcome(opener.id)[:2] == ("relay", "reset")
