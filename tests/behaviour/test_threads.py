# SPDX-License-Identifier: MIT
"""Threads that connect, poll, duplicate, fork and close at once."""
import pytest

from support import peer, sanitizer, world

ROUNDS = 18


def test_threads_do_everything_at_once(airlock, peers, probe, dns):
	dns.add("threads.test", world.PUBLIC)
	origin, refused = peers.listen(peer.echo), peers.refuse()
	command = [probe("threads"), "everything", origin.host, origin.port, refused.port, "threads.test", ROUNDS]
	# libc's getaddrinfo_a crashes in a program with ThreadSanitizer.
	for run in [airlock.run] if sanitizer.is_thread() else [airlock.native, airlock.run]:
		result = run(command, timeout=100)
		assert (result.status, result.stdout, result.stderr) == (0, "failures: 0\n", ""), result


@pytest.mark.parametrize("case", ["sockets", "names"])
def test_the_shared_tables_filled_by_threads(airlock, probe, case):
	program = probe("tables", "-ffunction-sections", "-Wl,--gc-sections")  # some of what it includes
	result = airlock.native([program, case, "0", "0"], timeout=100)
	assert (result.status, result.stdout, result.stderr) == (0, "filled\n", ""), result
