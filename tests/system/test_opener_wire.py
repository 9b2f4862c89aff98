# SPDX-License-Identifier: MIT
"""What the enclave's side puts on the wire, read by the independent reader of support/wire.py.

The test plays hostd: it accepts streams on a unix socket and looks at their first 1024 bytes.
"""

import socket
import struct

import pytest

from support import process, serving, wire
from support.hostd import build_directory

ROUTES = "route 127.0.0.0/8 local\nroute * direct\ngate on\n"

CONNECT = """
import socket, sys
family, host, port = socket.AddressFamily(int(sys.argv[1])), sys.argv[2], int(sys.argv[3])
with socket.socket(family) as connection:
	connection.settimeout(15)
	connection.connect((host, port))
	print(*connection.getsockname()[:2], flush=True)
	connection.sendall(b"hello")
	print(connection.recv(100).decode())
"""


class Listener:
	"""Answers RESOLVE with one address, PING and STATUS with nothing wrong, and grants connects."""

	def __init__(self, path):
		self.path, self.requests = path, []
		self._server = serving.Server(serving.listen_unix(path), self.answer)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self._server.stop()

	def answer(self, stream):
		request = stream.recv(wire.SIZE, socket.MSG_WAITALL)
		self.requests.append(request)
		values = wire.decode(request)
		if request[12] == wire.PROXY:
			if said := stream.recv(100):
				stream.sendall(said.upper())
			return
		payload = {
			wire.PING: b"a test",
			wire.RESOLVE: bytes([0]) + struct.pack("!I", 60) + bytes([4, 11, 0, 0, 5]),
			wire.STATUS: bytes([0, 0]),
		}.get(values[wire.VERB][0], b"")
		stream.sendall(struct.pack("!BBH", 1, wire.OK, len(payload)) + payload)
		stream.shutdown(socket.SHUT_WR)
		stream.recv(1)

	def connects(self):
		return [request for request in self.requests if request[12] == wire.PROXY]


@pytest.fixture
def listener(directory):
	with Listener(directory / "hostd.sock") as made:
		(directory / "enclave.conf").write_text(f"hostd unix:{made.path}\n" + ROUTES)
		yield made


def run(listener, *command):
	tool = [str(build_directory() / "bin/airlock"), "run", "-c", str(listener.path.with_name("enclave.conf"))]
	result = process.run([*tool, "--", *map(str, command)])
	assert result.status == 0, result.stderr
	return result.stdout.split()


@pytest.mark.parametrize(
	"family, host, port", [(socket.AF_INET, "11.0.0.7", 8443), (socket.AF_INET6, "2600:11::7", 1)]
)
def test_a_connect_by_address_is_a_correct_request(listener, family, host, port):
	out = run(listener, "/usr/bin/python3", "-c", CONNECT, int(family), host, port)
	assert out[2] == "HELLO"
	(request,) = listener.connects()
	values = wire.decode(request)
	assert wire.AUTHORITY not in values and wire.VERB not in values
	assert values[wire.PROGRAM].startswith(b"python3")
	source = (out[0], int(out[1]))
	expected = wire.addresses_of(source, (host, port))
	assert (request[13], request[wire.HEADER_SIZE :][: len(expected[1])]) == expected


@pytest.mark.parametrize("name", ["Web.Example.test", "web.example.test."])
def test_a_connect_by_name_carries_the_name_in_wire_form(listener, name):
	run(listener, "/usr/bin/python3", "-c", CONNECT, int(socket.AF_INET), name, 443)
	(request,) = listener.connects()
	assert wire.decode(request)[wire.AUTHORITY] == b"web.example.test"
	assert request[wire.HEADER_SIZE + 10 :][:2] == struct.pack("!H", 443)


def test_every_stream_has_an_id_of_its_own_and_every_request_is_correct(listener):
	script = CONNECT + "\nfor _ in range(20): socket.create_connection((host, port)).close()\n"
	run(listener, "/usr/bin/python3", "-c", script, int(socket.AF_INET), "web.test", 80)
	wire.wait_until(lambda: len(listener.connects()) >= 21, "the last one is written down")
	ids = [wire.decode(request)[wire.UNIQUE_ID] for request in listener.requests]
	assert len(listener.connects()) == 21
	assert len(set(ids)) == len(ids)
