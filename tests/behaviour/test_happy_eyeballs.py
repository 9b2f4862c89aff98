# SPDX-License-Identifier: MIT
"""Programs that try both families at once (RFC 8305): the attempt that hangs costs them nothing, and
when it is given up nothing of it stays, neither in the program nor in hostd.

By names of the pool hostd itself tries both families for each attempt; with `names resolve` each
attempt is for one address, as it is without Airlock. So what a program says of the family that it got
is about a token there, and depends on which of two timers fires first: the origin knows better, which listens
on IPv4 alone.
"""
import textwrap

import pytest

from support import peer, process, world

NAMES = pytest.mark.parametrize("names", ["pool", "resolve"])
ROUNDS = 20
DIAL_SECONDS = 10.0  # hostd's, in DEFAULT_TIMEOUTS; the kernel's own are more here

ASYNCIO = textwrap.dedent("""
	import asyncio, os, sys
	host, port, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
	async def attempt():
		try:
			reader, writer = await asyncio.open_connection(host, port, happy_eyeballs_delay=0.1)
		except OSError as error:
			return type(error).__name__ + " " + str(error.errno)
		writer.write(b"ping")
		answer = (await reader.readexactly(4)).decode()
		writer.close()
		await writer.wait_closed()
		return answer
	async def main():
		return [await attempt() for _ in range(rounds)]
	def descriptors():
		return len(os.listdir("/proc/self/fd"))
	asyncio.run(attempt())  # what is opened once and kept is open now
	before = descriptors()
	print(*sorted(set(asyncio.run(main()))))
	print("descriptors more than before:", descriptors() - before)
""")

NODE = """
	const net = require("net");
	const [host, port] = process.argv.slice(1);
	const socket = net.connect({host, port: Number(port), autoSelectFamily: true,
		autoSelectFamilyAttemptTimeout: 100});
	socket.on("connect", () => { console.log("connected"); socket.write("ping"); });
	socket.on("data", data => { console.log(String(data)); socket.end(); });
	socket.on("error", error => console.log(error.code));
	socket.on("close", () => console.log("closed"));
"""


@pytest.fixture(autouse=True)
def second_family():
	if not world.has_ipv6:
		pytest.skip("this kernel has no IPv6")


@pytest.fixture
def half_dead(peers, dns):
	"""half_dead(serve): a name that stands for an IPv6 address that never answers and an IPv4 address
	that does. Gives the origin behind the latter."""
	def make(serve=peer.echo):
		origin = peers.listen(serve)
		peers.drop_6(origin.port, gives_up=False)
		dns.add("half-dead.test", origin.host, world.PUBLIC_6)
		return origin
	return make


@pytest.fixture
def leaves_nothing(airlock):
	"""Call it before the programs; the test ends only once hostd has no more descriptors than then."""
	begun = []
	yield lambda: begun.append(len(airlock.hostd.open_descriptors()))
	for before in begun:
		peer.wait_until(lambda: len(airlock.hostd.open_descriptors()) <= before,
			what="hostd to close the attempts that lost")


def wait_all_ended(origin):
	for connection in list(origin.connections):
		connection.wait_end()


@NAMES
def test_curl_takes_the_family_that_answers(airlock, half_dead, leaves_nothing, names):
	origin = half_dead(peer.http(b"by the other family\n"))
	airlock.configure(names=names)
	leaves_nothing()
	pair = airlock.both(["curl", "-sS", "--happy-eyeballs-timeout-ms", "100", "-w", "%{num_connects}\n",
		f"http://half-dead.test:{origin.port}/"]).assert_same()
	assert pair.airlock.stdout == "by the other family\n1\n", pair.describe()
	assert max(pair.native.seconds, pair.airlock.seconds) < DIAL_SECONDS * 0.8, pair.describe()
	wait_all_ended(origin)
	assert sum(b"GET" in connection.received for connection in origin.connections) == 2


@NAMES
def test_asyncio_takes_the_family_that_answers_and_closes_the_other(airlock, half_dead, leaves_nothing,
		names):
	origin = half_dead()
	airlock.configure(names=names)
	leaves_nothing()
	pair = airlock.both(["/usr/bin/python3", "-c", ASYNCIO, "half-dead.test", origin.port, ROUNDS],
		timeout=60).assert_same()
	assert pair.airlock.stdout == "ping\ndescriptors more than before: 0\n", pair.describe()
	wait_all_ended(origin)


@NAMES
def test_node_takes_the_family_that_answers(airlock, half_dead, leaves_nothing, names):
	if not process.which("node"):
		pytest.skip("node is not installed")
	origin = half_dead()
	airlock.configure(names=names)
	leaves_nothing()
	pair = airlock.both(["node", "-e", NODE, "half-dead.test", origin.port]).assert_same()
	assert pair.airlock.stdout == "connected\nping\nclosed\n", pair.describe()
	wait_all_ended(origin)


def test_an_attempt_that_loses_is_closed_while_its_gate_is_shut(airlock, half_dead):
	"""hostd learns of it and gives up its own dial, long before that would time out."""
	origin = half_dead()
	airlock.configure(names="resolve", log="debug")
	before = len(airlock.hostd.open_descriptors())
	program = ["/usr/bin/python3", "-c", ASYNCIO, "half-dead.test", origin.port, 1]
	result = airlock.run(program)
	assert result.stdout.startswith("ping\n"), result
	peer.wait_until(lambda: len(airlock.hostd.open_descriptors()) <= before, DIAL_SECONDS * 0.8 - result.seconds,
		"hostd to close a dial that nobody waits for")


@NAMES
def test_both_families_refuse(airlock, peers, dns, leaves_nothing, names):
	port = peers.refuse().port
	dns.add("both-refuse.test", world.PUBLIC, world.PUBLIC_6)
	airlock.configure(names=names)
	leaves_nothing()
	pair = airlock.both(["/usr/bin/python3", "-c", ASYNCIO, "both-refuse.test", port, ROUNDS]).assert_same()
	assert "descriptors more than before: 0" in pair.airlock.stdout, pair.describe()
	curl = airlock.both(["curl", "-sS", "-o", "/dev/null", f"http://both-refuse.test:{port}/"])
	assert curl.airlock.status == curl.native.status == 7, curl.describe()
