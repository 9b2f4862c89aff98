# SPDX-License-Identifier: MIT
"""airlock-attest show: a document's structure, of which every line says that it is unverified."""

import re
import struct

import pytest

from support import process
from support.hostd import build_directory

MODULE_ID = "i-0123456789abcdef0-enc01234"
PROGRAM = str(build_directory() / "bin/airlock-attest")
HEADING = "UNVERIFIED: "


def text(value):
	return struct.pack("B" if len(value) < 24 else "BB", *([0x60 + len(value)] if len(value) < 24
		else [0x78, len(value)])) + value


def string(value):
	return b"\x59" + struct.pack(">H", len(value)) + value if len(value) > 255 else (
		b"\x58" + bytes([len(value)]) if len(value) > 23 else bytes([0x40 + len(value)])) + value


def payload(**changed):
	"""Each value is raw CBOR."""
	entries = {
		"module_id": text(MODULE_ID.encode()),
		"digest": text(b"SHA384"),
		"timestamp": b"\x1b" + struct.pack(">Q", 1770366258452),
		"pcrs": b"\xa2\x00" + string(b"\xab" * 48) + b"\x08" + string(bytes(48)),
		"certificate": string(b"\x30\x03\x02\x01\x07"),
		"cabundle": b"\x81" + string(b"\x30\x03\x02\x01\x08"),
		"public_key": b"\xf6",
		"user_data": string(b""),
		"nonce": string(b"\x01\x02\x03")} | changed
	return b"\xbf" + b"".join(text(key.encode()) + value for key, value in entries.items()) + b"\xff"


def document(body=None, tag=b"", end=b""):
	return (tag + b"\x84\x44\xa1\x01\x38\x22\xa0" + string(payload() if body is None else body)
		+ string(b"\x5a" * 96) + end)


@pytest.fixture
def show(directory):
	def run(data, *more):
		path = directory / "document"
		path.write_bytes(data)
		result = process.run([PROGRAM, "show", *more, str(path)])
		assert_marked(result.raw)
		return result
	return run


def assert_marked(raw):
	"""No line can be taken for what a verified document says, and none can steer a terminal."""
	assert re.fullmatch(rb"[\x20-\x7e\n]*", raw)
	lines = raw.decode().splitlines()
	assert not lines or lines[0].startswith(HEADING)
	for line in lines:
		assert line.startswith(("UNVERIFIED: ", "unverified ", "unverified: ")), line


def test_a_well_formed_document_is_shown_in_full(show):
	result = show(document())
	assert result.status == 0, result.stderr
	shown = [line.split(None, 2)[2] for line in result.stdout.splitlines()[1:-1]]
	assert shown[:5] == ["array of 4", "protected: 4 bytes a1013822", "unprotected: map of 0",
		shown[3], "map without a length"]
	assert shown[5:] == [
		f'"module_id": "{MODULE_ID}"',
		'"digest": "SHA384"',
		'"timestamp": 1770366258452 ms, 2026-02-06T08:24:18Z',
		'"pcrs": map of 2',
		"0: 48 bytes " + "ab" * 48,
		"8: 48 bytes " + "00" * 48,
		'"certificate": 5 bytes 3003020107',
		'"cabundle": array of 1',
		"5 bytes 3003020108",
		'"public_key": null',
		'"user_data": 0 bytes',
		'"nonce": 3 bytes 010203',
		"signature: 96 bytes " + "5a" * 96]
	last = result.stdout.splitlines()[-1]
	assert last.startswith("unverified: well formed") and "not verified" in last


def test_offsets_are_those_of_the_file(show):
	data = document(tag=b"\xd2")
	for line in show(data).stdout.splitlines()[1:-1]:
		offset, what = line.split(None, 2)[1:]
		if what.startswith('"nonce"'):
			assert data[int(offset):].startswith(text(b"nonce"))
		if what.startswith("signature"):
			assert data[int(offset):].startswith(b"\x58\x60\x5a")


def test_a_long_string_is_cut_and_told_by_its_hash(show):
	import hashlib
	value = bytes(range(200))
	result = show(document(payload(user_data=string(value))))
	assert result.status == 0
	assert (f'"user_data": 200 bytes {value[:96].hex()}... SHA-256 '
		f"{hashlib.sha256(value).hexdigest()}") in result.stdout


def test_what_is_not_printable_is_escaped(show):
	hostile = b"\x1b[2J\nverified: yes\r\"\\\xe2\x80\xae"
	result = show(document(payload(module_id=text(hostile))))
	assert result.status == 4
	assert r'"\x1b[2J\x0averified: yes\x0d\x22\x5c\xe2\x80\xae"' in result.stdout
	assert "check 6 (module_id, offset " in result.stderr


def test_a_malformed_payload_is_shown_up_to_where_it_ends(show):
	body = payload()[:-1]
	result = show(document(body))
	assert result.status == 4
	assert '"nonce": 3 bytes 010203' in result.stdout
	assert "unverified: cannot be read further: offset " in result.stdout
	assert "check 4 (payload, offset " in result.stderr
	assert result.stderr.startswith("airlock-attest: ")


@pytest.mark.parametrize("what, value, message", [
	("a float", b"\xf9\x3c\x00", "a floating-point number"),
	("a tag", b"\xc2\x41\x00", "a tag where a value should be"),
	("chunks", b"\x5f\x41\x00\xff", "a string in chunks"),
	("a depth bomb", b"\x81" * 200 + b"\x00", "nested too deep"),
	("a duplicate", b"\xf6" + text(b"nonce") + b"\xf6", "a duplicate key"),
])
def test_what_the_verifier_would_refuse_is_named(show, what, value, message):
	result = show(document(payload(nonce=value)))
	assert result.status == 4, what
	assert message in result.stderr
	assert "unverified: not well formed" in result.stdout


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x84", b"hello\n", b"\x00" * 100, b"\xd2" * 100,
	b"\x9f" * 1000, b"\xbf" * 1000, bytes(range(256)) * 60])
def test_what_is_no_document_at_all_is_shown_as_far_as_it_goes(show, data):
	result = show(data)
	assert result.status == 4
	assert result.stdout.startswith(HEADING)
	assert "check 1 (document, offset " in result.stderr


def test_every_beginning_of_a_document_is_malformed(show):
	data = document()
	for length in range(0, len(data), 23):
		assert show(data[:length]).status == 4


def test_bytes_after_the_document_are_malformed(show):
	result = show(document(end=b"\x00"))
	assert result.status == 4
	assert "signature: 96 bytes" in result.stdout
	assert "bytes after the end" in result.stdout


def test_a_document_of_another_platform_is_shown_and_the_answer_is_no(show):
	result = show(document(payload(nitrotpm_pcrs=b"\xa1\x00" + string(bytes(48)))))
	assert result.status == 1
	assert '"nitrotpm_pcrs": map of 1' in result.stdout
	assert "NitroTPM" in result.stderr


def test_a_file_that_is_too_long_for_a_document_is_malformed(show):
	result = show(bytes(20000))
	assert result.status == 4
	assert "more than 16512 bytes" in result.stderr


def test_a_file_that_is_not_there_is_a_transport_error(directory):
	result = process.run([PROGRAM, "show", str(directory / "none")])
	assert result.status == 3
	assert "cannot be opened: No such file or directory" in result.stderr


def test_dash_is_standard_input(directory):
	result = process.run([PROGRAM, "show", "-"], input=document())
	assert_marked(result.raw)
	assert result.status == 0


@pytest.mark.parametrize("words", [[], ["one", "two"]])
def test_anything_but_one_file_is_a_usage_error(words):
	result = process.run([PROGRAM, "show", *words])
	assert result.status == 2
	assert result.stderr == "usage: airlock-attest show FILE\n"


def test_a_full_disk_is_told(directory):
	path = directory / "document"
	path.write_bytes(document())
	result = process.run(["/bin/sh", "-c",
		f"{PROGRAM} show {path} >/dev/full"])
	assert result.status == 3
	assert "No space left on device" in result.stderr
