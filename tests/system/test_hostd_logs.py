# SPDX-License-Identifier: MIT
"""One line for each connection, and nothing that an enclave says can make it two."""

import re

import pytest

from support import wire
from support.daemon import CID
from support.origin import RefusingPort, exchange, pair, reset

TOKEN = "198.18.0.1"
VALUE = r'(?:[^\s"=]*|"(?:[^"\\\x00-\x1f\x7f-\xff]|\\.)*")'
LINE = re.compile(rf"[a-z_]+={VALUE}(?: [a-z_]+={VALUE})*")


def check_lines(host):
	"""Every line is logfmt with each key once."""
	for line in host.lines:
		assert LINE.fullmatch(line), line
		keys = re.findall(rf"(?:^| )([a-z_]+)=(?={VALUE}(?: |$))", re.sub(r'"(?:[^"\\]|\\.)*"', '""', line))
		assert len(keys) == len(set(keys)), line


def ended(host, opener):
	"""The connection's line, after the whole log was checked."""
	line = host.line_of(opener.id)
	assert host.is_answering()
	assert len(host.log(id=opener.id.hex())) == 1
	check_lines(host)
	return line


def test_a_connection_is_one_line_with_everything_about_it(start, dns, origin):
	host = start("allow web.test to=127.0.0.0/8")
	dns.add("web.test", "127.0.0.1")
	with host.open((TOKEN, origin.port), "web.test", program=b"curl") as opener:
		assert opener.wait()
		with origin.accept() as accepted:
			opener.send(b"u" * 1234)
			opener.finish()
			assert len(accepted.makefile("rb").read()) == 1234
			accepted.sendall(b"d" * 56789)
			accepted.close()
			assert len(opener.receive_all()) == 56789
	line = ended(host, opener)
	assert line["cid"] == str(CID) and line["program"] == "curl"
	assert line["enclave"] == "test"
	assert any("web.test" in value for value in line.values())
	assert any("127.0.0.1" in value for value in line.values())
	assert any(str(origin.port) in value for value in line.values())
	assert {"1234", "56789"} <= set(line.values())


def test_a_running_connection_has_no_line_yet(host, origin):
	with pair(host, origin) as (opener, accepted):
		exchange(opener, accepted)
		assert not host.log(id=opener.id.hex())
	ended(host, opener)


def test_the_line_of_a_refused_connection_tells_stage_and_class(host):
	with RefusingPort() as refusing, host.open(refusing.destination) as opener:
		assert not opener.wait()
	line = ended(host, opener)
	assert "refused" in " ".join(line.values()) and "dial" in " ".join(line.values())


def test_the_line_of_a_denied_connection_names_what_was_asked(start):
	host = start("allow 127.0.0.1")
	with host.open((TOKEN, 4321), "denied.test") as opener:
		assert not opener.wait()
	text = " ".join(ended(host, opener).values())
	assert "denied.test" in text and "4321" in text and "policy" in text and "denied" in text


def test_the_line_of_a_reset_connection_says_so(host, origin):
	with pair(host, origin) as (opener, accepted):
		reset(accepted)
		assert opener.receive_all() == b""
	assert "reset" in " ".join(ended(host, opener).values())


FORGERIES = [
	b'x" level=error',
	b"x level=error",
	b"x\nlevel=error",
	b"x\r\nid=1",
	b"a=b",
	b'"',
	b"\\",
	b'\\"',
	b"\x1b[31mred",
	b"\x00after",
	b"\xff\xfe\xc3\xa9",
	b"\xe2\x80\xa8u2028",
	b" ",
	b"%s%n%s%n",
]


@pytest.mark.parametrize("program", FORGERIES)
def test_no_program_name_can_forge_a_field_or_a_line(host, origin, program):
	with host.open(origin.destination, program=program) as opener:
		assert opener.wait()
	line = ended(host, opener)
	assert line["id"] == opener.id.hex() and line["level"] == "info" and line["cid"] == str(CID)
	assert len(line["program"]) <= 15
	assert not any("level=error" in each for each in host.lines if "program=" not in each)


def test_a_connection_without_a_program_name_has_a_line_too(host, origin):
	with host.open(origin.destination) as opener:
		assert opener.wait()
	ended(host, opener)


def test_garbage_is_logged_without_its_bytes(host):
	with wire.Opener(host.path) as opener:
		opener.send(b"GET /secret HTTP/1.1\r\nlevel=error forged=yes\r\n\r\n")
		with pytest.raises(ConnectionResetError):
			opener.receive(1)
	assert host.is_answering()
	check_lines(host)
	assert "secret" not in host.output and "forged" not in host.output


def test_garbage_cannot_fill_the_log(host):
	"""A line for each would let one enclave fill the parent's disk; some limit must show."""
	for _ in range(2000):
		with wire.Opener(host.path) as opener:
			opener.send(b"x")
			opener.events(0, wire.PATIENCE)
	assert host.is_answering()
	assert len(host.lines) < 1000
	check_lines(host)


def test_ids_in_the_log_are_those_of_the_enclave_s_side(host, origin):
	stream_id = bytes(range(16))
	with host.open(origin.destination, stream_id=stream_id) as opener:
		assert opener.wait()
	assert ended(host, opener)["id"] == "000102030405060708090a0b0c0d0e0f"


def test_the_log_directive_holds_from_the_start_and_after_a_reload(start, origin):
	host = start("allow 127.0.0.1", more="log error")
	before = host.settled_descriptors()
	with pair(host, origin) as (quiet, accepted):
		exchange(quiet, accepted)
	wire.wait_until(lambda: host.descriptors() <= before, "the stream is closed")
	host.settled_descriptors()  # and would have been logged by now
	host.configure("allow 127.0.0.1", more="log info")
	host.reload()
	with pair(host, origin) as (told, accepted):
		exchange(told, accepted)
	ended(host, told)
	assert not host.log(id=quiet.id.hex())
