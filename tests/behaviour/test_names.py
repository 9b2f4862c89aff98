# SPDX-License-Identifier: MIT
"""Names: every way to ask libc, compared with libc and a DNS server. What DNS has as an address is a
pool address under Airlock, so the probes print only families unless the case says `exact`."""
import re
import socket
import struct

import pytest

from support import dns_server, peer

FAMILIES = {"v4.test": ["11.0.0.6"], "v6.test": ["2600:11::6"], "both.test": ["11.0.0.5", "2600:11::5"],
	"under_score.test": ["11.0.0.8"], "xn--tda.test": ["11.0.0.7"]}
POOL = re.compile(r"198\.1[89]\.\d+\.\d+|fd61:6972:6c6f::[0-9a-f:]+")

# Not names, in every spelling that inet_aton and inet_pton know, and some that they do not.
LITERALS = ["1.2.3.4", "127.1", "0x7f000001", "017700000001", "1.2.3", "4294967295", "::", "::1",
	"::ffff:1.2.3.4", "fe80::1%1", "fe80::1%lo", "::1%1", "2001:db8::1"]
ODD = ["a..b", ".", "..", "", ".v4.test", "v4.test..", "a b.test", "1.2.3.4.5", "1.2.3.4.", "1.2.3.4 x",
	"4294967296", "256.1.1.1", "[::1]", "a:b", "fe80::1%nowhere", "\u00fc.test", "name.0x10", "name.99"]


@pytest.fixture(autouse=True)
def names(dns):
	for name, addresses in FAMILIES.items():
		dns.add(name, *addresses)
	dns.fail("fails.test", dns_server.SERVFAIL)
	return dns


# --- getaddrinfo

@pytest.mark.parametrize("service", ["NULL", "80", "http"])
@pytest.mark.parametrize("name", ["both.test", "v4.test", "v6.test", "V4.Test.", "none.test",
	"fails.test", "xn--tda.test"])
def test_family_by_flags(both, probe, name, service):
	both([probe("names"), "table", name, service]).assert_same()


@pytest.mark.parametrize("service", ["NULL", "80", "http", "no-such-service", "*"])
@pytest.mark.parametrize("node", ["NULL", "*", "127.0.0.1", "::1", "0x7f.1", "localhost",
	"in-hosts-file.test", "IP6-Localhost"])
def test_what_libc_answers_itself(airlock, probe, node, service):
	airlock.both([probe("names"), "exact-table", node, service], enclave=False).assert_same()


@pytest.mark.parametrize("name", ["both.test", "none.test", "localhost"])
def test_socket_types_protocols_and_services(airlock, probe, name):
	airlock.both([probe("names"), "types", name, "NULL"], enclave=False).assert_same()


def test_literals(both, probe, names):
	both([probe("names"), "exact-many", LITERALS[0], "80", *LITERALS[1:]]).assert_same()
	assert names.queries == []


def test_texts_that_are_no_names(airlock, probe, names):
	"""libc asks DNS for some of them and hears that they do not exist; hostd is not asked."""
	native = airlock.native([probe("names"), "many", ODD[0], "80", *ODD[1:]])
	names.queries.clear()
	under = airlock.run([probe("names"), "many", ODD[0], "80", *ODD[1:]])
	assert under.stdout == native.stdout
	assert names.queries == []


def test_length_limits(both, probe):
	both([probe("names"), "lengths", "x", "80"]).assert_same()


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_international_names(both, probe, locale):
	both([probe("names"), "table", "\u00fc.test", "80"], env={"LC_ALL": locale, "LANG": locale}).assert_same()


def test_underscores(both, probe):
	both([probe("names"), "table", "under_score.test", "80"]).assert_same()


# --- the older functions

def test_hostents(both, probe):
	more = ["v4.test", "v6.test", "V4.test.", "none.test", "fails.test", "", ".", "a..b", "a b", "\u00fc.test"]
	both([probe("hostents"), "hostents", "both.test", "80", *more]).assert_same()


def test_hostents_that_libc_answers_itself(airlock, probe):
	more = ["in-hosts-file.test", "ip6-loopback", "127.0.0.1", "::1", "1.2.3", "0x7f.1", "fe80::1%lo"]
	airlock.both([probe("hostents"), "exact-hostents", "localhost", "80", *more], enclave=False).assert_same()


@pytest.mark.parametrize("name", ["both.test", "localhost"])
def test_small_buffers(airlock, probe, name):
	airlock.both([probe("hostents"), "small-buffers", name, "80"], enclave=False).assert_same()


def test_threads(both, probe):
	both([probe("hostents"), "threads", "v4.test", "80"]).assert_same()


# --- the hosts file

HOSTS = """# a comment, and below it lines of every kind
127.0.0.1\tlocalhost
::1 localhost ip6-localhost
11.0.0.30 plain.test plain Plain.Alias.test # plain.commented.test
  11.0.0.31   spaced.test\t\tspaced
11.0.0.32 twice.test
11.0.0.33 other.test twice.test second
2600:11::34 six.test
11.0.0.35 dual.hosts
2600:11::35 dual.hosts dual.alias
2600:11::36 dual.hosts
::ffff:11.0.0.37 mapped.test
::1 loop.test
11.0.0.38
11.0.0.39/24 block.test
11.0.0 short.test
not-an-address wrong.test
11.0.0.40 under_score.hosts -dash.test \u00fc.test trailing.test.
11.0.0.41 carriage.test\r
11.0.0.42 MiXeD.Test
11.0.0.43 1.2.3
fe80::44%lo scoped.test
11.0.0.46 many.test """ + " ".join(f"alias{number}.test" for number in range(1, 41)) + """
11.0.0.45 last.test"""
IN_HOSTS = ["plain.test", "PLAIN", "plain.alias.test", "plain.commented.test", "spaced.test", "spaced",
	"twice.test", "second", "other.test", "six.test", "dual.hosts", "dual.alias", "mapped.test", "loop.test",
	"block.test", "short.test", "wrong.test", "under_score.hosts", "-dash.test", "\u00fc.test", "trailing.test.",
	"carriage.test", "mixed.test", "last.test"]


@pytest.fixture
def with_hosts(directory):
	"""with_hosts(command): the command where /etc/hosts is the file above."""
	path = directory / "hosts"
	path.write_text(HOSTS)
	return lambda command: ["unshare", "--mount", "/bin/sh", "-c",
		f'mount --bind {path} /etc/hosts && exec "$@"', "sh", *command]


def test_the_hosts_file_through_getaddrinfo(airlock, probe, with_hosts):
	command = [probe("names"), "exact-many", IN_HOSTS[0], "80", *IN_HOSTS[1:]]
	airlock.both(with_hosts(command), enclave=False).assert_same()


def test_the_last_of_many_names_on_a_line_is_found(airlock, probe, with_hosts):
	"""Where aliases are listed there are fewer of them than libc has."""
	command = [probe("names"), "exact-many", "alias40.test", "80"]
	result = airlock.both(with_hosts(command), enclave=False).assert_same()
	assert "11.0.0.46" in result.airlock.stdout


@pytest.mark.parametrize("name", ["plain.test", "twice.test", "six.test", "dual.hosts",
	"loop.test", "dual.alias"])
def test_the_hosts_file_by_family_and_flags(airlock, probe, with_hosts, name):
	airlock.both(with_hosts([probe("names"), "exact-table", name, "80"]), enclave=False).assert_same()


def test_the_hosts_file_through_hostents(airlock, probe, with_hosts):
	command = [probe("hostents"), "exact-hostents", IN_HOSTS[0], "80", *IN_HOSTS[1:]]
	airlock.both(with_hosts(command), enclave=False).assert_same()


# --- back from addresses

@pytest.mark.parametrize("address", ["11.0.0.77", "2600:11::77", "127.0.0.1", "::1", "11.0.0.9"])
def test_names_of_addresses_that_are_not_the_pools(airlock, probe, address):
	airlock.both([probe("hostents"), "exact-back", address, "80"], enclave=False).assert_same()


@pytest.mark.parametrize("address", ["11.0.0.77", "2600:11::77"])
def test_an_address_without_a_name_is_not_waited_for(both, probe, address):
	result = both([probe("hostents"), "exact-back", address, "80"]).assert_same()
	assert result.airlock.seconds < 5


def test_names_of_pool_addresses(airlock, probe):
	lines = airlock.run([probe("hostents"), "back", "Both.Test.", "80"]).stdout.splitlines()
	for family in ("ipv4", "ipv6"):
		for flags in ("0", "2", "8", "4", "10", "a"):
			service = "http" if flags in ("0", "8", "4") else "80"  # there is no http over UDP
			assert f"{family} size 1025 flags {flags}: 0 both.test {service}" in lines
			assert f"{family} size 3 flags {flags}: EAI_OVERFLOW - -" in lines
			assert f"{family} size 0 flags {flags}: 0  {service}" in lines
		assert f"{family} size 1025 flags 1: 0 - http" in lines
		assert f"{family} size 1025 flags 4000: EAI_BADFLAGS - -" in lines
	assert lines.count("    name both.test family inet length 4") == 2
	assert lines.count("    name both.test family inet6 length 16") == 2
	assert lines.count("gethostbyaddr_r with 3 bytes: ERANGE") == 2


# --- getaddrinfo_a

@pytest.mark.parametrize("case", ["wait", "nowait", "signal", "thread"])
def test_asynchronous_lookups(both, probe, case):
	both([probe("lookups_async"), case, "both.test", "80"]).assert_same()


def test_asynchronous_lookups_of_a_slow_name(both, probe, names):
	names.add("slow.test", "11.0.0.5", ttl=0)
	names.delay("slow.test", 1.5)
	both([probe("lookups_async"), "slow", "slow.test", "80"]).assert_same()


def test_asynchronous_lookups_and_fork(airlock, probe, names):
	"""Not compared: in the child of such a fork glibc's own getaddrinfo_a often waits for ever."""
	names.add("slow.test", "11.0.0.5", ttl=0)
	names.delay("slow.test", 0.5)
	output = airlock.run([probe("lookups_async"), "fork", "slow.test", "80"]).stdout
	assert "child ended with 0\n" in output
	assert output.count("slow.test: 0\n") == 3 and output.count("127.0.0.1: 0\n") == 3, output


def test_threads_that_are_cancelled_in_a_lookup(airlock, probe, names):
	names.add("slow.test", "11.0.0.5", ttl=0)
	names.delay("slow.test", 0.5)
	result = airlock.run([probe("lookups_async"), "cancelled-threads", "slow.test", "80"])
	assert result.stdout == "descriptors left: 0\n"


# --- what routes, hostd and the pool make of a name

def families(result):
	return re.findall(r"^    (ipv4|ipv6|mapped) family", result.stdout, re.MULTILINE)


def codes(result):
	return re.findall(r"flags \w+ type 1 protocol 0: (\w+)$", result.stdout, re.MULTILINE)


CONNECT = """
import socket
try:
	socket.create_connection(("both.test", 80))
except OSError as error:
	print(error.errno)
"""


def test_a_name_that_hostd_denies_has_an_address_and_connect_says_why(airlock, hostd, probe):
	airlock.use(hostd(rules="deny both.test\nallow *"))
	assert families(airlock.run([probe("names"), "many", "both.test", "80"])) == ["ipv4"]
	refused = airlock.run(["/usr/bin/python3", "-c", CONNECT])
	assert refused.stdout == "13\n", refused


def test_a_denied_name_is_also_refused_where_names_are_resolved(airlock, hostd):
	airlock.use(hostd(rules="deny both.test\nallow *"))
	airlock.configure(names="resolve")
	refused = airlock.run(["/usr/bin/python3", "-c", CONNECT])
	assert refused.stdout == "13\n", refused


TALK = """
import socket, sys
try:
	with socket.create_connection(("behind-proxy.test", int(sys.argv[1]))) as stream:
		stream.sendall(b"token")
		print(stream.recv(5), socket.getnameinfo(stream.getpeername(), 0)[0])
except OSError as error:
	print(error.errno)
"""


def test_a_name_that_a_proxy_resolves_is_dialled_by_it_where_names_are_resolved(airlock, hostd, upstreams, peers):
	origin = peers.listen(peer.echo)
	proxy = upstreams.socks5(target=(origin.host, origin.port))
	airlock.use(hostd(upstream=proxy.url, rules="allow behind-proxy.test"))
	airlock.configure(names="resolve")
	result = airlock.run(["/usr/bin/python3", "-c", TALK, origin.port])
	assert result.stdout == "b'token' behind-proxy.test\n", result
	assert proxy.asked == [("behind-proxy.test", origin.port)]


def test_an_address_of_the_pool_without_a_name_is_an_address_where_names_are_resolved(airlock, hostd, upstreams, peers):
	origin = peers.listen(peer.echo)
	proxy = upstreams.socks5(target=(origin.host, origin.port))
	airlock.use(hostd(upstream=proxy.url, rules="allow 198.18.0.0/15"))
	airlock.configure(names="resolve")
	result = airlock.run(["/usr/bin/python3", "-c", TALK.replace("behind-proxy.test", "198.18.9.9"), origin.port])
	assert result.stdout.startswith("b'token'"), result
	assert proxy.asked == [("198.18.9.9", origin.port)]


def test_a_name_that_a_route_denies_is_not_asked_for(airlock, probe, names):
	airlock.configure("route both.test deny\nroute * direct")
	assert families(airlock.run([probe("names"), "many", "both.test", "80"])) == ["ipv4"]
	assert names.queries == []


def test_a_name_without_a_route_is_denied(airlock, probe, names):
	airlock.configure("route v4.test direct")
	assert families(airlock.run([probe("names"), "many", "both.test", "80"])) == ["ipv4"]
	assert names.queries == []


def test_a_local_name_is_libcs(airlock, probe):
	airlock.configure("route both.test local\nroute * direct")
	airlock.both([probe("names"), "exact-many", "both.test", "80"], enclave=False).assert_same()
	airlock.both([probe("hostents"), "exact-hostents", "both.test", "80"], enclave=False).assert_same()


def test_the_port_decides_when_it_is_known(airlock, probe):
	airlock.configure("route both.test:80 local\nroute * direct")
	local = airlock.run([probe("names"), "exact-many", "both.test", "80"], enclave=False).stdout
	routed = airlock.run([probe("names"), "exact-many", "both.test", "81"], enclave=False).stdout
	assert "11.0.0.5 family" in local and "2600:11::5 family" in local
	assert len(POOL.findall(routed)) == 2


def test_localhost_needs_no_hosts_file(airlock, probe, names):
	output = airlock.run([probe("names"), "exact-many", "localhost", "80", "some.LOCALHOST.", "localhost."]).stdout
	assert output.count("127.0.0.1 family inet ") == 3 and output.count("::1 family inet6 ") == 3
	assert names.queries == []


def test_without_hostd_names_are_tried_again(airlock, directory, probe):
	config = airlock.write(endpoint=f"unix:{directory}/nobody.sock")
	result = airlock.run([probe("names"), "many", "both.test", "80"], config=config)
	assert codes(result) == ["EAI_AGAIN"] and result.seconds < 5


def test_one_name_has_one_address_in_every_process(airlock, probe):
	program = probe("names")
	output = airlock.run(["/bin/sh", "-c", f"{program} exact-many both.test 80; {program} exact-many BOTH.test. 80"]).stdout
	assert len(set(POOL.findall(output))) == 2 and len(POOL.findall(output)) == 4


def test_ipv4_comes_first(airlock, probe):
	output = airlock.run([probe("names"), "exact-many", "both.test", "80"]).stdout
	assert [address.startswith("198.") for address in POOL.findall(output)] == [True, False]


def test_answers_are_kept_for_their_time_to_live(airlock, probe, names):
	names.add("kept.test", "11.0.0.5", ttl=60)
	airlock.run([probe("names"), "many", "kept.test", "80", "kept.test"])
	assert len([query for query in names.queries if query[0] == "kept.test"]) <= 2  # A and AAAA


def test_answers_are_not_kept_longer(airlock, probe, names):
	names.change("moving.test", ["11.0.0.5"], ["2600:11::5"], ttl=3)
	program = f"{probe('names')} many moving.test 80"
	result = airlock.run(["/bin/sh", "-c", f"{program}; {program}; sleep 3.2; {program}"])
	assert families(result) == ["ipv4", "ipv4", "ipv6"]


def test_failures_are_not_kept(airlock, probe, names):
	first = airlock.run([probe("names"), "many", "later.test", "80"])
	names.add("later.test", "11.0.0.5")
	second = airlock.run([probe("names"), "many", "later.test", "80"])
	assert (codes(first), codes(second)) == (["EAI_NONAME"], ["0"])


def test_a_full_pool_refuses_new_names(airlock, probe, names):
	for number in range(13):
		names.add(f"host{number}.test", "11.0.0.5")
	airlock.configure(pool="198.18.0.0/28 fd61:6972:6c6f::/124")
	hosts = [f"host{number}.test" for number in range(13)]
	result = airlock.run([probe("names"), "many", hosts[0], "80", *hosts[1:], hosts[0]])
	assert codes(result) == ["0"] * 12 + ["EAI_FAIL", "0"]


def test_real_addresses_when_names_are_resolved(airlock, probe):
	airlock.configure(names="resolve")
	output = airlock.run([probe("names"), "exact-many", "both.test", "80"]).stdout
	assert "11.0.0.5 family inet " in output and "2600:11::5 family inet6 " in output
	assert not POOL.search(output)


def test_an_address_of_the_pool_that_has_no_name_has_none(airlock, probe):
	result = airlock.run([probe("hostents"), "exact-back", "198.18.77.77", "80"])
	assert "198.18.77.77 size 1025 flags 8: EAI_NONAME - -" in result.stdout
	assert "198.18.77.77 size 1025 flags 0: 0 198.18.77.77 http" in result.stdout
	assert result.seconds < 5


@pytest.mark.parametrize("family, prefix", [("AF_INET", "198.1"), ("AF_INET6", "fd61:"),
	("AF_INET6", "::ffff:198.1")])
def test_every_form_of_a_pool_address_leads_to_its_name(airlock, peers, names, family, prefix):
	origin = peers.listen(peer.echo)
	names.add("origin.test", origin.host, *(["2600:11::ffff"] if prefix == "fd61:" else []))
	result = airlock.run(["/usr/bin/python3", "-c", "import socket, sys\n"
		f"for entry in socket.getaddrinfo('origin.test', {origin.port}, socket.{family}, socket.SOCK_STREAM,"
		" flags=socket.AI_V4MAPPED):\n"
		" connection = socket.create_connection(entry[4][:2])\n"
		" connection.sendall(b'token')\n"
		" print(entry[4][0], connection.recv(5), socket.getnameinfo(connection.getpeername(), 0)[0])"])
	assert result.stdout.startswith(prefix), result
	assert result.stdout.endswith("b'token' origin.test\n"), result


# --- getent, which has libc's own calls in it, and Python's, which has others

@pytest.mark.parametrize("words", [["ahosts", "none.test"], ["hosts", "none.test"], ["ahostsv4", "v6.test"]])
def test_getent_fails_alike(both, words):
	both(["getent", *words]).assert_same()


def test_getent_lists_pool_addresses(airlock):
	output = airlock.run(["getent", "ahosts", "both.test"]).stdout
	assert len(POOL.findall(output)) == 6, output
	assert socket.inet_aton(POOL.findall(output)[0]) > struct.pack("!I", 0xC6120003)
