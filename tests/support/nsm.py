# SPDX-License-Identifier: MIT
"""A simulated NSM, its raw protocol, and a verifier of documents that shares nothing with ours."""
import datetime
import hashlib
import socket

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from support import process
from support.hostd import build_directory

REQUEST_MAX, RESPONSE_MAX = 4096, 12288


def attest_program():
	return build_directory() / "bin/airlock-attest"


class Simulator(process.Daemon):
	"""`airlock-attest simulate`, ready. root is its root certificate's file."""

	def __init__(self, directory, *options, env=None):
		self.path = directory / "nsm.sock"
		self.pki = directory / "pki"
		self.root = self.pki / "root.pem"
		self.name_option = f"--nsm=unix:{self.path}"
		super().__init__([str(attest_program()), "simulate", "--listen", f"unix:{self.path}",
			"--pki", str(self.pki), *options], env=env)
		self.wait_line(f"listening unix:{self.path}")

	def run(self, command, *words, **options):
		"""An airlock-attest of the user's, asking this NSM."""
		return process.run([str(attest_program()), command, self.name_option, *map(str, words)],
			**options)

	def connect(self):
		connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		connection.connect(str(self.path))  # waits for a place in the backlog
		connection.settimeout(10)
		return connection

	def ask(self, request):
		"""The decoded answer to one decoded request."""
		with self.connect() as connection:
			return exchange(connection, request)


def exchange(connection, request):
	connection.send(cbor2.dumps(request))
	return cbor2.loads(connection.recv(RESPONSE_MAX + 1))


def attestation(user_data=None, nonce=None, public_key=None):
	return {"Attestation": {"user_data": user_data, "nonce": nonce, "public_key": public_key}}


def certificates(payload):
	"""Root first, leaf last."""
	return [x509.load_der_x509_certificate(der)
		for der in [*payload["cabundle"], payload["certificate"]]]


def check_chain(chain, root, when):
	assert chain[0] == root
	for issuer, subject in zip([chain[0], *chain], chain):
		assert subject.issuer == issuer.subject
		assert subject.not_valid_before <= when <= subject.not_valid_after
		assert isinstance(subject.public_key().curve, ec.SECP384R1)
		issuer.public_key().verify(subject.signature, subject.tbs_certificate_bytes,
			ec.ECDSA(hashes.SHA384()))


def verify(document, root_file):
	"""Chain and signature; returns the payload. Raises when anything is wrong."""
	protected, unprotected, payload, signature = cbor2.loads(document)
	assert cbor2.loads(protected) == {1: -35} and unprotected == {} and len(signature) == 96
	claims = cbor2.loads(payload)
	chain = certificates(claims)
	when = datetime.datetime.utcfromtimestamp(claims["timestamp"] / 1000)
	check_chain(chain, x509.load_pem_x509_certificate(root_file.read_bytes()), when)
	halves = [int.from_bytes(signature[at:at + 48], "big") for at in (0, 48)]
	signed = cbor2.dumps(["Signature1", protected, b"", payload])
	chain[-1].public_key().verify(utils.encode_dss_signature(*halves), signed,
		ec.ECDSA(hashes.SHA384()))
	return claims


def extended(old, data):
	return hashlib.sha384(old + data).digest()
