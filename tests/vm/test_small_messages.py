# SPDX-License-Identifier: MIT
"""A fast feed of small messages to a reader that stalls. Recent kernels reset a stream whose reader has left
too many small packets unread, whatever room the sender was told of; TCP would just wait, so a stream must too."""
import pytest

from support import process, world

COUNT, SIZE = 100_000, 200


def messages(probe, where, port, what, paced=0, pace=0, stall=0, count=COUNT):
	return [probe("messages"), where, world.PUBLIC, port, what, count, SIZE, paced, pace, stall]


@pytest.fixture
def origin(probe, background):
	"""origin("feed", ...) gives the port of one that does it, and the process."""
	def start(what, **more):
		command = messages(probe, "listen", 0, what, **more)
		daemon = background(process.Daemon([*map(str, command)]))
		return daemon.wait_line("port ").split()[1], daemon
	return start


# While the reader stalls, messages come one by one; afterwards as fast as they go.
FEEDS = {
	"at once": {"paced": 0, "pace": 0},
	"a thousand a second": {"paced": 4000, "pace": 1000},
}


@pytest.mark.parametrize("feed", FEEDS)
def test_a_program_that_stalls_gets_every_message(airlock, origin, probe, feed):
	port, sender = origin("feed", **FEEDS[feed])
	result = airlock.run(messages(probe, "connect", port, "sink", stall=5000), timeout=150)
	assert result.stdout == f"end: EOF\nreceived {COUNT} and 0 bytes, intact\n"
	assert sender.wait_line("end: ") == "end: EOF"
	assert f"sent {COUNT}: whole" in sender.lines


@pytest.mark.parametrize("feed", FEEDS)
def test_a_destination_that_stalls_gets_every_message(airlock, origin, probe, feed):
	port, receiver = origin("sink", stall=5000)
	result = airlock.run(messages(probe, "connect", port, "feed", **FEEDS[feed]), timeout=150)
	assert result.stdout == f"sent {COUNT}: whole\nend: EOF\n"
	assert receiver.wait_line("received ", timeout=30) == f"received {COUNT} and 0 bytes, intact"


@pytest.mark.slow
@pytest.mark.limit(300)
def test_a_program_that_stalls_for_a_minute_gets_every_message(airlock, origin, probe):
	"""Two hundred a second: too few to use up the room, enough for every limit by number."""
	port, sender = origin("feed", paced=12000, pace=5000, count=20000)
	result = airlock.run(messages(probe, "connect", port, "sink", stall=60000, count=20000), timeout=280)
	assert result.stdout == "end: EOF\nreceived 20000 and 0 bytes, intact\n"
