# SPDX-License-Identifier: MIT
"""`kms unwrap`: envelopes as KMS makes them open, everything else does not, and what goes wrong
behind the parameters looks the same whatever it was. The envelopes are support/kms_envelopes.py's;
openssl is the peer."""
import base64
import datetime
import hashlib
import os
import signal
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from support import kms_envelopes as kms, process
from support.kms_envelopes import OCTETS, SEQUENCE, SET, Envelope, Recipient, indefinite, integer, tlv
from support.nsm import attest_program

ATTEST = attest_program()
SECRET = b"a data key of 32 bytes, as it is"


@pytest.fixture(scope="module", params=[2048])
def recipient(request):
	return Recipient(request.param)


@pytest.fixture(scope="module")
def other():
	return Recipient(2048)


@pytest.fixture
def unwrap(directory, recipient):
	"""unwrap(message, key=...) gives the Result, the message in a file of always the same name."""
	def run(message, key=None):
		path, key_path = directory / "message", directory / "key.pem"
		path.write_bytes(message)
		key_path.write_bytes(key or recipient.pem())
		return process.run([ATTEST, "kms", "unwrap", "--key", key_path, path])
	return run


def opened(result, plaintext=SECRET):
	assert (result.status, result.raw, result.stderr) == (0, plaintext, ""), result


def refused(result, status, word):
	assert (result.status, result.raw) == (status, b""), result
	assert word in result.stderr, result.stderr
	return result.stderr


# --- what opens

@pytest.mark.parametrize("bits", [2048, 3072, 4096])
@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_the_sizes_of_kms_and_both_forms_of_keys(unwrap, bits, form):
	key = Recipient(bits)
	opened(unwrap(Envelope(key, SECRET).ber(), key.pem(form)))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 255, 999, 1000, 4096])
@pytest.mark.parametrize("form", [indefinite, tlv], ids=["indefinite", "definite"])
def test_plaintexts_of_any_size(unwrap, recipient, size, form):
	plaintext = os.urandom(size)
	opened(unwrap(Envelope(recipient, plaintext, form=form).ber()), plaintext)


def test_base64_and_standard_input(unwrap, directory, recipient):
	ber = Envelope(recipient, SECRET).ber()
	opened(unwrap(base64.b64encode(ber)))
	opened(unwrap(base64.b64encode(ber) + b"\n"))
	opened(unwrap(base64.encodebytes(ber)))
	key = directory / "key.pem"
	for message in (ber, base64.b64encode(ber)):
		opened(process.run([ATTEST, "kms", "unwrap", "--key", key, "-"], input=message))


def test_the_same_message_in_other_words(unwrap, recipient):
	"""BER's freedoms: any mix of definite and indefinite lengths, chunks of any size, one string."""
	for seed in range(64):
		forms = [tlv if seed >> bit & 1 else indefinite for bit in range(6)]
		counter = iter(forms)

		def form(tag, *content):
			return next(counter, indefinite)(tag, *content)

		opened(unwrap(Envelope(recipient, SECRET, form=form).ber()))
	for chunk in (1, 7, 16, 47, 48):
		opened(unwrap(Envelope(recipient, SECRET, chunk=chunk).ber()))
	envelope = Envelope(recipient, SECRET)
	text = envelope["ciphertext"]
	again = dict(envelope.parts)
	for content in (tlv(0x80, text), indefinite(0xa0, tlv(OCTETS), tlv(OCTETS, text), tlv(OCTETS))):
		opened(unwrap(Envelope(recipient, SECRET, **again | {"content": content}).ber()))
	recipients = indefinite(SET, indefinite(SEQUENCE, integer(2), envelope["identifier"], indefinite(SEQUENCE,
		kms.RSAES_OAEP, indefinite(SEQUENCE, indefinite(0xa0, kms.SHA256_BARE),
			indefinite(0xa1, indefinite(SEQUENCE, kms.MGF1, kms.SHA256_BARE)))), envelope["encrypted_key"]))
	opened(unwrap(Envelope(recipient, SECRET, **again | {"recipients": recipients}).ber()))


def _certificate(recipient):
	"""Names its key as KMS does, for openssl's -keyid."""
	name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "recipient")])
	begin = datetime.datetime(2020, 1, 1)
	return (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(recipient.public)
		.serial_number(1).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=36500))
		.add_extension(x509.SubjectKeyIdentifier(recipient.identifier), critical=False)
		.sign(recipient.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize("stream", [[], ["-stream"]], ids=["whole", "stream"])
def test_envelopes_of_openssl(unwrap, directory, recipient, stream):
	certificate, plaintext, message = directory / "cert.pem", directory / "plain", directory / "cms"
	certificate.write_bytes(_certificate(recipient))
	for size in (0, 32, 5000):
		content = os.urandom(size)
		plaintext.write_bytes(content)
		subprocess.run(["openssl", "cms", "-encrypt", "-binary", "-keyid", "-aes256", *stream, "-outform", "DER",
			"-in", plaintext, "-out", message, "-recip", certificate, "-keyopt", "rsa_padding_mode:oaep",
			"-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"], check=True, capture_output=True)
		opened(unwrap(message.read_bytes()), content)


def test_openssl_opens_what_these_tests_make(directory, recipient):
	"""The envelopes that must open are right for somebody else too."""
	(directory / "key.pem").write_bytes(recipient.pem())
	for form in (indefinite, tlv):
		(directory / "message").write_bytes(Envelope(recipient, SECRET, form=form).ber())
		result = subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-in", directory / "message",
			"-inkey", directory / "key.pem"], capture_output=True, check=True)
		assert result.stdout == SECRET


# --- parameters

def _parameters(recipient, other):
	"""name: (status, word, message) of what is refused before the private key is used."""
	def made(**parts):
		return Envelope(recipient, SECRET, **parts).ber()

	good = Envelope(recipient, SECRET)
	key, cut = good["encrypted_key"], good["ciphertext"]
	definite = Envelope(recipient, SECRET, form=tlv).ber()
	algorithm = "key encryption algorithm"
	oaep = lambda *parameters: tlv(SEQUENCE, kms.RSAES_OAEP, *parameters)  # noqa: E731
	content = lambda *parts: made(content=indefinite(0xa0, *parts))  # noqa: E731
	return {
		# whom it is for
		"for-another-key": (1, "recipient", Envelope(other, SECRET).ber()),
		"identifier-of-one-bit-less": (1, "recipient", made(
			identifier=tlv(0x80, bytes([recipient.identifier[0] ^ 1]) + recipient.identifier[1:]))),
		"identifier-sha1": (4, "subject key identifier", made(
			identifier=tlv(0x80, hashlib.sha1(recipient.spki).digest()))),
		"identifier-empty": (4, "subject key identifier", made(identifier=tlv(0x80))),
		"identifier-of-33": (4, "subject key identifier", made(identifier=tlv(0x80, recipient.identifier + b"\0"))),
		"identifier-constructed": (4, "subject key identifier", made(
			identifier=tlv(0xa0, tlv(OCTETS, recipient.identifier)))),
		"issuer-and-serial": (4, "subject key identifier", made(identifier=tlv(SEQUENCE, tlv(SEQUENCE), integer(1)))),
		"encrypted-key-shorter": (4, "encrypted key", made(encrypted_key=tlv(OCTETS, key[4:-1]))),
		"encrypted-key-longer": (4, "encrypted key", made(encrypted_key=tlv(OCTETS, b"\0" + key[4:]))),
		"encrypted-key-empty": (4, "encrypted key", made(encrypted_key=tlv(OCTETS))),
		"encrypted-key-constructed": (4, "encrypted key", made(encrypted_key=tlv(0x24, key))),
		"encrypted-key-as-integer": (4, "encrypted key", made(encrypted_key=tlv(2, key[4:]))),
		# versions and types
		"signed-data": (4, "message's type", made(type=kms.oid("1.2.840.113549.1.7.2"))),
		"auth-enveloped-data": (4, "message's type", made(type=kms.oid("1.2.840.113549.1.9.16.1.23"))),
		"type-and-one-more": (4, "message's type", made(type=tlv(kms.OID, kms.ENVELOPED_DATA[2:] + b"\1"))),
		"type-cut": (4, "message's type", made(type=tlv(kms.OID, kms.ENVELOPED_DATA[2:-1]))),
		"type-empty": (4, "message's type", made(type=tlv(kms.OID))),
		"no-type": (4, "message's type", made(type=b"")),
		"version-0": (4, "version", made(version=integer(0))),
		"version-3": (4, "version", made(version=integer(3))),
		"version-258": (4, "version", made(version=integer(258))),
		"version-of-two-bytes": (4, "version", made(version=tlv(2, b"\0\2"))),
		"version-empty": (4, "version", made(version=tlv(2))),
		"no-version": (4, "version", made(version=b"")),
		"recipient-version-0": (4, "recipient's version", made(recipient_version=integer(0))),
		"recipient-version-4": (4, "recipient's version", made(recipient_version=integer(4))),
		"content-of-signed-data": (4, "content's type", made(content_type=kms.oid("1.2.840.113549.1.7.2"))),
		# recipients
		"no-recipients": (4, "recipient", made(recipients=tlv(SET))),
		"no-recipients-indefinite": (4, "recipient", made(recipients=indefinite(SET))),
		"two-recipients": (4, "recipients", made(more_recipients=good["recipient"])),
		"another-recipient-first": (4, "recipients", made(recipient=Envelope(other, SECRET)["recipient"],
			more_recipients=good["recipient"])),
		"key-agreement": (4, "recipient", made(recipient=b"\xa1" + good["recipient"][1:])),
		"recipients-as-sequence": (4, "recipients", made(recipients=tlv(SEQUENCE, good["recipient"]))),
		"originator": (4, "recipients", made(before_recipients=tlv(0xa0))),
		"something-behind-the-key": (4, "recipient", made(after_key=tlv(5))),
		# the key's algorithm
		"pkcs1-v1.5": (4, algorithm, made(key_algorithm=tlv(SEQUENCE, kms.RSA_ENCRYPTION, kms.NO_PARAMETERS),
			encrypted_key=tlv(OCTETS, recipient.public.encrypt(SECRET, padding.PKCS1v15())))),
		"oaep-without-parameters": (4, "OAEP's parameters", made(key_algorithm=oaep())),
		"oaep-with-null": (4, "OAEP's parameters", made(key_algorithm=oaep(kms.NO_PARAMETERS))),
		"oaep-of-defaults": (4, "OAEP's hash", made(hash=b"", mask=b"")),
		"oaep-hash-only": (4, "OAEP's mask", made(mask=b"")),
		"oaep-mask-only": (4, "OAEP's hash", made(hash=b"")),
		"oaep-swapped": (4, "OAEP's hash", made(hash=good["mask"], mask=good["hash"])),
		"oaep-hash-sha1": (4, "OAEP's hash", made(hash=tlv(0xa0, kms.SHA1))),
		"oaep-hash-sha384": (4, "OAEP's hash", made(hash=tlv(0xa0, kms.SHA384))),
		"oaep-hash-twice": (4, "OAEP's hash", made(hash=tlv(0xa0, kms.SHA256, kms.SHA256))),
		"oaep-hash-with-parameters": (4, "OAEP's hash", made(hash=tlv(0xa0,
			tlv(SEQUENCE, kms.SHA256_BARE[2:], tlv(5, b"\0"))))),
		"oaep-hash-with-integer": (4, "OAEP's hash", made(hash=tlv(0xa0,
			tlv(SEQUENCE, kms.SHA256_BARE[2:], integer(0))))),
		"mask-hash-sha1": (4, "OAEP's mask", made(mask=tlv(0xa1, tlv(SEQUENCE, kms.MGF1, kms.SHA1)))),
		"mask-without-hash": (4, "OAEP's mask", made(mask=tlv(0xa1, tlv(SEQUENCE, kms.MGF1)))),
		"mask-of-no-mgf1": (4, "OAEP's mask", made(mask=tlv(0xa1, tlv(SEQUENCE, kms.RSAES_OAEP, kms.SHA256)))),
		"mask-more": (4, "OAEP's mask", made(mask=tlv(0xa1, tlv(SEQUENCE, kms.MGF1, kms.SHA256), integer(1)))),
		"label-empty": (4, "OAEP's parameters", made(label=tlv(0xa2, tlv(SEQUENCE, kms.P_SPECIFIED, tlv(OCTETS))))),
		"label": (4, "OAEP's parameters", made(label=tlv(0xa2, tlv(SEQUENCE, kms.P_SPECIFIED, tlv(OCTETS, b"x"))))),
		# the content's algorithm
		"aes-128": (4, "content encryption algorithm", made(content_algorithm=tlv(SEQUENCE, kms.AES128_CBC, good["iv"]))),
		"aes-gcm": (4, "content encryption algorithm", made(content_algorithm=tlv(SEQUENCE, kms.AES256_GCM,
			tlv(SEQUENCE, tlv(OCTETS, bytes(12)), integer(16))))),
		"triple-des": (4, "content encryption algorithm", made(content_algorithm=tlv(SEQUENCE,
			kms.oid("1.2.840.113549.3.7"), tlv(OCTETS, bytes(8))))),
		"no-iv": (4, "IV", made(iv=b"")),
		"iv-of-15": (4, "IV", made(iv=tlv(OCTETS, bytes(15)))),
		"iv-of-17": (4, "IV", made(iv=tlv(OCTETS, bytes(17)))),
		"iv-empty": (4, "IV", made(iv=tlv(OCTETS))),
		"two-ivs": (4, "content encryption algorithm", made(iv=tlv(OCTETS, bytes(16)) * 2)),
		# the content
		"no-content": (4, "encrypted content", made(content=b"")),
		"content-empty": (4, "encrypted content", made(content=tlv(0x80))),
		"content-of-no-chunks": (4, "encrypted content", content()),
		"content-of-47": (4, "whole AES blocks", content(tlv(OCTETS, cut[:-1]))),
		"content-explicit": (4, "encrypted content", content(indefinite(0x24, tlv(OCTETS, cut)))),
		"content-of-bits": (4, "encrypted content", content(tlv(3, cut))),
		"content-of-tag-1": (4, "encrypted content", made(content=indefinite(0xa1, tlv(OCTETS, cut)))),
		"content-without-end": (4, "", made(content=bytes([0xa0, 0x80]) + tlv(OCTETS, cut))),
		"content-indefinite-but-primitive": (4, "length", made(content=bytes([0x80, 0x80]) + cut + b"\0\0")),
		"chunk-indefinite-but-primitive": (4, "length", content(bytes([4, 0x80]) + cut + b"\0\0")),
		"something-behind-the-content": (4, "encrypted content info", made(after_content=tlv(OCTETS, cut))),
		"attributes": (4, "enveloped data", made(attributes=tlv(0xa1, tlv(SEQUENCE)))),
		# the encoding
		"tail": (4, "end", made(tail=b"\0")),
		"tail-of-zeros": (4, "end", made(tail=b"\0\0")),
		"definite-tail": (4, "end", definite + b"\0"),
		"end-missing": (4, "message", made()[:-2]),
		"half-an-end": (4, "message", made()[:-1]),
		"reserved-length": (4, "length", b"\x30\xff" + made()[2:]),
		"length-of-five-bytes": (4, "length", b"\x30\x85\0\0\0\2\0" + made()[2:]),
		"length-beyond-the-end": (4, "longer", b"\x30\x84\xff\xff\xff\xff" + made()[2:]),
		"length-of-one-more": (4, "longer", b"\x30\x82" + (len(definite) - 3).to_bytes(2, "big") + definite[4:]),
		"length-of-one-less": (4, "", b"\x30\x82" + (len(definite) - 5).to_bytes(2, "big") + definite[4:]),
		"length-not-the-shortest": (4, "length", made(version=b"\x02\x81\x01\x02")),
		"length-with-zeros": (4, "length", b"\x30\x83\0" + definite[2:]),
		"long-tag": (4, "message", b"\x3f\x10\x80" + made()[2:]),
		"a-set-instead": (4, "message", b"\x31" + made()[1:]),
		"nested-deeply": (4, "", b"\x30\x80" * 8000),
		"empty": (4, "message", b""),
		"only-its-tag": (4, "message", b"\x30"),
		"not-base64": (4, "base64", b"*** not base64 ***"),
		"cut-base64": (4, "base64", base64.b64encode(made())[:-1]),
		"base64-of-nothing-known": (4, "message", base64.b64encode(b"hello, world")),
		"too-long": (4, "more than", made(ciphertext=bytes(16384))),
		"file-too-long": (4, "more than", b"\x30" + bytes(40000)),
	}


def test_every_parameter_that_kms_does_not_send_is_refused(unwrap, recipient, other):
	cases = _parameters(recipient, other)
	assert len(cases) >= 80
	for name, (status, word, message) in cases.items():
		result = unwrap(message)
		assert (result.status, result.raw) == (status, b""), (name, result)
		assert word in result.stderr and result.stderr.count("\n") == 1, (name, result.stderr)


def test_who_it_is_for_is_said(unwrap, recipient, other):
	text = refused(unwrap(Envelope(other, SECRET).ber()), 1, "is for key")
	assert other.identifier.hex()[:16] in text and recipient.identifier.hex()[:16] in text


def test_a_message_cut_anywhere_is_refused(unwrap, recipient):
	for form in (indefinite, tlv):
		message = Envelope(recipient, SECRET, form=form).ber()
		for length in [*range(1, 120), *range(120, len(message), 37), len(message) - 1]:
			assert unwrap(message[:length]).status == 4, (form, length)


# --- what depends on the private key

def _failures(recipient):
	"""name: message of well-formed envelopes that do not open, each for a reason of its own."""
	size = recipient.size
	iv, key = os.urandom(16), os.urandom(32)
	good = kms.encrypt(key, iv, kms.pad(SECRET))

	def made(encrypted_key, ciphertext=good):
		return Envelope(recipient, SECRET, iv=tlv(OCTETS, iv), encrypted_key=tlv(OCTETS, encrypted_key),
			ciphertext=ciphertext).ber()

	def encoded(message=key, **parts):
		return made(recipient.raise_raw(kms.encode_oaep(size, message, **parts)))

	def padded(tail):
		return made(recipient.oaep(key), kms.encrypt(key, iv, SECRET + tail))

	modulus = recipient.public.public_numbers().n
	flipped = bytearray(recipient.oaep(key))
	flipped[100] ^= 1
	beyond = 256**size
	while beyond >= 256**size:
		beyond = int.from_bytes(recipient.oaep(key), "big") + modulus
	pkcs1 = b"\0\2" + bytes(255 - n % 255 for n in range(size - 35)) + b"\0" + key
	return {
		"oaep-random": made((int.from_bytes(os.urandom(size), "big") % modulus).to_bytes(size, "big")),
		"oaep-one-bit": made(bytes(flipped)),
		"oaep-zero": made(bytes(size)),
		"oaep-one": made(bytes(size - 1) + b"\1"),
		"oaep-modulus": made(modulus.to_bytes(size, "big")),
		"oaep-modulus-less-one": made((modulus - 1).to_bytes(size, "big")),
		"oaep-good-but-beyond-the-modulus": made(beyond.to_bytes(size, "big")),
		"oaep-all-ones": made(b"\xff" * size),
		"oaep-first-byte-1": encoded(first=1),
		"oaep-first-byte-127": encoded(first=0x7f),
		"oaep-label-of-something": made(recipient.oaep(key, label=b"x")),
		"oaep-label-hash-first-byte": encoded(label_hash=b"\0" + hashlib.sha256(b"").digest()[1:]),
		"oaep-label-hash-last-byte": encoded(label_hash=hashlib.sha256(b"").digest()[:-1] + b"\0"),
		"oaep-separator-0": encoded(separator=0),
		"oaep-separator-2": encoded(separator=2),
		"oaep-separator-255": encoded(separator=255),
		"oaep-filler-1": encoded(filler=1),
		"oaep-filler-128": encoded(filler=128),
		"oaep-of-sha1": made(recipient.oaep(key, digest=hashes.SHA1, mask=hashes.SHA1)),
		"oaep-mask-of-sha1": made(recipient.oaep(key, mask=hashes.SHA1)),
		"oaep-key-of-16": made(recipient.oaep(key[:16])),
		"oaep-key-of-31": made(recipient.oaep(key[:31])),
		"oaep-key-of-33": made(recipient.oaep(key + b"\0")),
		"oaep-key-of-0": made(recipient.oaep(b"")),
		"oaep-key-of-190": made(recipient.oaep(bytes(size - 66))),
		"pkcs1-v1.5": made(recipient.public.encrypt(key, padding.PKCS1v15())),
		"pkcs1-v1.5-without-random": made(recipient.raise_raw(pkcs1)),
		"raw": made(recipient.raise_raw(bytes(size - 32) + key)),
		"another-key": made(recipient.oaep(kms.key_that_does_not_open(iv, good))),
		"padding-0": padded(bytes(16)),
		"padding-17": padded(b"\x11" * 16),
		"padding-255": padded(b"\xff" * 16),
		"padding-128": padded(b"\x80" * 16),
		"padding-2-over-1": padded(bytes(14) + b"\1\2"),
		"padding-16-with-one-wrong": padded(b"\x0f" + b"\x10" * 15),
		"padding-16-with-middle-wrong": padded(b"\x10" * 8 + b"\0" + b"\x10" * 7),
		"padding-3-of-which-first-is-wrong": padded(bytes(13) + b"\2\3\3"),
		"one-block-of-the-wrong-key": made(recipient.oaep(key), kms.encrypt(key, iv, bytes(16))),
		"content-cut-by-a-block": made(recipient.oaep(key), kms.encrypt(key, iv, kms.pad(bytes(40)))[:-16]),
	}


def test_behind_the_parameters_every_failure_looks_the_same(unwrap, recipient):
	cases = _failures(recipient)
	assert len(cases) >= 35
	results = {}
	for name, message in cases.items():
		result = unwrap(message)
		results.setdefault((result.status, result.raw, result.stderr), []).append(name)
	assert len(results) == 1, results
	(status, stdout, stderr), = results
	assert (status, stdout) == (1, b"")
	assert stderr.endswith("message: does not decrypt with this key\n") and stderr.count("\n") == 1


def test_the_last_paddings_that_are_good_open(unwrap, recipient):
	"""The counterpart of the failures above: made in the same way, and right."""
	iv, key = os.urandom(16), os.urandom(32)
	for plaintext in (bytes(47), bytes(32), b"\x10" * 16, b"\1"):
		encoded = kms.encode_oaep(recipient.size, key)
		opened(unwrap(Envelope(recipient, b"", iv=tlv(OCTETS, iv), encrypted_key=tlv(OCTETS, recipient.raise_raw(encoded)),
			ciphertext=kms.encrypt(key, iv, kms.pad(plaintext))).ber()), plaintext)


# --- what is left in memory

def _writable_memory(pid):
	with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
		for line in maps:
			place, permissions = line.split()[:2]
			begin, end = (int(part, 16) for part in place.split("-"))
			if "w" in permissions and not line.rstrip().endswith("[vvar]"):
				memory.seek(begin)
				yield memory.read(end - begin)


def _left_in_memory(directory, library, needles):
	"""The names of those that the process still holds when it ends."""
	command = [ATTEST, "kms", "unwrap", "--key", directory / "key.pem", directory / "message"]
	child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
		env={**os.environ, "LD_PRELOAD": library})
	os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
	try:
		memory = b"".join(_writable_memory(child.pid))
	finally:
		child.send_signal(signal.SIGCONT)
		output, _ = child.communicate(timeout=10)
	return {name for name, needle in needles.items() if needle in memory}, output


@pytest.mark.parametrize("is_good", [True, False], ids=["opens", "does-not-open"])
def test_no_secret_is_left_in_memory(directory, recipient, probe, is_good):
	if b"__asan_init" in ATTEST.read_bytes():
		pytest.skip("a sanitizer keeps what was freed, and must be the first library")
	key, iv, secret = os.urandom(32), os.urandom(16), os.urandom(48)
	padded = kms.pad(secret) if is_good else secret + bytes(16)
	(directory / "key.pem").write_bytes(recipient.pem())
	(directory / "message").write_bytes(Envelope(recipient, b"", iv=tlv(OCTETS, iv),
		encrypted_key=tlv(OCTETS, recipient.oaep(key)), ciphertext=kms.encrypt(key, iv, padded)).ber())
	numbers = recipient.key.private_numbers()
	secrets = {"plaintext": secret, "content key": key, "PEM": recipient.pem()}
	for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp"):
		number = getattr(recipient.key.private_numbers(), name)
		for order in ("big", "little"):
			secrets[f"{name} {order}"] = number.to_bytes((number.bit_length() + 7) // 8, order)
	# In pieces: what is freed is overwritten in part. Those of the PEM that it shares with others are not.
	needles = {f"{name} at {at}": whole[at:at + 16] for name, whole in secrets.items()
		for at in range(100 if name == "PEM" else 0, len(whole) - 100 if name == "PEM" else len(whole) - 15, 8)}
	needles["control"] = str(directory).encode()
	found, output = _left_in_memory(directory, probe("stopping", "-shared", "-fPIC", "-Wl,-z,now"), needles)
	assert found == {"control"}
	assert output == (secret if is_good else b"")


# --- keys and usage

def test_keys_that_are_none(unwrap, recipient):
	encrypted = recipient.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
		serialization.BestAvailableEncryption(b"secret"))
	plain = {"encoding": serialization.Encoding.PEM, "format": serialization.PrivateFormat.PKCS8,
		"encryption_algorithm": serialization.NoEncryption()}
	message = Envelope(recipient, SECRET).ber()
	text = recipient.pem()
	for key, word in [
		(b"nothing", "PEM"),
		(encrypted, "unencrypted"),
		(text[:-200], "PEM"),
		(recipient.key.private_bytes(serialization.Encoding.DER, plain["format"], plain["encryption_algorithm"]), "PEM"),
		(recipient.public.public_bytes(serialization.Encoding.PEM,
			serialization.PublicFormat.SubjectPublicKeyInfo), "PEM"),
		(ec.generate_private_key(ec.SECP384R1()).private_bytes(**plain), "RSA"),
		(ed25519.Ed25519PrivateKey.generate().private_bytes(**plain), "RSA"),
		(rsa.generate_private_key(65537, 1024).private_bytes(**plain), "2048, 3072 or 4096"),
		(rsa.generate_private_key(65537, 2056).private_bytes(**plain), "2048, 3072 or 4096"),
		(_damaged(recipient), "numbers"),
	]:
		refused(unwrap(message, key), 2, word)


def _damaged(recipient):
	"""A key whose first prime is another number: blinded operations with it would be wrong."""
	der = bytearray(recipient.key.private_bytes(serialization.Encoding.DER,
		serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
	numbers = recipient.key.private_numbers()
	at = der.index(numbers.p.to_bytes(recipient.size // 2, "big"))
	der[at + 50] ^= 1
	return b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(bytes(der)) + b"-----END RSA PRIVATE KEY-----\n"


def test_files_that_cannot_be_read(directory, recipient):
	key = directory / "key.pem"
	key.write_bytes(recipient.pem())
	(directory / "large").write_bytes(recipient.pem() + bytes(16384))
	for key_path, path, status, named in [(key, "/nonexistent", 3, "/nonexistent"),
			("/nonexistent", key, 2, "/nonexistent"), (directory / "large", key, 2, f"{directory}/large")]:
		result = process.run([ATTEST, "kms", "unwrap", "--key", key_path, path])
		assert (result.status, result.stdout) == (status, "") and named in result.stderr


@pytest.mark.parametrize("words", [[], ["wrap"], ["unwrap"], ["unwrap", "file"], ["unwrap", "--key", "k"],
	["unwrap", "--key", "k", "a", "b"], ["unwrap", "--keys", "k", "a"]], ids=str)
def test_wrong_usage(words):
	result = process.run([ATTEST, "kms", *words])
	assert (result.status, result.stdout) == (2, "")
	assert "usage: airlock-attest kms unwrap" in result.stderr


def test_a_reader_that_has_left_is_told(directory, recipient):
	(directory / "key.pem").write_bytes(recipient.pem())
	(directory / "message").write_bytes(Envelope(recipient, SECRET).ber())
	result = process.run(["sh", "-c",
		f"{ATTEST} kms unwrap --key {directory}/key.pem {directory}/message >/dev/full; echo $?"])
	assert result.stdout == "3\n", result
