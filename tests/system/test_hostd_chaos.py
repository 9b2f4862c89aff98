# SPDX-License-Identifier: MIT
"""Everything at once and in any order; afterwards nothing may be left and nobody else be harmed."""

import random
import re
import signal
import socket
import struct
import threading

import pytest

from support import dns_server, peer, transfer, wire, world
from support.origin import RefusingPort, SilentPort, pair

TOKEN = "198.18.0.1"
THREADS, ACTIONS = 8, 120
RULES = "allow *\nallow 127.0.0.1\ndeny denied.test\nallow 127.0.0.0/8:1-20000\ndeny 127.0.0.2"


def serve_anything(connection):
	"""A destination in one of several moods."""
	chance = random.Random()
	mood = chance.randrange(6)
	if mood == 0:
		return connection.reset()
	if mood == 1:
		return None  # closes at once
	connection.sock.settimeout(3)
	if mood == 2:
		connection.send(bytes(chance.randrange(300_000)))
		return connection.reset()
	if mood == 3:
		connection.half_close()
	if mood == 4:
		connection.send(bytes(chance.randrange(300_000)))
		connection.half_close()
	connection.read_all() if mood < 5 else peer.echo(connection)
	return None


class Monkey(threading.Thread):
	"""Opens streams and does to them what an enclave may do, in an order that its seed decides."""

	def __init__(self, host, targets, seed):
		super().__init__(daemon=True)
		self.host, self.targets, self.chance = host, targets, random.Random(seed)
		self.failure = None

	def run(self):
		actions = [self.garbage, self.partial, self.ask, self.connect, self.connect, self.connect, self.give_up]
		try:
			for _ in range(ACTIONS):
				self.attempt(self.chance.choice(actions))
		except BaseException as failure:  # the test's own thread tells of it
			self.failure = failure

	@staticmethod
	def attempt(action):
		try:
			action()
		except (ConnectionResetError, BrokenPipeError):
			pass  # what a stream that was closed gives to who still uses it

	def request(self):
		kind = self.chance.randrange(4)
		if kind == 0:
			name = self.chance.choice(["nowhere.test", "slow.test", "broken.test", "denied.test", "chaos.test"])
			return wire.connect((TOKEN, self.chance.choice(self.targets)[1]), name)
		return wire.connect(self.chance.choice(self.targets))

	def garbage(self):
		with wire.Opener(self.host.path) as opener:
			opener.send(self.chance.randbytes(self.chance.randrange(1, 3000)))

	def partial(self):
		with wire.Opener(self.host.path) as opener:
			opener.send(self.request()[: self.chance.randrange(1024)])
			if self.chance.random() < 0.5:
				opener.finish()

	def ask(self):
		verb, argument = self.chance.choice(
			[
				(wire.PING, b""),
				(wire.RESOLVE, self.chance.choice([b"chaos.test", b"slow.test", b"nowhere.test"])),
				(wire.STATUS, wire.new_id() + b"\1"),
				(wire.STATUS, wire.new_id() + b"\0"),
				(wire.GATE, struct.pack("!H", self.chance.randrange(50))),
				(99, b"?"),
			]
		)
		with wire.Opener(self.host.path, wire.control(verb, argument)) as opener:
			if self.chance.random() < 0.7:
				assert len(opener.receive_all()) >= 4

	def give_up(self):
		wire.Opener(self.host.path, self.request()).close()

	def connect(self):
		with wire.Opener(self.host.path, self.request()) as opener:
			if self.chance.random() < 0.2 or not opener.wait():
				return
			opener.socket.setblocking(False)
			for _ in range(self.chance.randrange(6)):
				self.use(opener)
			if self.chance.random() < 0.5:
				opener.socket.setblocking(True)
				opener.finish()
				opener.receive_all()  # every mood ends once its caller has; a lost end times out here

	def use(self, opener):
		try:
			step = self.chance.randrange(4)
			if step == 0:
				opener.socket.send(bytes(self.chance.randrange(1, 200_000)))
			elif step == 1:
				opener.socket.recv(self.chance.randrange(1, 100_000))
			elif step == 2:
				opener.finish()
			else:
				opener.events(timeout=0.005)
		except BlockingIOError:
			pass


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_hostd_survives_monkeys_and_forgets_them(start, origin, peers, dns, seed):
	host = start(RULES, timeouts="header=5s dial=700ms idle=1h drain=1s")
	dns.add("chaos.test", "11.0.0.5", world.PUBLIC)
	dns.add("slow.test", world.PUBLIC)
	dns.delay("slow.test", 0.2)
	dns.fail("broken.test", dns_server.SERVFAIL)
	moody = peers.listen(serve_anything)
	with RefusingPort() as refusing, SilentPort() as silent, pair(host, origin) as (opener, accepted):
		targets = [moody.address] * 5 + [refusing.destination, silent.destination, (world.UNREACHABLE, 80)]
		before = host.settled_descriptors()
		monkeys = [Monkey(host, targets, 100 * seed + number) for number in range(THREADS)]
		for monkey in monkeys:
			monkey.start()
		for turn in range(5):
			host.configure(RULES, "header=5s dial=700ms idle=1h drain=1s", more=f"# {turn}")
			host.send_signal(signal.SIGHUP)
		assert transfer.both_ways([(opener.socket, accepted)], 64 << 20)
		for monkey in monkeys:
			monkey.join()
			assert monkey.failure is None, repr(monkey.failure)
		wire.wait_until(lambda: host.descriptors() <= before, "all streams are closed")
	wire.wait_until(lambda: is_empty(host), "nothing is counted any more")


def is_empty(host):
	text = host.admin("status").stdout
	return re.search(r"^streams open 0$", text, re.MULTILINE) and "enclave test connections 0 " in text


def test_hundreds_of_streams_that_end_in_every_way_at_once(host):
	"""Half are reset and half end in order, all in the same few milliseconds."""
	with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
		destination = listener.getsockname()
		before = host.settled_descriptors()
		openers = [host.open(destination) for _ in range(400)]
		assert all(opener.wait() for opener in openers)
		accepted = [listener.accept()[0] for _ in openers]
		for number, connection in enumerate(accepted):
			if number % 2:
				connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
			connection.close()
		orderly = 0
		for opener in openers:
			assert opener.receive_all() == b""
			orderly += opener.probe()
			opener.close()
		assert orderly == len(openers) // 2
		wire.wait_until(lambda: host.descriptors() <= before, "all streams are closed")
