# SPDX-License-Identifier: MIT
"""connect(): every way to call it, every outcome, compared with TCP."""
import pytest

from support import airlock as airlock_module
from support import peer, sanitizer, transport, world

AGAINST_ECHO = ["blocking-twice", "nonblocking", "nonblocking-connect-again", "unspecified", "send-to",
	"unconnected", "fast-open", "fast-open-nonblocking", "fast-open-connect",
	"bad-addresses", "errno-untouched", "sigpipe"]
AGAINST_REFUSAL = ["blocking", "blocking-twice", "nonblocking", "nonblocking-recv-first",
	"nonblocking-send-first", "nonblocking-connect-again", "fast-open-nonblocking"]


@pytest.mark.parametrize("case", AGAINST_ECHO)
def test_an_accepting_destination(both, peers, probe, case):
	origin = peers.listen(peer.echo)
	both([probe("connecting"), case, origin.host, origin.port]).assert_same()


@pytest.mark.parametrize("case", ["nonblocking", "blocking-twice", "send-to"])
def test_an_accepting_destination_over_ipv6(both, peers, probe, case):
	if not world.has_ipv6:
		pytest.skip("the kernel has no IPv6")
	origin = peers.listen_6(peer.echo)
	both([probe("connecting"), case, origin.host, origin.port]).assert_same()


@pytest.mark.parametrize("case", AGAINST_REFUSAL)
def test_a_refusing_destination(both, peers, probe, case):
	origin = peers.refuse()
	both([probe("connecting"), case, origin.host, origin.port]).assert_same()


@pytest.mark.parametrize("host", [world.PROHIBITED, world.UNREACHABLE, world.NO_ROUTE])
def test_a_destination_that_the_network_refuses(both, probe, host):
	"""EACCES, EHOSTUNREACH, ENETUNREACH: hostd's errno crosses as a class and comes out as itself."""
	result = both([probe("connecting"), "blocking-twice", host, "80"]).assert_same()
	assert "connect: -1 E" in result.airlock.stdout


@pytest.mark.parametrize("case", ["blocking", "nonblocking"])
def test_a_destination_that_does_not_answer_times_out(both, peers, probe, case):
	origin = peers.drop()
	result = both([probe("connecting"), case, origin.host, origin.port]).assert_same()
	assert "ETIMEDOUT" in result.airlock.stdout


@pytest.mark.parametrize("case", ["pending", "send-timeout", "interrupted"])
def test_while_the_destination_has_not_answered(both, peers, probe, case):
	origin = peers.drop(gives_up=False)
	both([probe("connecting"), case, origin.host, origin.port]).assert_same()


@pytest.mark.parametrize("case", ["interrupted-restart", "interrupted-beside-crash-handler"])
def test_a_blocking_connect_restarts_after_a_signal_that_says_so(both, peers, probe, case):
	origin = peers.drop()
	both([probe("connecting"), case, origin.host, origin.port]).assert_same()


def test_after_a_failure_the_socket_dials_again(both, peers, probe):
	origin, refusing = peers.listen(peer.echo), peers.refuse()
	both([probe("connecting"), "reconnect-elsewhere", refusing.host, refusing.port,
		origin.port]).assert_same()


def test_a_destination_that_policy_denies_is_permission_denied(airlock, hostd, peers, probe):
	"""As a `prohibit` route would: the comparison is with that."""
	origin = peers.listen(peer.echo)
	airlock.use(hostd(rules="deny *"))
	denied = airlock.run([probe("connecting"), "blocking-twice", origin.host, origin.port])
	prohibited = airlock.native([probe("connecting"), "blocking-twice", world.PROHIBITED, "80"])
	assert (denied.status, denied.stdout) == (prohibited.status, prohibited.stdout)
	assert origin.connections == []


def test_a_denied_route_is_permission_denied_and_hostd_hears_nothing(airlock, peers, probe):
	origin = peers.listen(peer.echo)
	config = airlock.write(routes=f"route {origin.host} deny\nroute * direct")
	denied = airlock.run([probe("connecting"), "blocking", origin.host, origin.port], config=config)
	assert "connect: -1 EACCES" in denied.stdout
	assert airlock.hostd.log(msg="stream ended") == []


def test_a_tls_route_without_its_daemon_fails_and_never_goes_out_in_plaintext(airlock, peers, probe):
	origin = peers.listen(peer.echo)
	config = airlock.write(routes=f"route {origin.host} tls\nroute * direct",
		tls_listen=f"unix:{airlock.home}/absent.sock")
	# Not by `airlock run`, which would start it.
	result = airlock.native([probe("connecting"), "blocking", origin.host, origin.port],
		env=sanitizer.environment({"LD_PRELOAD": airlock_module.library(), "AIRLOCK_CONF": str(config)}))
	assert "connect: -1 ENETUNREACH" in result.stdout
	assert origin.connections == []


def test_without_hostd_the_network_is_unreachable(airlock, probe):
	config = airlock.write(endpoint=transport.new_endpoint(airlock.home, "nobody.sock"))
	result = airlock.run([probe("connecting"), "blocking", world.PUBLIC, "80"], config=config)
	assert "connect: -1 ENETUNREACH" in result.stdout


@pytest.mark.parametrize("case", ["shut-read", "shut-read-of-a-duplicate"])
def test_the_read_side_shut_gives_what_is_queued_and_then_the_end(both, peers, probe, case):
	origin = peers.listen(peer.echo)
	both([probe("connecting"), case, origin.host, origin.port]).assert_same()


def test_the_write_side_shut_twice(both, peers, probe):
	origin = peers.listen(peer.hold)
	both([probe("connecting"), "shut-twice", origin.host, origin.port]).assert_same()
