# SPDX-License-Identifier: MIT
"""Attested TLS (attest/exchange.h): enclaves' NSMs, the server of tests/behaviour/attested_server.c, and frames
in Python for peers that do what they should not."""
import select
import socket
import ssl
import struct

from support import nsm, probes, process, world
from support.hostd import TOP, build_directory

PROTOCOL = "airlock-attested-tls/1"
HELLO, EVIDENCE, ACCEPTED = 1, 2, 3
OFFERS, WANTS = 1, 2
REGISTER = 16  # what tells our images apart: simulated ones are all measured alike


def build_server():
	"""Once a session: from sources, so that a sanitizer's build does not matter."""
	binary = build_directory() / "test/behaviour/attested_server"
	if not world.is_guest():
		sources = [str(path) for folder in ("attest", "wire") for path in sorted((TOP / folder).glob("*.c"))
			if path.name != "main.c" and not path.name.startswith(("command_", "simulated_", "kms_", "eif", "oaep"))]
		probes.compile_probe(TOP / "tests/behaviour/attested_server.c", binary,
			[*sources, "-lgnutls", "-lcbor", "-lz"])
	return str(binary)


class Enclave:
	"""An NSM whose image is called by a name. .policy accepts that image, .root signs for it."""

	def __init__(self, directory, image, background):
		directory.mkdir()
		self.directory, self.image = directory, image
		self.simulator = background(nsm.Simulator(directory))
		self.simulator.ask({"ExtendPCR": {"index": REGISTER, "data": image.encode()}})
		self.simulator.ask({"LockPCR": {"index": REGISTER}})
		self.endpoint = f"unix:{self.simulator.path}"
		self.root = str(self.simulator.root)
		self.policy = self.write_policy(image)

	def write_policy(self, image):
		value = nsm.extended(bytes(48), image.encode()).hex()
		path = self.directory / f"{image}.policy"
		path.write_text(f"release {image}\n  pcr{REGISTER} {value}\n")
		return str(path)


class Server(process.Daemon):
	"""attested_server.c; words without their address, port and certificate."""

	def __init__(self, binary, certificate, **words):
		super().__init__([binary, f"address={world.PUBLIC}", f"cert={certificate.chain}",
			f"key={certificate.key}", *(f"{name}={value}" for name, value in words.items() if value)])
		self.port = int(self.wait_line("listening").split()[1])
		self.address = (world.PUBLIC, self.port)

	def said(self, word):
		return [line for line in self.lines if line.split(" ")[0] == word]


def frame(kind, content=b""):
	return struct.pack("!BH", kind, len(content)) + content


def hello(flags, nonce):
	return frame(HELLO, bytes([flags]) + nonce)


def read_exactly(read, count):
	got = b""
	while len(got) < count and (data := read(count - len(got))):
		got += data
	return got


def read_frame(read):
	"""(kind, content); (None, b"") at the end. read(n) gives at most n bytes."""
	header = read_exactly(read, 3)
	if len(header) < 3:
		return None, b""
	kind, length = struct.unpack("!BH", header)
	return kind, read_exactly(read, length)


def connect(address, ca, server_name):
	"""A TLS 1.3 client that speaks the protocol and proves nothing by itself."""
	context = ssl.create_default_context(cafile=ca)
	context.minimum_version = ssl.TLSVersion.TLSv1_3
	context.set_alpn_protocols([PROTOCOL])
	return context.wrap_socket(socket.create_connection(address, 10), server_hostname=server_name)


def accept(sock, certificate):
	"""The server's end of a TLS connection that speaks the protocol, on a socket."""
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(certificate.chain, certificate.key)
	context.minimum_version = ssl.TLSVersion.TLSv1_3
	context.set_alpn_protocols([PROTOCOL])
	return context.wrap_socket(sock, server_side=True)


def relay(one, other):
	"""A man in the middle: everything passes, both ways, through two TLS sessions."""
	others = {one: other, other: one}
	try:
		while True:
			ready = [each for each in others if each.pending()] or select.select(list(others), [], [])[0]
			for each in ready:
				data = each.recv(65536)
				if not data:
					return
				others[each].sendall(data)
	except OSError:
		pass
	finally:
		one.close()
		other.close()
