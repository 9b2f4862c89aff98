# SPDX-License-Identifier: MIT
"""What an enclave may reach. Every case asks hostd itself and looks at where the dial went.

Ports of the world's addresses on which nobody listens are refused by the kernel, so a destination
that policy allows gives ("dial", "refused") at once.
"""

import pytest

from support import wire, world
from support.daemon import Host
from support.origin import Origin, pair

ALLOWED, DENIED = ("dial", "refused"), ("policy", "denied")
TOKEN = "198.18.0.1"  # where a name is given, its address says nothing

NAMES = {
	"web.test": ["11.0.0.5"],
	"six.test": ["2600:11::5"],
	"a.web.test": ["11.0.0.5"],
	"a.b.web.test": ["11.0.0.5"],
	"xweb.test": ["11.0.0.5"],
	"other-web.test": ["11.0.0.5"],
	"web.test.evil.test": ["11.0.0.5"],
	"db.test": ["10.11.0.1"],
	"both.test": ["10.11.0.1", "11.0.0.5"],
	"self.test": ["127.0.0.1"],
}

TABLE = [
	# rules, destination, name, verdict
	("allow web.test", 443, "web.test", ALLOWED),
	("allow web.test:443", 443, "web.test", ALLOWED),
	("allow web.test:443", 444, "web.test", DENIED),
	("allow web.test:80,443,8000-8100", 8000, "web.test", ALLOWED),
	("allow web.test:80,443,8000-8100", 8100, "web.test", ALLOWED),
	("allow web.test:80,443,8000-8100", 8101, "web.test", DENIED),
	("allow web.test:80,443,8000-8100", 7999, "web.test", DENIED),
	("allow web.test:80,443,8000-8100", 443, "web.test", ALLOWED),
	("allow WEB.Test.:443", 443, "web.test", ALLOWED),
	("allow web.test", 443, "a.web.test", DENIED),
	("allow web.test", 443, "xweb.test", DENIED),
	("allow web.test", 443, "web.test.evil.test", DENIED),
	("allow *.web.test", 443, "a.web.test", ALLOWED),
	("allow *.web.test", 443, "a.b.web.test", ALLOWED),
	("allow *.web.test", 443, "web.test", DENIED),
	("allow *.web.test", 443, "xweb.test", DENIED),
	("allow *.web.test", 443, "other-web.test", DENIED),
	("allow *.web.test", 443, "web.test.evil.test", DENIED),
	("allow *", 443, "web.test", ALLOWED),
	("allow *", 443, "six.test", ALLOWED),
	("allow *:443", 80, "web.test", DENIED),
	("allow *", 443, "11.0.0.5", ALLOWED),
	("allow *", 443, "2600:11::5", ALLOWED),
	("allow 11.0.0.0/24:443", 443, "11.0.0.5", ALLOWED),
	("allow 11.0.0.0/24:443", 80, "11.0.0.5", DENIED),
	("allow 11.0.0.0/24", 443, "11.0.1.0", DENIED),
	("allow 11.0.0.0/24", 443, "11.0.0.255", ALLOWED),
	("allow [2600:11::/64]:443", 443, "2600:11::5", ALLOWED),
	("allow [2600:11::/64]:443", 80, "2600:11::5", DENIED),
	("allow 2600:11::5", 443, "2600:11::6", DENIED),
	# A block is about addresses and a name about names.
	("allow 11.0.0.0/24", 443, "web.test", DENIED),
	("allow web.test", 443, "11.0.0.5", DENIED),
	("allow *.test", 443, "11.0.0.5", DENIED),
	# Deny rules come first, wherever they stand.
	("allow *\ndeny web.test", 443, "web.test", DENIED),
	("deny web.test\nallow *", 443, "web.test", DENIED),
	("deny *.web.test\nallow *", 443, "a.web.test", DENIED),
	("deny *.web.test\nallow *", 443, "web.test", ALLOWED),
	("deny web.test:80\nallow *", 443, "web.test", ALLOWED),
	("deny *\nallow *", 443, "web.test", DENIED),
	("deny 11.0.0.5\nallow *", 443, "11.0.0.5", DENIED),
	("deny 11.0.0.0/24\nallow *", 443, "11.0.0.5", DENIED),
	("deny 11.0.0.0/24\nallow *", 443, "11.0.1.5", ALLOWED),
	("deny 11.0.0.0/24\nallow *", 443, "web.test", DENIED),
	("deny 10.11.0.0/24\nallow db.test to=10.0.0.0/8", 443, "db.test", DENIED),
	("deny web.test", 443, "six.test", DENIED),
	("", 443, "web.test", DENIED),
	# Private addresses: only by being named.
	("allow *", 443, "10.11.0.1", DENIED),
	("allow *", 443, "127.0.0.1", DENIED),
	("allow *", 80, "169.254.169.254", DENIED),
	("allow *", 443, "db.test", DENIED),
	("allow db.test", 443, "db.test", DENIED),
	("allow *", 443, "self.test", DENIED),
	("allow *", 443, "localhost", DENIED),
	("allow 10.11.0.0/24", 443, "10.11.0.1", ALLOWED),
	("allow 127.0.0.1:8000-8100", 8001, "127.0.0.1", ALLOWED),
	("allow 127.0.0.1:8000-8100", 8001, "127.0.0.2", DENIED),
	("allow 127.0.0.1:8000-8100", 7999, "127.0.0.1", DENIED),
	("allow 127.0.0.1", 443, "::ffff:127.0.0.1", ALLOWED),
	("allow ::1", 443, "::1", ALLOWED),
	("allow 169.254.169.254:80", 80, "169.254.169.254", ALLOWED),
	("allow db.test to=10.11.0.0/24", 443, "db.test", ALLOWED),
	("allow db.test:443 to=10.11.0.0/24", 80, "db.test", DENIED),
	("allow db.test to=192.168.0.0/16,10.11.0.1", 443, "db.test", ALLOWED),
	("allow db.test to=10.12.0.0/16", 443, "db.test", DENIED),
	# Allow rules add up, whatever their order.
	("allow *\nallow db.test to=10.11.0.0/24", 443, "db.test", ALLOWED),
	("allow db.test\nallow *.test:443 to=10.11.0.0/24", 443, "db.test", ALLOWED),
	("allow db.test\nallow *.test:443 to=10.11.0.0/24", 80, "db.test", DENIED),
	("allow *\nallow db.test to=10.11.0.0/24\ndeny *:443", 443, "db.test", DENIED),
	("allow *\nallow 10.11.0.1:443", 443, "db.test", ALLOWED),
	("allow *\nallow 10.11.0.1:443", 80, "db.test", DENIED),
	("allow *.web.test to=10.0.0.0/8\nallow db.test", 443, "db.test", DENIED),
	("allow self.test to=10.0.0.0/8", 443, "self.test", DENIED),
	("allow self.test to=127.0.0.0/8", 443, "self.test", ALLOWED),
	("allow web.test to=10.0.0.0/8", 443, "web.test", ALLOWED),
	("allow * to=10.0.0.0/8", 443, "10.11.0.1", DENIED),
	("allow both.test", 443, "both.test", ALLOWED),
]


def is_address(text):
	return ":" in text or text.replace(".", "").isdigit()


def ask(host, target, port):
	if is_address(target):
		return host.refusal((target, port))
	return host.refusal((TOKEN, port), target)


@pytest.fixture
def names(dns):
	for name, addresses in NAMES.items():
		dns.add(name, *addresses)
	return dns


@pytest.mark.parametrize("rules, port, target, verdict", TABLE)
def test_the_rules_decide(start, names, rules, port, target, verdict):
	assert ask(start(rules), target, port) == verdict


# --- addresses that `allow *` does not reach

SPECIAL = """
0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255
169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.168.0.1 192.168.255.255
198.18.0.1 198.19.255.255 224.0.0.1 239.1.2.3 240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0
::127.0.0.1 ::10.11.0.1 ::169.254.169.254
64:ff9b::127.0.0.1 64:ff9b::10.11.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1
2002:7f00:1:: 2002:a0b:1:: 2002:a9fe:a9fe::
fe80::1 fec0::1 fc00::1 fd00:ec2::254 fdff::1 ff02::1 ff0e::1
""".split()

ORDINARY = """
9.255.255.255 11.0.0.5 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255
169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
223.255.255.254 2600:11::5 2a00::1 ::ffff:11.0.0.5
""".split()


@pytest.fixture(scope="module")
def public(tmp_path_factory):
	host = Host(tmp_path_factory.mktemp("p"), "allow *")
	yield host
	host.check_clean_end()


@pytest.mark.parametrize("address", SPECIAL)
def test_allow_any_does_not_reach_a_special_address(public, address):
	assert public.refusal((address, 80)) == DENIED


@pytest.mark.parametrize("address", [a for a in SPECIAL if not a.startswith("::ffff:")])
def test_allow_any_does_not_reach_a_name_with_a_special_address(public, dns, address):
	dns.add("trap.test", address, ttl=0)
	assert public.refusal((TOKEN, 80), "trap.test") in (DENIED, ("name", "no-such-name"))


def test_a_name_whose_record_is_a_mapped_private_address_is_denied(public, dns):
	for number, address in enumerate(["::ffff:127.0.0.1", "::ffff:169.254.169.254"]):
		name = dns.add(f"mapped{number}.test", address)
		assert public.refusal((TOKEN, 80), name) == DENIED


@pytest.mark.parametrize("address", ORDINARY)
def test_allow_any_reaches_the_neighbours_of_special_blocks(public, address):
	"""Most have no route in the tests' world; what counts is that hostd tried."""
	assert public.refusal((address, 81))[0] == "dial"


@pytest.mark.parametrize("rules, address, stage", [
	("allow 64:ff9b::/96", "64:ff9b::11.0.0.5", "dial"),
	("allow 64:ff9b::/96", "64:ff9b::10.11.0.1", "policy"),
	("allow 64:ff9b::/96", "64:ff9b::169.254.169.254", "policy"),
	("allow 64:ff9b::/96\nallow 10.11.0.1", "64:ff9b::10.11.0.1", "dial"),
	("allow 64:ff9b::/96\ndeny 11.0.0.0/24", "64:ff9b::11.0.0.5", "policy"),
	("allow 2002::/16", "2002:a0b:1::1", "policy"),
	("allow 2002::/16", "2002:b00:5::1", "dial"),
	("allow ::/0", "64:ff9b::11.0.0.5", "policy"),
	("allow ::/0", "::1", "policy"),
	("allow ::/0", "2600:11::5", "dial"),
	("allow 0.0.0.0/0", "127.0.0.1", "policy"),
	("allow 0.0.0.0/0", "10.11.0.1", "policy"),
	("allow 0.0.0.0/0", "11.0.0.5", "dial"),
])
def test_a_block_that_is_wider_or_embeds_an_address_does_not_name_what_is_inside(start, rules, address, stage):
	assert start(rules).refusal((address, 80))[0] == stage


# --- other spellings of 127.0.0.1 and of the metadata service

SPELLINGS = """
2130706433 0x7f000001 0x7f.0.0.1 0X7F.1 0177.0.0.1 017700000001 127.1 127.0.1 127.0.0.1 0 0.0.0.0 127.0.0.01
2852039166 0xa9fea9fe 169.254.169.254 169.254.43518 [::1] ::1 ::ffff:127.0.0.1 127.0.0.1. localhost
localhost. LOCALHOST ip6-localhost 127.0.0.1%lo \u0661\u0662\u0667.0.0.1 127\u30020.0.1 1\u20e327.0.0.1
""".split()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_as_a_name_reaches_a_local_service(public, spelling):
	with Origin("127.0.0.1", 7001) as loopback, Origin("::1", 7001) as six:
		with Origin(world.METADATA, 7001) as metadata:
			request = wire.connect((TOKEN, 7001), spelling.encode())
			with wire.Opener(public.path, request) as opener:
				assert not opener.wait()
			assert not any(each.has_caller() for each in (loopback, six, metadata))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_as_a_name_is_looked_up(public, dns, spelling):
	answer = wire.resolve(public.path, spelling.encode())
	if answer.status == wire.OK:
		assert "localhost" in spelling and not dns.queries
	else:
		assert answer.status in (wire.MALFORMED, wire.DENIED)
	assert not dns.queries


# --- what is checked is what is dialled

def test_a_name_that_changes_its_address_after_the_check_is_dialled_where_it_was_checked(start, dns):
	host = start("allow *")
	dns.change("moving.test", ["11.0.0.5"], ["10.11.0.1"])
	with Origin("11.0.0.5", 7002) as public_origin, Origin("10.11.0.1", 7002) as private_origin:
		with host.open((TOKEN, 7002), "moving.test") as opener:
			assert opener.wait()
			public_origin.accept().close()
		for _ in range(5):
			with host.open((TOKEN, 7002), "moving.test") as again:
				again.wait()
		assert not private_origin.has_caller()


@pytest.mark.parametrize("order", [1, -1])
def test_of_public_and_private_addresses_only_the_public_one_is_dialled(start, dns, order):
	host = start("allow *")
	dns.add("mixed.test", *["10.11.0.1", "11.0.0.5", "127.0.0.1"][::order])
	with Origin("11.0.0.5", 7003) as public_origin, Origin("10.11.0.1", 7003) as private_origin:
		with Origin("127.0.0.1", 7003) as loopback:
			with host.open((TOKEN, 7003), "mixed.test") as opener:
				assert opener.wait()
				public_origin.accept().close()
			assert not private_origin.has_caller() and not loopback.has_caller()


def test_a_public_address_that_fails_is_not_replaced_by_a_private_one(start, dns):
	host = start("allow *")
	dns.add("mixed.test", "11.0.0.5", "10.11.0.1")
	with Origin("10.11.0.1", 7004) as private_origin:
		assert host.refusal((TOKEN, 7004), "mixed.test") == ALLOWED
		assert not private_origin.has_caller()


def test_the_name_counts_and_not_the_token_address_beside_it(start, dns):
	dns.add("web.test", "11.0.0.5")
	host = start("allow web.test")
	with Origin("11.0.0.5") as right, Origin("127.0.0.1", right.port) as wrong:
		with host.open(("127.0.0.1", right.port), "web.test") as opener:
			assert opener.wait()
			right.accept().close()
		assert not wrong.has_caller()


def test_a_denied_name_does_not_fall_back_to_its_token_address(start, origin):
	host = start("allow 127.0.0.1")
	assert host.refusal(origin.destination, "web.test") == DENIED
	assert not origin.has_caller()


def test_a_cname_into_a_denied_name_is_judged_by_the_name_that_was_asked(start, dns):
	dns.add("inner.test", "10.11.0.1")
	dns.alias("outer.test", "inner.test")
	host = start("allow outer.test\nallow inner.test to=10.0.0.0/8")
	assert host.refusal((TOKEN, 80), "outer.test") == DENIED
	assert host.refusal((TOKEN, 80), "inner.test") == ALLOWED


def test_rules_belong_to_the_cid_whose_enclave_lists_them(start, origin):
	host = start("allow 127.0.0.1", more="enclave two cid=98,99\n  allow 127.0.0.2")
	with pair(host, origin):
		pass
	assert host.refusal(origin.destination, path=host.stranger_path) == DENIED
	assert host.refusal(origin.destination, path=host.other_path) == DENIED
	assert host.refusal(("127.0.0.2", 9), path=host.stranger_path) == ALLOWED
