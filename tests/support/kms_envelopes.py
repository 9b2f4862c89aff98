# SPDX-License-Identifier: MIT
"""CiphertextForRecipient as AWS KMS makes it, and every way to make it wrong, by hand: BER from
nothing, the cryptography from python3-cryptography.

	recipient = Recipient(2048)
	Envelope(recipient, b"secret").ber()
	Envelope(recipient, b"secret", hash=SHA1).ber()     # any part replaced; parts are BER themselves
"""
import hashlib
import os

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

INTEGER, BITS, OCTETS, NULL, OID, SEQUENCE, SET = 2, 3, 4, 5, 6, 0x30, 0x31


def length_of(size):
	if size < 0x80:
		return bytes([size])
	digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
	return bytes([0x80 | len(digits)]) + digits


def tlv(tag, *content):
	joined = b"".join(content)
	return bytes([tag]) + length_of(len(joined)) + joined


def indefinite(tag, *content):
	return bytes([tag, 0x80]) + b"".join(content) + b"\0\0"


def oid(text):
	first, second, *rest = (int(part) for part in text.split("."))
	body = bytes([40 * first + second])
	for part in rest:
		digits = [part & 0x7f]
		while part := part >> 7:
			digits.insert(0, part & 0x7f | 0x80)
		body += bytes(digits)
	return tlv(OID, body)


def integer(value):
	return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


ENVELOPED_DATA, DATA = oid("1.2.840.113549.1.7.3"), oid("1.2.840.113549.1.7.1")
RSAES_OAEP, MGF1 = oid("1.2.840.113549.1.1.7"), oid("1.2.840.113549.1.1.8")
RSA_ENCRYPTION, P_SPECIFIED = oid("1.2.840.113549.1.1.1"), oid("1.2.840.113549.1.1.9")
AES256_CBC, AES128_CBC = oid("2.16.840.1.101.3.4.1.42"), oid("2.16.840.1.101.3.4.1.2")
AES256_GCM = oid("2.16.840.1.101.3.4.1.46")
NO_PARAMETERS = tlv(NULL)
SHA256 = tlv(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"), NO_PARAMETERS)
SHA256_BARE = tlv(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"))
SHA384 = tlv(SEQUENCE, oid("2.16.840.1.101.3.4.2.2"), NO_PARAMETERS)
SHA1 = tlv(SEQUENCE, oid("1.3.14.3.2.26"), NO_PARAMETERS)


class Recipient:
	"""A key pair; `number` is the raw private and public key for what no library does."""

	def __init__(self, bits=2048):
		self.key = rsa.generate_private_key(65537, bits)
		self.public = self.key.public_key()
		self.size = bits // 8
		self.spki = self.public.public_bytes(serialization.Encoding.DER,
			serialization.PublicFormat.SubjectPublicKeyInfo)
		self.identifier = hashlib.sha256(self.spki).digest()

	def pem(self, form=serialization.PrivateFormat.PKCS8):
		return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

	def oaep(self, message, digest=hashes.SHA256, mask=hashes.SHA256, label=None):
		return self.public.encrypt(message, padding.OAEP(padding.MGF1(mask()), digest(), label))

	def raise_raw(self, encoded):
		"""The bare public operation on a whole encoded message."""
		numbers = self.public.public_numbers()
		return pow(int.from_bytes(encoded, "big"), numbers.e, numbers.n).to_bytes(self.size, "big")


def mgf1(seed, length):
	blocks = (hashlib.sha256(seed + count.to_bytes(4, "big")).digest() for count in range(length // 32 + 1))
	return b"".join(blocks)[:length]


def xor(a, b):
	return bytes(x ^ y for x, y in zip(a, b))


def encode_oaep(size, message, first=0, label_hash=None, separator=1, filler=0):
	"""EME-OAEP (RFC 8017 7.1.1) with any part replaced."""
	label_hash = hashlib.sha256(b"").digest() if label_hash is None else label_hash
	block = label_hash + bytes([filler]) * (size - len(message) - 66) + bytes([separator]) + message
	seed = os.urandom(32)
	masked = xor(block, mgf1(seed, len(block)))
	return bytes([first]) + xor(seed, mgf1(masked, 32)) + masked


def encrypt(key, iv, padded):
	encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
	return encryptor.update(padded) + encryptor.finalize()


def key_that_does_not_open(iv, ciphertext):
	"""CBC has no authentication: one key in 256 makes of any ciphertext something that ends in good padding."""
	while True:
		key = os.urandom(32)
		decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
		if not 1 <= (decryptor.update(ciphertext) + decryptor.finalize())[-1] <= 16:
			return key


def pad(plaintext):
	count = 16 - len(plaintext) % 16
	return plaintext + bytes([count]) * count


class Envelope:
	"""The message in its parts. A keyword replaces the part of that name."""

	def __init__(self, to, plaintext, **parts):
		key, iv = os.urandom(32), os.urandom(16)
		self.parts = {
			"form": indefinite,  # of what KMS gives an indefinite length
			"type": ENVELOPED_DATA,
			"version": integer(2),
			"before_recipients": b"",  # an OriginatorInfo would stand here
			"recipient_version": integer(2),
			"identifier": tlv(0x80, to.identifier),
			"hash": tlv(0xa0, SHA256),
			"mask": tlv(0xa1, tlv(SEQUENCE, MGF1, SHA256)),
			"label": b"",
			"encrypted_key": tlv(OCTETS, to.oaep(key)),
			"after_key": b"",
			"more_recipients": b"",
			"content_type": DATA,
			"iv": tlv(OCTETS, iv),
			"ciphertext": encrypt(key, iv, pad(plaintext)),
			"chunk": 1000,
			"after_content": b"",
			"attributes": b"",
			"tail": b"",
		} | parts
		get = self.parts.setdefault
		get("key_algorithm", tlv(SEQUENCE, RSAES_OAEP, tlv(SEQUENCE, self["hash"], self["mask"], self["label"])))
		get("recipient", tlv(SEQUENCE, self["recipient_version"], self["identifier"], self["key_algorithm"],
			self["encrypted_key"], self["after_key"]))
		get("recipients", tlv(SET, self["recipient"], self["more_recipients"]))
		get("content_algorithm", tlv(SEQUENCE, AES256_CBC, self["iv"]))
		text, chunk = self["ciphertext"], self["chunk"]
		get("content", self["form"](0xa0, *(tlv(OCTETS, text[at:at + chunk]) for at in range(0, len(text), chunk))))

	def __getitem__(self, name):
		return self.parts[name]

	def ber(self):
		form = self["form"]
		info = form(SEQUENCE, self["content_type"], self["content_algorithm"], self["content"],
			self["after_content"])
		enveloped = form(SEQUENCE, self["version"], self["before_recipients"], self["recipients"], info,
			self["attributes"])
		return form(SEQUENCE, self["type"], form(0xa0, enveloped)) + self["tail"]
