# SPDX-License-Identifier: MIT
"""RESOLVE: what an enclave learns about names, and what the parent's name server learns of it."""

import resource
import select

import pytest

from support import dns_server, wire

TOKEN = "198.18.0.1"


@pytest.fixture
def public(start):
	return start("allow *\ndeny *.secret.test\ndeny exact.test")


def test_addresses_of_both_families_come_with_their_time_to_live(public, dns):
	dns.add("dual.test", "11.0.0.5", "11.0.0.6", "2600:11::5", ttl=77)
	failure, ttl, addresses = wire.resolve(public.path, "dual.test").addresses()
	assert failure == "none"
	assert 75 <= ttl <= 77
	assert sorted(addresses) == ["11.0.0.5", "11.0.0.6", "2600:11::5"]


def test_a_name_of_one_family_has_only_that_one(public, dns):
	dns.add("four.test", "11.0.0.5")
	dns.add("six.test", "2600:11::5")
	assert wire.resolve(public.path, "four.test").addresses()[2] == ["11.0.0.5"]
	assert wire.resolve(public.path, "six.test").addresses()[2] == ["2600:11::5"]


def test_the_smallest_time_to_live_is_told_for_an_alias(public, dns):
	dns.add("inner.test", "11.0.0.5", ttl=500)
	dns.add("outer.test", ttl=20)
	dns.alias("outer.test", "inner.test")
	failure, ttl, addresses = wire.resolve(public.path, "outer.test").addresses()
	assert failure == "none" and addresses == ["11.0.0.5"]
	assert ttl <= 500


def test_a_name_that_does_not_exist_is_told(public):
	assert wire.resolve(public.path, "nowhere.test").addresses()[0] == "no-such-name"


def test_a_name_without_addresses_is_told_like_one_that_does_not_exist(public, dns):
	dns.add("empty.test")
	assert wire.resolve(public.path, "empty.test").addresses()[0] == "no-such-name"


def test_lookups_have_the_rate_of_connections_and_take_nothing_from_them(start, dns, origin):
	host = start("allow *\nallow 127.0.0.1\nlimit rate=3/s")
	with host.stopped():  # so that they come all at once
		questions = [wire.Opener(host.path, wire.control(wire.RESOLVE, f"rate{number}.test".encode()))
			for number in range(40)]
	failures = [wire.Answer(question.receive_all()).addresses()[0] for question in questions]
	for question in questions:
		question.close()
	assert failures.count("no-such-name") >= 3 and set(failures) == {"no-such-name", "try-again"}
	assert len({name for name, _ in dns.queries if name.startswith("rate")}) == failures.count("no-such-name")
	with host.open(origin.destination) as opener:
		assert opener.wait()


@pytest.mark.parametrize("code", [dns_server.SERVFAIL, dns_server.REFUSED])
def test_a_name_server_that_fails_means_try_again(public, dns, code):
	dns.fail("broken.test", code)
	assert wire.resolve(public.path, "broken.test").addresses()[0] == "try-again"


@pytest.mark.parametrize("name", ["a.secret.test", "b.a.secret.test", "exact.test"])
def test_a_denied_name_is_not_looked_up(public, dns, name):
	dns.add(name, "11.0.0.5")
	assert wire.resolve(public.path, name).status == wire.DENIED
	assert public.refusal((TOKEN, 80), name) == ("policy", "denied")
	assert name not in {asked for asked, _ in dns.queries}


def test_an_enclave_may_only_look_up_what_it_may_reach_on_some_port(start, dns):
	dns.add("web.test", "11.0.0.5")
	dns.add("data-in-a-name.attacker.test", "11.0.0.6")
	host = start("allow web.test:443\nallow 11.0.0.0/16")
	assert wire.resolve(host.path, "web.test").addresses()[2] == ["11.0.0.5"]
	assert wire.resolve(host.path, "data-in-a-name.attacker.test").status == wire.DENIED
	assert host.refusal((TOKEN, 80), "web.test") == ("policy", "denied")
	assert wire.resolve(host.other_path, "web.test").status == wire.DENIED
	assert "data-in-a-name.attacker.test" not in {asked for asked, _ in dns.queries}


def test_a_connect_that_policy_denies_by_port_looks_nothing_up(start, dns):
	dns.add("web.test", "11.0.0.5")
	host = start("allow web.test:443")
	assert host.refusal((TOKEN, 80), "web.test") == ("policy", "denied")
	assert not dns.queries


def with_resolv_conf(path, text):
	path.write_text(text)
	script = f'mount --bind {path} /etc/resolv.conf && exec "$@"'
	return ["unshare", "--mount", "--", "/bin/sh", "-c", script, "hostd"]


@pytest.mark.parametrize("name", ["intranet", "www.sub"])
def test_search_domains_are_not_appended(start, dns, directory, name):
	dns.add(f"{name}.corp.test", "11.0.0.5")
	prefix = with_resolv_conf(
		directory / "resolv.conf", "nameserver 127.0.0.1\nsearch corp.test\noptions ndots:3\n"
	)
	host = start("allow *", prefix=prefix)
	assert wire.resolve(host.path, name).addresses()[0] == "no-such-name"
	assert host.refusal((TOKEN, 80), name) == ("name", "no-such-name")
	assert {asked for asked, _ in dns.queries} == {name}


def test_a_resolver_directive_is_asked_instead_of_the_system_s(start, dns):
	own = dns_server.DnsServer("127.0.0.2", 5353)
	try:
		own.add("private.test", "11.0.0.8")
		host = start("allow *", more="resolver 127.0.0.2:5353")
		assert wire.resolve(host.path, "private.test").addresses()[2] == ["11.0.0.8"]
		assert not dns.queries
	finally:
		own.stop()


def test_a_reload_with_another_resolver_asks_that_one(start, dns):
	first, second = dns_server.DnsServer("127.0.0.2", 5353), dns_server.DnsServer("127.0.0.3", 5353)
	try:
		first.add("moved.test", "11.0.0.8", ttl=0)
		second.add("moved.test", "11.0.0.9", ttl=0)
		host = start("allow *", more="resolver 127.0.0.2:5353")
		assert wire.resolve(host.path, "moved.test").addresses()[2] == ["11.0.0.8"]
		host.configure("allow *", more="resolver 127.0.0.3:5353")
		host.reload()
		wire.wait_until(
			lambda: wire.resolve(host.path, "moved.test").addresses()[2] == ["11.0.0.9"],
			"the new resolver is asked",
		)
	finally:
		first.stop()
		second.stop()


def test_a_reload_whose_resolver_cannot_start_is_made_good_by_the_next(start, dns):
	own = dns_server.DnsServer("127.0.0.2", 5353)
	try:
		dns.add("moved.test", "11.0.0.8")
		own.add("moved.test", "11.0.0.9")
		host = start("allow *", more="workers 1")
		host.configure("allow *", more="workers 1\nresolver 127.0.0.2:5353")
		room = resource.prlimit(host.pid, resource.RLIMIT_NOFILE)
		# One for the configuration file.
		resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (max(host.open_descriptors()) + 2, room[1]))
		host.reload()
		host.wait_line("the new resolver cannot start")
		resource.prlimit(host.pid, resource.RLIMIT_NOFILE, room)
		assert wire.resolve(host.path, "moved.test").addresses()[2] == ["11.0.0.8"]
		host.reload()
		wire.wait_until(
			lambda: wire.resolve(host.path, "moved.test").addresses()[2] == ["11.0.0.9"],
			"the new resolver is asked",
		)
	finally:
		own.stop()


def test_a_reload_reads_the_system_s_name_servers_again(start, dns, directory):
	second = dns_server.DnsServer("127.0.0.2")
	try:
		dns.add("moved.test", "11.0.0.8")
		second.add("moved.test", "11.0.0.9")
		file = directory / "resolv.conf"
		host = start("allow *", prefix=with_resolv_conf(file, "nameserver 127.0.0.1\n"))
		assert wire.resolve(host.path, "moved.test").addresses()[2] == ["11.0.0.8"]
		file.write_text("nameserver 127.0.0.2\n")
		host.reload()
		wire.wait_until(
			lambda: wire.resolve(host.path, "moved.test").addresses()[2] == ["11.0.0.9"],
			"the new name server is asked",
		)
	finally:
		second.stop()


def test_a_second_name_server_is_asked_when_the_first_is_silent(start, origin):
	silent, awake = dns_server.DnsServer("127.0.0.2", 5353), dns_server.DnsServer("127.0.0.3", 5353)
	try:
		silent.ignore("web.test")
		awake.add("web.test", "127.0.0.1")
		host = start("allow web.test to=127.0.0.0/8", more="resolver 127.0.0.2:5353 127.0.0.3:5353")
		assert host.verdict((TOKEN, origin.port), "web.test") == ("open", "none")
		assert silent.queries
	finally:
		silent.stop()
		awake.stop()


def test_a_query_that_is_lost_is_asked_again(start, dns, origin):
	dns.add("web.test", "127.0.0.1")
	dns.lose("web.test", 2)
	host = start("allow web.test to=127.0.0.0/8")
	assert host.verdict((TOKEN, origin.port), "web.test") == ("open", "none")
	assert len(dns.queries) == 4, "one for each family, and each again"


def test_a_silent_name_server_fails_lookups_before_the_dial_s_time_and_costs_next_to_nothing(start, dns):
	dns.ignore("web.test")
	host = start("allow web.test", timeouts="header=5s dial=60s idle=1h drain=1s")
	with host.open((TOKEN, 80), "web.test") as opener:
		dns.wait_query("web.test")
		wakes, used = host.wakes(), host.processor_seconds()
		assert not opener.wait()
		wakes, used = host.wakes() - wakes, host.processor_seconds() - used
	assert host.outcome(opener.id)[:2] == ("name", "try-again")
	assert wakes < 100 and used < 0.5, f"{wakes} wakes, {used} s of a processor"


def test_a_slow_lookup_delays_no_other(public, dns):
	dns.add("slow.test", "11.0.0.5")
	dns.add("quick.test", "11.0.0.6")
	dns.hold("slow.test")
	question = wire.control(wire.RESOLVE, b"slow.test")
	with wire.Opener(public.path, question) as waiting:
		dns.wait_query("slow.test")
		assert wire.resolve(public.path, "quick.test").addresses()[2] == ["11.0.0.6"]
		assert waiting.events(select.POLLIN) == 0
		dns.release("slow.test")
		assert wire.Answer(waiting.receive_all()).addresses()[2] == ["11.0.0.5"]


def test_a_lookup_whose_asker_is_gone_leaves_nothing(public, dns):
	dns.add("slow.test", "11.0.0.5")
	wire.resolve(public.path, "warm.test")
	before = public.settled_descriptors()
	dns.hold("slow.test")
	for _ in range(20):
		wire.Opener(public.path, wire.control(wire.RESOLVE, b"slow.test")).close()
	dns.wait_query("slow.test")
	dns.release("slow.test")
	wire.wait_until(lambda: public.descriptors() <= before + 2, "the lookups are over")
	assert public.is_answering()


def test_more_addresses_than_fit_are_cut_and_not_an_error(public, dns):
	dns.add("many.test", *[f"11.0.1.{number}" for number in range(1, 61)])
	failure, _, addresses = wire.resolve(public.path, "many.test").addresses()
	assert failure == "none"
	assert 1 <= len(addresses) <= 60 and len(set(addresses)) == len(addresses)


def test_a_hundred_lookups_at_once_are_all_answered_with_their_own_addresses(public, dns):
	names = {dns.add(f"n{number}.test", f"11.0.2.{number}"): f"11.0.2.{number}" for number in range(100)}
	waiting = {
		name: wire.Opener(public.path, wire.control(wire.RESOLVE, name.encode())) for name in names
	}
	for name, opener in waiting.items():
		with opener:
			assert wire.Answer(opener.receive_all()).addresses()[2] == [names[name]]
