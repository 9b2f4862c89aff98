# SPDX-License-Identifier: MIT
"""What hostd takes for a request, and what it does with everything else."""

import random
import select
import socket
import struct

import pytest

from support import wire
from support.daemon import Host
from support.origin import Origin, exchange, pair

BODY = wire.SIZE - wire.HEADER_SIZE
ID = bytes(range(16))
TARGET = ("127.0.0.1", 9)
FAMILY, BLOCK = wire.addresses_of(("127.0.0.1", 40000), TARGET)
NEEDED = wire.mandatory(ID)


def with_tlvs(*parts):
	return wire.assemble(wire.PROXY, FAMILY, BLOCK, parts)


def named(name):
	return with_tlvs(wire.tlv(wire.AUTHORITY, name), *NEEDED)


def ending_in(tail):
	"""A request that is right up to its last bytes."""
	used = wire.HEADER_SIZE + len(BLOCK) + sum(map(len, NEEDED))
	filler = wire.tlv(wire.NOOP, bytes(wire.SIZE - used - 3 - len(tail)))
	return with_tlvs(*NEEDED)[:used] + filler + tail



WRONG = {
	"bad signature": wire.assemble(wire.PROXY, FAMILY, BLOCK, NEEDED, signature=b"\r\n\r\n\0\r\nQUIT\r"),
	"PROXY protocol version 1": wire.assemble(0x11, FAMILY, BLOCK, NEEDED),
	"unknown command": wire.assemble(0x22, FAMILY, BLOCK, NEEDED),
	"UDP over IPv4": wire.assemble(wire.PROXY, 0x12, BLOCK, NEEDED),
	"AF_UNIX": wire.assemble(wire.PROXY, 0x31, bytes(216), NEEDED),
	"a connect without a family": wire.assemble(wire.PROXY, wire.UNSPEC, b"", NEEDED),
	"a control verb with a family": wire.assemble(
		wire.LOCAL, FAMILY, BLOCK, NEEDED + [wire.tlv(wire.VERB, b"\x01")]
	),
	"length too small": wire.assemble(wire.PROXY, FAMILY, BLOCK, NEEDED, length=BODY - 1),
	"length too large": wire.assemble(wire.PROXY, FAMILY, BLOCK, NEEDED, length=BODY + 1),
	"length zero": wire.assemble(wire.PROXY, FAMILY, BLOCK, NEEDED, length=0),
	"a TLV past the end": ending_in(struct.pack("!BHB", wire.NOOP, 2, 0)),
	"a TLV far past the end": ending_in(struct.pack("!BH", wire.NOOP, 0xFFFF)),
	"half a TLV header at the end": ending_in(bytes([wire.NOOP, 0])),
	"no UNIQUE_ID": with_tlvs(NEEDED[1]),
	"no version": with_tlvs(NEEDED[0]),
	"neither": with_tlvs(),
	"a UNIQUE_ID of 15 bytes": with_tlvs(wire.tlv(wire.UNIQUE_ID, ID[:15]), NEEDED[1]),
	"a UNIQUE_ID of 17 bytes": with_tlvs(wire.tlv(wire.UNIQUE_ID, ID + b"x"), NEEDED[1]),
	"protocol version 2": with_tlvs(NEEDED[0], wire.tlv(wire.VERSION, b"\x02\x00")),
	"protocol version 0": with_tlvs(NEEDED[0], wire.tlv(wire.VERSION, b"\x00\x00")),
	"a version without flags": with_tlvs(NEEDED[0], wire.tlv(wire.VERSION, b"\x01")),
	"an empty version": with_tlvs(NEEDED[0], wire.tlv(wire.VERSION, b"")),
	"two UNIQUE_IDs": with_tlvs(*NEEDED, NEEDED[0]),
	"two versions": with_tlvs(*NEEDED, NEEDED[1]),
	"two names": with_tlvs(*NEEDED, *[wire.tlv(wire.AUTHORITY, b"a.test")] * 2),
	"two program names": with_tlvs(*NEEDED, *[wire.tlv(wire.PROGRAM, b"curl")] * 2),
	"two of an unknown kind": with_tlvs(*NEEDED, *[wire.tlv(0xEE, b"x")] * 2),
	"a verb on a connect": with_tlvs(*NEEDED, wire.tlv(wire.VERB, b"\x01")),
	"a control request without a verb": wire.assemble(wire.LOCAL, wire.UNSPEC, b"", NEEDED),
	"an empty verb": wire.assemble(
		wire.LOCAL, wire.UNSPEC, b"", NEEDED + [wire.tlv(wire.VERB, b"")]
	),
	"two verbs": wire.assemble(
		wire.LOCAL, wire.UNSPEC, b"", NEEDED + [wire.tlv(wire.VERB, b"\x01")] * 2
	),
	"an empty name": named(b""),
	"a name of 254 bytes": named(b".".join([b"a" * 63] * 3 + [b"b" * 62])),
	"a label of 64 bytes": named(b"a" * 64 + b".test"),
	"an upper-case name": named(b"Example.test"),
	"a name with a trailing dot": named(b"example.test."),
	"a name with a leading dot": named(b".example.test"),
	"a name with two dots": named(b"example..test"),
	"a lone dot": named(b"."),
	"a name with a space": named(b"exam ple.test"),
	"a name with a NUL": named(b"example.test\0.evil"),
	"a name with a newline": named(b"example.test\nlevel=info"),
	"a name with a slash": named(b"example.test/"),
	"a name with a colon": named(b"example.test:80"),
	"a name with a percent sign": named(b"fe80%eth0"),
	"a name with an asterisk": named(b"*.test"),
	"a name in UTF-8": named("b\u00fccher.test".encode()),
	"a name with the high bit": named(b"\xe5xample.test"),
}


def is_closed_unread(opener):
	"""Waits for the close that leaves the request unread."""
	events = opener.events(select.POLLIN, wire.PATIENCE)
	assert events, "hostd neither closed nor answered"
	try:
		return opener.socket.recv(1) == b"" or "a byte came"
	except ConnectionResetError:
		return True


@pytest.mark.parametrize("name", ["name_of_253_bytes", "underscore", "digits_inside", "one_letter"])
def test_odd_but_correct_names_are_read(start, name):
	text = {
		"name_of_253_bytes": b".".join([b"a" * 63] * 3 + [b"b" * 61]),
		"underscore": b"_xmpp._tcp.x-y.test",
		"digits_inside": b"1.2.3.4.in-addr.arpa",
		"one_letter": b"x",
	}[name]
	host = start("")
	assert wire.is_acceptable(wire.connect(TARGET, text))
	assert host.refusal(TARGET, text) == ("policy", "denied")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
	# No test may pass because the header's time is up.
	patient = "header=10m dial=10s idle=1h drain=1s"
	host = Host(tmp_path_factory.mktemp("request"), "allow 127.0.0.0/8", timeouts=patient)
	yield host
	host.check_clean_end()


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_request_is_closed_and_others_go_on(shared, origin, what):
	assert not wire.is_acceptable(WRONG[what]), "the table and the oracle disagree"
	with pair(shared, origin) as (bystander, accepted):
		with wire.Opener(shared.path, WRONG[what]) as opener:
			assert is_closed_unread(opener) is True
		exchange(bystander, accepted)
	assert wire.ping(shared.path).status == wire.OK


@pytest.mark.parametrize("position", range(wire.HEADER_SIZE))
def test_garbage_is_closed_at_its_first_wrong_byte(shared, position):
	right = wire.connect(TARGET)
	wrong = right[:position] + bytes([right[position] ^ 0x44])
	with wire.Opener(shared.path) as opener:
		opener.send(wrong)
		assert is_closed_unread(opener) is True


def test_a_request_that_comes_in_the_smallest_pieces_is_read(shared, origin):
	with wire.Opener(shared.path) as opener:
		request = wire.connect(origin.destination)
		for byte in request[:100]:
			opener.send(bytes([byte]))
		# hostd only peeks, so all pieces wait in the socket, which holds about 270 of them.
		for start in range(100, wire.SIZE, 7):
			opener.send(request[start : start + 7])
		assert opener.wait()
		with origin.accept() as accepted:
			exchange(opener, accepted)


@pytest.mark.parametrize("cut", [1, 11, 12, 15, 16, 27, 28, 500, 1023])
def test_a_request_in_two_pieces_is_read(shared, origin, cut):
	request = wire.connect(origin.destination)
	with wire.Opener(shared.path) as opener:
		opener.send(request[:cut])
		assert wire.ping(shared.path).status == wire.OK  # hostd has seen the first piece by now
		opener.send(request[cut:])
		assert opener.wait()
		with origin.accept() as accepted:
			exchange(opener, accepted)


@pytest.mark.parametrize("size", [1, 1023, 1024, 5000, 200_000])
def test_data_behind_the_request_arrives_first_and_whole(shared, origin, size):
	early = random.Random(size).randbytes(size)
	with wire.Opener(shared.path) as opener:
		opener.send(wire.connect(origin.destination) + early)
		with origin.accept() as accepted:
			assert opener.wait()
			opener.send(b"and more")
			opener.finish()
			assert accepted.recv(size + 8, socket.MSG_WAITALL) == early + b"and more"
			assert accepted.recv(1) == b""


def test_an_opener_that_ends_before_its_request_is_whole_leaves_nothing(shared):
	wire.ping(shared.path)
	before = shared.settled_descriptors()
	for length in (0, 1, 16, 1023):
		with wire.Opener(shared.path) as opener:
			opener.send(wire.connect(TARGET)[:length])
	wire.wait_until(lambda: shared.descriptors() == before, "the descriptors are closed")


def test_an_opener_that_half_closes_before_its_request_is_whole_is_closed(shared):
	with wire.Opener(shared.path) as opener:
		opener.send(wire.connect(TARGET)[:700])
		opener.finish()
		assert is_closed_unread(opener) is True


def test_a_request_that_is_never_whole_is_closed_by_the_header_timeout(start, origin):
	host = start(timeouts="header=1s dial=10s idle=1h drain=1s")
	with pair(host, origin) as (bystander, accepted):
		with wire.Opener(host.path) as silent, wire.Opener(host.path) as slow:
			slow.send(wire.connect(TARGET)[:1023])
			assert is_closed_unread(silent) is True
			assert is_closed_unread(slow) is True
		exchange(bystander, accepted)  # the header's deadline is not the stream's


def test_an_unknown_tlv_is_skipped(shared, origin):
	unknown = [wire.tlv(kind, b"whatever") for kind in (0x01, 0x03, 0x20, 0x30, 0xE8, 0xFF)]
	with shared.open(origin.destination, extra=unknown) as opener:
		with origin.accept() as accepted:
			assert opener.wait()
			exchange(opener, accepted)


def test_tlvs_may_come_in_any_order_with_padding_between(shared, origin):
	family, block = wire.addresses_of(("127.0.0.1", 1), origin.destination)
	noop = wire.tlv(wire.NOOP, bytes(7))
	parts = [noop, wire.tlv(wire.PROGRAM, b"x"), noop, NEEDED[1], noop, wire.tlv(wire.UNIQUE_ID, wire.new_id())]
	with wire.Opener(shared.path, wire.assemble(wire.PROXY, family, block, parts)) as opener:
		assert opener.wait()


def test_a_request_that_its_tlvs_fill_exactly_needs_no_padding(shared, origin):
	family, block = wire.addresses_of(("127.0.0.1", 1), origin.destination)
	parts = wire.mandatory(wire.new_id())
	used = wire.HEADER_SIZE + len(block) + sum(map(len, parts))
	parts.append(wire.tlv(0xEE, bytes(wire.SIZE - used - 3)))
	request = wire.assemble(wire.PROXY, family, block, parts)
	with wire.Opener(shared.path, request) as opener:
		assert opener.wait()


def test_a_request_over_ipv6_reaches_an_ipv6_destination(start):
	host = start("allow ::1")
	with Origin("::1") as six, pair(host, six) as (opener, accepted):
		exchange(opener, accepted)


@pytest.mark.parametrize("argument", [b"", b"x" * 255])
def test_a_verb_that_nobody_knows_is_answered_so(shared, argument):
	assert wire.ask(shared.path, wire.control(77, argument)).status == wire.UNKNOWN_VERB


@pytest.mark.parametrize(
	"verb, argument",
	[
		(wire.RESOLVE, b""),
		(wire.RESOLVE, b"UPPER.test"),
		(wire.RESOLVE, b"two words"),
		(wire.RESOLVE, b"dot.test."),
		(wire.RESOLVE, b"10.0.0.1"),
		(wire.STATUS, b""),
		(wire.STATUS, bytes(16)),
		(wire.STATUS, bytes(18)),
	],
)
def test_a_verb_with_a_wrong_argument_is_malformed(shared, verb, argument):
	assert wire.ask(shared.path, wire.control(verb, argument)).status == wire.MALFORMED


def mutations(seed, count):
	"""PING requests, most of them damaged in one to three places of their TLVs or their head."""
	chance = random.Random(seed)
	for _ in range(count):
		parts = wire.mandatory(chance.randbytes(16), b"mutant") + [wire.tlv(wire.VERB, b"\x01")]
		for _ in range(chance.randrange(3)):
			damage(chance, parts)
		request = bytearray(wire.assemble(wire.LOCAL, wire.UNSPEC, b"", parts))
		if chance.random() < 0.3:
			request[chance.randrange(wire.HEADER_SIZE)] ^= 1 << chance.randrange(8)
		yield bytes(request)


def damage(chance, parts):
	index = chance.randrange(len(parts))
	kind, length = struct.unpack_from("!BH", parts[index])
	value = parts[index][3:]
	parts[index : index + 1] = chance.choice(
		[
			[],
			[parts[index]] * 2,
			[wire.tlv(kind, value + b"\0")],
			[wire.tlv(kind, value[:-1])],
			[struct.pack("!BH", kind, length + chance.choice([1, 3, 900, 60000])) + value],
			[wire.tlv(0xEF, value), parts[index]],
			[wire.tlv(wire.NOOP, value), parts[index]],
			[parts[index], wire.tlv(wire.PROGRAM, chance.choice([b"x", b"x" * 15, b"x" * 16]))],
		]
	)
	if not parts:
		parts.append(wire.tlv(wire.NOOP, b""))


def test_hostd_and_an_independent_reader_agree_on_a_thousand_mutated_requests(shared):
	counts = {True: 0, False: 0}
	for request in mutations(seed=20, count=1000):
		expected = wire.is_acceptable(request)
		with wire.Opener(shared.path) as opener:
			try:
				opener.send(request)
				raw = opener.receive_all()
			except (ConnectionResetError, BrokenPipeError):
				raw = b""
		got = bool(raw) and wire.Answer(raw).status != wire.MALFORMED
		counts[got] += 1
		assert got == expected, request[:120].hex()
	assert min(counts.values()) > 100, "the mutations are all of one kind"
