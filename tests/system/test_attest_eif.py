# SPDX-License-Identifier: MIT
"""Enclave images: what `measure` says of good ones, that it refuses the others, and that `eif build`
makes what was asked for. The images are support/eif_images.py's own."""
import base64
import datetime
import json
import os
import pathlib
import struct
import time
import zlib

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from support import eif_images as eif, process
from support.eif_images import CMDLINE, CRC_AT, HEAD, HEADER, KERNEL, METADATA, RAMDISK, SIGNATURE, Image
from support.nsm import Simulator, attest_program

ATTEST = attest_program()
OFFSETS, SIZES = 28, 284
METADATA_TEXT = json.dumps({"ImageName": "t"}).encode()
SECTIONS = [(KERNEL, b"kernel" * 100), (CMDLINE, b"reboot=k panic=30"), (METADATA, METADATA_TEXT),
	(RAMDISK, b"init" * 50), (RAMDISK, b"application" * 30)]
EMPTY_PCR = "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a"


def attest(*words, env=None, input=None):
	return process.run([ATTEST, *map(str, words)], env=env, input=input)


def measure(path):
	"""The PCRs that it prints, as JSON and as text alike."""
	as_json, as_text = attest("measure", "--json", path), attest("measure", path)
	assert as_json.status == 0, as_json.stderr
	registers = json.loads(as_json.stdout)
	assert registers.pop("HashAlgorithm") == "SHA384"
	assert dict(line.split() for line in as_text.stdout.splitlines()) == registers
	return registers


def refused(path, status, *words):
	result = attest("measure", path)
	assert (result.status, result.stdout) == (status, ""), result
	assert result.stderr.startswith(f"airlock-attest: {path}: ")
	for word in words:
		assert word in result.stderr
	return result.stderr


@pytest.fixture
def image(directory):
	"""image(bytes or Image) writes a file and returns its path."""
	def write(content):
		path = directory / "image.eif"
		path.write_bytes(bytes(content))
		return path
	return write


def make_certificate(key, subject="signer"):
	name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
	begin = datetime.datetime(2020, 1, 1)
	return (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
		.serial_number(7).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=36500))
		.sign(key, hashes.SHA384()))


@pytest.fixture(scope="module")
def signer():
	key = ec.generate_private_key(ec.SECP384R1())
	return key, make_certificate(key)


# --- measuring

@pytest.mark.parametrize("sections", [
	SECTIONS,
	SECTIONS[:2],
	SECTIONS[:4],
	SECTIONS + [(RAMDISK, b"third"), (RAMDISK, b"")],
	[SECTIONS[1], SECTIONS[0], *SECTIONS[2:]],
	[SECTIONS[0], SECTIONS[3], SECTIONS[4], SECTIONS[1]],
	[SECTIONS[0], SECTIONS[1]] + [(RAMDISK, bytes([n]) * n) for n in range(30)],
	[(KERNEL, b"k"), (CMDLINE, b"")],
	[(KERNEL, b"k" * 65536), (CMDLINE, b"c" * 65537), (RAMDISK, b"r" * 200000), (RAMDISK, b"s" * 65535)],
], ids=["five", "two", "one-ramdisk", "four-ramdisks", "cmdline-first", "cmdline-last", "32-sections",
	"empty-cmdline", "pieces"])
def test_pcrs_are_those_of_the_sections(image, sections):
	assert measure(image(Image(sections))) == eif.measure(sections)


def test_pcr2_without_application_ramdisks_is_the_known_one(image):
	assert measure(image(Image(SECTIONS[:4])))["PCR2"] == EMPTY_PCR


@pytest.mark.parametrize("fields", [{"version": 2}, {"version": 3}, {"flags": 1}, {"memory": 0},
	{"memory": 2**64 - 1, "cpus": 2**64 - 1}], ids=str)
def test_header_fields_do_not_change_the_pcrs(image, fields):
	assert measure(image(Image(SECTIONS, **fields))) == eif.measure(SECTIONS)


def test_the_vectors_give_what_their_manifest_says():
	"""Images of others, when there are any: $AIRLOCK_VECTORS/eif/manifest.json."""
	if not os.environ.get("AIRLOCK_VECTORS"):
		pytest.skip("AIRLOCK_VECTORS names no folder of vectors")
	folder = pathlib.Path(os.environ["AIRLOCK_VECTORS"])
	vectors = json.loads((folder / "eif/manifest.json").read_text())
	assert vectors
	for vector in vectors:
		if vector["expect"] == "accept":
			assert measure(folder / vector["file"]) == vector["pcrs"], vector["file"]
		else:
			result = attest("measure", folder / vector["file"])
			assert result.status in (1, 4) and result.stdout == "", vector["file"]


@pytest.mark.limit(120)
def test_a_large_image_is_neither_copied_nor_held(directory):
	"""A quarter of a gigabyte, under a limit of memory that leaves room for the mapping alone."""
	if b"__asan_init" in ATTEST.read_bytes():
		pytest.skip("a sanitizer reserves more than the limit")
	path = directory / "large.eif"
	size = 256 << 20
	piece = bytes(range(256)) * 4096
	sections = [(KERNEL, b"k"), (CMDLINE, b"c"), (RAMDISK, b"i"), (RAMDISK, piece * (size // len(piece)))]
	path.write_bytes(bytes(Image(sections)))
	expected = eif.measure(sections)
	del sections
	limit = (size + (64 << 20)) // 1024
	result = process.run(["sh", "-c", f"ulimit -v {limit}; exec {ATTEST} measure --json {path}"], timeout=60)
	assert result.status == 0, result.stderr
	assert json.loads(result.stdout) == {"HashAlgorithm": "SHA384", **expected}


# --- hostile images

GOOD = bytes(Image(SECTIONS))
STARTS = []
at = HEADER
for _, data in SECTIONS:
	STARTS.append(at)
	at += HEAD + len(data)


def field(at, form, value, data=GOOD):
	return eif.with_crc(eif.patched(data, at, struct.pack(">" + form, value)))


def swapped(kind_table, first, second):
	table = list(struct.unpack_from(">32Q", GOOD, kind_table))
	table[first], table[second] = table[second], table[first]
	return eif.with_crc(eif.patched(GOOD, kind_table, struct.pack(">32Q", *table)))


HOSTILE = {
	# the header
	"empty": (b"", "header"),
	"magic-of-elf": (eif.patched(GOOD, 0, b"\x7fELF"), "magic"),
	"magic-upper-case": (eif.with_crc(eif.patched(GOOD, 0, b".EIF")), "magic"),
	"version-0": (field(4, "H", 0), "version"),
	"version-1": (field(4, "H", 1), "version"),
	"version-5": (field(4, "H", 5), "version"),
	"version-other-byte-order": (field(4, "H", 0x400), "version"),
	"flags-2": (field(6, "H", 2), "flags"),
	"flags-all": (field(6, "H", 0xffff), "flags"),
	"reserved": (field(24, "H", 1), "reserved"),
	"unused": (field(540, "I", 1), "unused"),
	"count-0": (field(26, "H", 0), "section count"),
	"count-1": (field(26, "H", 1), "section count"),
	"count-33": (field(26, "H", 33), "section count"),
	"count-65535": (field(26, "H", 65535), "section count"),
	"count-one-less": (Image(SECTIONS, count=4), "offset of no section"),
	"count-one-less-and-table-cleared": (Image(SECTIONS, count=4, offsets={4: 0}, sizes={4: 0}), "end"),
	"count-one-more": (Image(SECTIONS, count=6), "section offset"),
	"count-one-more-at-the-end": (Image(SECTIONS, count=6, offsets={5: len(GOOD)}), "section head"),
	"crc-zero": (eif.patched(GOOD, CRC_AT, bytes(4)), "CRC"),
	"crc-one-bit": (eif.patched(GOOD, CRC_AT, bytes([GOOD[CRC_AT] ^ 1])), "CRC"),
	"crc-other-byte-order": (eif.patched(GOOD, CRC_AT, GOOD[CRC_AT:HEADER][::-1]), "CRC"),
	"crc-over-its-own-field": (eif.patched(GOOD, CRC_AT,
		struct.pack(">I", zlib.crc32(GOOD))), "CRC"),
	"one-bit-of-the-kernel": (eif.patched(GOOD, 600, bytes([GOOD[600] ^ 1])), "CRC"),
	"one-bit-of-the-cpus": (eif.patched(GOOD, 23, b"\x03"), "CRC"),
	# the tables
	"offset-of-first-zero": (field(OFFSETS, "Q", 0), "section offset"),
	"offset-inside-the-header": (field(OFFSETS, "Q", 540), "section offset"),
	"offset-one-more": (field(OFFSETS + 8, "Q", STARTS[1] + 1), "section offset"),
	"offset-one-less": (field(OFFSETS + 8, "Q", STARTS[1] - 1), "section offset"),
	"offset-behind-the-head": (field(OFFSETS + 16, "Q", STARTS[2] + HEAD), "section offset"),
	"offset-2-to-the-63": (field(OFFSETS + 32, "Q", 1 << 63), "section offset"),
	"offset-all-ones": (field(OFFSETS + 32, "Q", 2**64 - 1), "section offset"),
	"offset-plus-2-to-the-32": (field(OFFSETS + 32, "Q", STARTS[4] + 2**32), "section offset"),
	"offsets-overlap": (field(OFFSETS + 32, "Q", STARTS[3]), "section offset"),
	"offsets-swapped": (swapped(OFFSETS, 3, 4), "section offset"),
	"sizes-swapped": (swapped(SIZES, 3, 4), "section size"),
	"offset-of-no-section": (field(OFFSETS + 40, "Q", 1), "offset of no section"),
	"offset-of-the-last-entry": (field(OFFSETS + 31 * 8, "Q", 1), "offset of no section"),
	"size-of-no-section": (field(SIZES + 40, "Q", 1), "size of no section"),
	"size-of-the-last-entry": (field(SIZES + 31 * 8, "Q", 2**63), "size of no section"),
	"size-one-more-in-the-table": (field(SIZES, "Q", len(SECTIONS[0][1]) + 1), "section size"),
	"size-zero-in-the-table": (field(SIZES + 8, "Q", 0), "section size"),
	# the sections
	"size-one-more-in-the-head": (field(STARTS[0] + 4, "Q", len(SECTIONS[0][1]) + 1), "section size"),
	"size-zero-in-the-head": (field(STARTS[4] + 4, "Q", 0), "section size"),
	"size-2-to-the-63": (field(SIZES + 32, "Q", 1 << 63, field(STARTS[4] + 4, "Q", 1 << 63)), "over the end"),
	"size-all-ones": (field(SIZES + 32, "Q", 2**64 - 1, field(STARTS[4] + 4, "Q", 2**64 - 1)), "over the end"),
	"size-wraps-to-the-header": (field(SIZES, "Q", 2**64 - HEAD,
		field(STARTS[0] + 4, "Q", 2**64 - HEAD)), "over the end"),
	"size-wraps-to-the-end": (field(SIZES + 32, "Q", 2**64 - 1000,
		field(STARTS[4] + 4, "Q", 2**64 - 1000)), "over the end"),
	"size-one-beyond-the-file": (field(SIZES + 32, "Q", len(SECTIONS[4][1]) + 1,
		field(STARTS[4] + 4, "Q", len(SECTIONS[4][1]) + 1)), "over the end"),
	"size-one-short-of-the-file": (field(SIZES + 32, "Q", len(SECTIONS[4][1]) - 1,
		field(STARTS[4] + 4, "Q", len(SECTIONS[4][1]) - 1)), "end"),
	"type-0": (field(STARTS[2], "H", 0), "section type"),
	"type-6": (field(STARTS[2], "H", 6), "section type"),
	"type-256": (field(STARTS[2], "H", 0x100), "section type"),
	"type-65535": (field(STARTS[2], "H", 65535), "section type"),
	"a-sixth-section-of-type-6": (Image(SECTIONS + [(6, b"x")]), "section type"),
	"section-flags": (Image(SECTIONS, section_flags={0: 1}), "section flags"),
	"section-flags-of-a-ramdisk": (Image(SECTIONS, section_flags={3: 0x8000}), "section flags"),
	"33-sections-said-to-be-32": (Image([*SECTIONS[:2], *[(RAMDISK, b"r")] * 31], count=32), "end"),
	"a-byte-behind": (Image(SECTIONS, tail=b"\0"), "end"),
	"a-section-behind": (Image(SECTIONS, tail=struct.pack(">HHQ", RAMDISK, 0, 1) + b"r"), "end"),
	"gap": (eif.with_crc(bytes(Image(SECTIONS, offsets={4: STARTS[4] + 1}))[:STARTS[4]] + b"\0"
		+ bytes(Image(SECTIONS))[STARTS[4]:]), "section offset"),
	# what there must be
	"two-kernels": (Image(SECTIONS + [SECTIONS[0]]), "kernel"),
	"two-cmdlines": (Image(SECTIONS + [SECTIONS[1]]), "command line"),
	"two-metadata": (Image(SECTIONS + [SECTIONS[2]]), "metadata"),
	"two-signatures": (Image(SECTIONS + [(SIGNATURE, b"s"), (SIGNATURE, b"s")]), "signature"),
	"no-kernel": (Image([SECTIONS[1], SECTIONS[2]]), "kernel"),
	"no-cmdline": (Image([SECTIONS[0], SECTIONS[3]]), "command line"),
	"ramdisk-before-the-kernel": (Image([SECTIONS[3], *SECTIONS[:3]]), "ramdisk"),
	"only-ramdisks": (Image([SECTIONS[3], SECTIONS[4]]), "ramdisk"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_image_is_refused_and_says_where(image, name):
	content, word = HOSTILE[name]
	refused(image(content), 4, word)


def test_an_image_cut_anywhere_is_refused(image):
	cuts = {0, 1, 4, 26, 28, CRC_AT, HEADER - 1, HEADER, len(GOOD) - 1}
	for start in STARTS:
		cuts |= {start - 1, start, start + 1, start + HEAD - 1, start + HEAD, start + HEAD + 1}
	for length in sorted(cuts):
		refused(image(GOOD[:length]), 4)
		if length >= HEADER:
			refused(image(eif.with_crc(GOOD[:length])), 4)


def test_every_byte_of_an_image_counts(image):
	"""No byte can change without the image being refused: the CRC covers all but itself."""
	small = bytes(Image([(KERNEL, b"k"), (CMDLINE, b"c")]))
	for position in range(0, len(small), 7):
		refused(image(eif.patched(small, position, bytes([small[position] ^ 0x10]))), 4)


def test_no_offset_or_size_of_the_table_may_differ(image):
	"""Each entry of both tables, by one, with the right CRC."""
	for table in (OFFSETS, SIZES):
		for index in range(32):
			value, = struct.unpack_from(">Q", GOOD, table + 8 * index)
			refused(image(field(table + 8 * index, "Q", value + 1)), 4)


@pytest.mark.parametrize("path, status", [("/nonexistent", 3), ("/", 3), ("/dev/null", 3)])
def test_what_is_no_file_is_said_to_be_none(path, status):
	result = attest("measure", path)
	assert (result.status, result.stdout) == (status, "")
	assert path in result.stderr


@pytest.mark.parametrize("words", [[], ["a", "b"], ["--pcr", "a"], ["--policy-out"]], ids=str)
def test_wrong_usage_of_measure(words):
	result = attest("measure", *words)
	assert (result.status, result.stdout) == (2, "")
	assert "usage: airlock-attest measure" in result.stderr


# --- the policy

def test_the_policy_names_the_image_and_its_pcrs(directory, signer):
	path, policy = directory / "my service.v1.eif", directory / "policy"
	path.write_bytes(bytes(Image(eif.sign(SECTIONS, *signer))))
	assert attest("measure", "--policy-out", policy, path).status == 0
	registers = eif.measure(SECTIONS, eif.der(signer[1]))
	lines = policy.read_text().splitlines()
	assert lines[0] == f"# measured from {path}"
	assert lines[1] == "release my-service.v1"
	assert lines[2:] == [f"  {name.lower()} {value}" for name, value in registers.items()]


def test_the_policy_accepts_this_image_and_no_other(directory, image):
	"""A simulated NSM with the PCRs of one image, and the policies of two."""
	def policy(name, sections):
		path = directory / name
		assert attest("measure", "--policy-out", path, image(Image(sections))).status == 0
		return path

	mine, other = policy("mine", SECTIONS), policy("other", SECTIONS[:4])
	registers = eif.measure(SECTIONS)
	nsm = Simulator(directory, *(f"--pcr={name[3:]}={value}" for name, value in registers.items()))
	try:
		document = directory / "document"
		result = nsm.run("get", "-o", document)
		assert result.status == 0, result.stderr
		accepted, refused_one = (attest("verify", document, "--policy", path, "--root", nsm.root)
			for path in (mine, other))
	finally:
		assert nsm.stop() == 0
	assert accepted.status == 0 and "release image" in accepted.stdout, accepted
	assert refused_one.status == 1 and refused_one.stdout == "", refused_one


def test_a_name_cannot_add_lines_to_the_policy(directory):
	path, policy = directory / "x\nrelease evil\n  pcr0 00.eif", directory / "policy"
	path.write_bytes(GOOD)
	assert attest("measure", "--policy-out", policy, path).status == 0
	lines = policy.read_text().splitlines()
	assert len(lines) == 5 and lines[0].startswith("# measured from ")
	assert lines[1] == "release x-release-evil---pcr0-00"


@pytest.mark.parametrize("form", ["exec {} measure - --json < {}", "cat {1} | {0} measure - --json"])
def test_an_image_may_come_by_standard_input(directory, form):
	path = directory / "app.eif"
	path.write_bytes(bytes(Image([*SECTIONS, (RAMDISK, bytes(300000))])))
	result = process.run(["sh", "-c", form.format(ATTEST, path)])
	assert result.status == 0, result.stderr
	assert result.stdout == attest("measure", path, "--json").stdout


def test_pcrs_that_cannot_be_written_are_no_answer(directory):
	path = directory / "app.eif"
	path.write_bytes(GOOD)
	result = process.run(["sh", "-c", f"exec {ATTEST} measure {path} > /dev/full"])
	assert result.status == 3 and "standard output" in result.stderr


def test_a_refused_image_leaves_the_policy_as_it_was(directory):
	path, policy = directory / "image.eif", directory / "policy"
	path.write_bytes(GOOD[:-1])
	policy.write_text("as it was\n")
	assert attest("measure", "--policy-out", policy, path).status == 4
	assert policy.read_text() == "as it was\n"


# --- signatures

@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda c: c.name)
def test_pcr8_is_the_signing_certificate(image, curve):
	key = ec.generate_private_key(curve)
	certificate = make_certificate(key)
	signed = eif.sign(SECTIONS, key, certificate)
	assert measure(image(Image(signed))) == eif.measure(SECTIONS, eif.der(certificate))


def test_a_signature_may_stand_anywhere_and_have_its_tag(image, signer):
	key, certificate = signer
	value = bytes.fromhex(eif.measure(SECTIONS)["PCR0"])
	cose = eif.cose_sign1(key, eif.pcr_info(value))
	for content in (cbor2.dumps(cose), cbor2.dumps(cbor2.CBORTag(18, cose))):
		section = (SIGNATURE, eif.signature_section(eif.pem(certificate), content))
		assert measure(image(Image([section, *SECTIONS]))) == eif.measure(SECTIONS, eif.der(certificate))


def test_of_several_certificates_the_first_counts(image, signer):
	key, certificate = signer
	other = eif.pem(make_certificate(ec.generate_private_key(ec.SECP384R1())))
	value = bytes.fromhex(eif.measure(SECTIONS)["PCR0"])
	section = eif.signature_section(eif.pem(certificate) + other,
		cbor2.dumps(eif.cose_sign1(key, eif.pcr_info(value))))
	assert measure(image(Image(SECTIONS + [(SIGNATURE, section)])))["PCR8"] == \
		eif.measure(SECTIONS, eif.der(certificate))["PCR8"]


def _signatures(key, certificate):
	"""name: (status, section) of signatures that must be refused."""
	pcr0 = bytes.fromhex(eif.measure(SECTIONS)["PCR0"])
	text, info = eif.pem(certificate), eif.pcr_info(pcr0)
	good = eif.cose_sign1(key, info)
	other = ec.generate_private_key(ec.SECP384R1())
	rsa_certificate = eif.pem(make_certificate(rsa.generate_private_key(65537, 2048)))
	p256 = ec.generate_private_key(ec.SECP256R1())

	def section(cose=good, certificate_text=text):
		return eif.signature_section(certificate_text, cbor2.dumps(cose))

	def changed(index, value):
		return [value if at == index else item for at, item in enumerate(good)]

	def raw(**changes):
		return {"signing_certificate": list(text), "signature": list(cbor2.dumps(good)), **changes}

	flipped = bytes([good[3][0] ^ 1]) + good[3][1:]
	return {
		# well formed, and the answer is no
		"another-key": (1, section(eif.cose_sign1(other, info))),
		"another-certificate": (1, section(certificate_text=eif.pem(make_certificate(other)))),
		"another-pcr0": (1, section(eif.cose_sign1(key, eif.pcr_info(bytes(48))))),
		"another-register": (1, section(eif.cose_sign1(key, eif.pcr_info(pcr0, index=1)))),
		"a-longer-payload": (1, section(eif.cose_sign1(key, info + b"\0"))),
		"payload-without-index": (1, section(eif.cose_sign1(key, cbor2.dumps({"register_value": list(pcr0)})))),
		"pcr0-as-a-byte-string": (1, section(eif.cose_sign1(key,
			cbor2.dumps({"register_index": 0, "register_value": pcr0})))),
		"one-bit-of-r": (1, section(changed(3, flipped))),
		"r-and-s-swapped": (1, section(changed(3, good[3][48:] + good[3][:48]))),
		"signature-of-zeros": (1, section(changed(3, bytes(96)))),
		"payload-exchanged": (1, section(changed(2, eif.pcr_info(bytes(48))))),
		"rsa-certificate": (1, section(certificate_text=rsa_certificate)),
		"p256-key-under-es384": (1, section(certificate_text=eif.pem(make_certificate(p256)))),
		"p384-key-under-es256": (1, section([cbor2.dumps({1: -7}), {}, info, good[3][:64]])),
		# not a signature section
		"empty": (4, b""),
		"no-cbor": (4, b"\xff"),
		"no-signatures": (4, cbor2.dumps([])),
		"two-signatures": (4, cbor2.dumps([raw(), raw()])),
		"a-map-alone": (4, cbor2.dumps(raw())),
		"bytes-behind": (4, section() + b"\0"),
		"cut": (4, section()[:-1]),
		"keys-swapped": (4, cbor2.dumps([dict(reversed(raw().items()))])),
		"a-third-key": (4, cbor2.dumps([raw(more=1)])),
		"a-key-less": (4, cbor2.dumps([{"signing_certificate": list(text)}])),
		"key-of-another-name": (4, section().replace(b"signing_certificate", b"signing_certificatf")),
		"certificate-as-bytes": (4, cbor2.dumps([raw(signing_certificate=text)])),
		"certificate-as-text": (4, cbor2.dumps([raw(signing_certificate=text.decode())])),
		"certificate-of-256": (4, cbor2.dumps([raw(signing_certificate=[256])])),
		"certificate-beyond-a-byte": (4, cbor2.dumps([raw(signing_certificate=[text[0] + 256, *text[1:]])])),
		"certificate-of-negatives": (4, cbor2.dumps([raw(signing_certificate=[-1])])),
		"certificate-empty": (4, section(certificate_text=b"")),
		"certificate-too-long": (4, section(certificate_text=b"\n" * 16385)),
		"certificate-no-pem": (4, section(certificate_text=b"MIIB")),
		"certificate-no-der": (4, section(certificate_text=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
		**{name: (4, section(certificate_text=ambiguous))
			for name, ambiguous in _ambiguous(text, eif.pem(make_certificate(other))).items()},
		"certificate-with-a-tail": (4, section(certificate_text=_pem_of(eif.der(certificate) + b"\0"))),
		"certificate-cut": (4, section(certificate_text=_pem_of(eif.der(certificate)[:-1]))),
		"a-key-instead": (4, section(certificate_text=key.private_bytes(serialization.Encoding.PEM,
			serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))),
		"cose-too-long": (4, eif.signature_section(text, cbor2.dumps(changed(2, bytes(1024))))),
		"cose-of-three": (4, section(good[:3])),
		"cose-of-five": (4, section(good + [0])),
		"cose-of-another-tag": (4, section(cbor2.CBORTag(17, good))),
		"cose-with-a-tail": (4, eif.signature_section(text, cbor2.dumps(good) + b"\0")),
		"unprotected-header": (4, section(changed(1, {4: b"id"}))),
		"protected-header-empty": (4, section(changed(0, b""))),
		"protected-header-of-two": (4, section(eif.cose_sign1(key, info, cbor2.dumps({1: -35, 4: b"id"})))),
		"protected-header-eddsa": (4, section(eif.cose_sign1(key, info, cbor2.dumps({1: -8})))),
		"protected-header-es384-not-shortest": (4, section(eif.cose_sign1(key, info, bytes.fromhex("a101390022")))),
		"protected-header-of-key-2": (4, section(eif.cose_sign1(key, info, cbor2.dumps({2: -35})))),
		"signature-too-short": (4, section(changed(3, good[3][:95]))),
		"signature-too-long": (4, section(changed(3, good[3] + b"\0"))),
		"signature-of-es256": (4, section(changed(3, good[3][:64]))),
		"payload-nil": (4, section(changed(2, None))),
	}


def _pem_of(der):
	text = base64.b64encode(der)
	lines = [text[at:at + 64] + b"\n" for at in range(0, len(text), 64)]
	return b"-----BEGIN CERTIFICATE-----\n" + b"".join(lines) + b"-----END CERTIFICATE-----\n"


def _lines_of_76(text):
	head, *lines, tail = text.splitlines(keepends=True)
	return head + base64.encodebytes(base64.b64decode(b"".join(lines))) + tail


@pytest.mark.parametrize("write", [
	lambda text: text.rstrip(),
	lambda text: text.replace(b"\n", b"\r\n"),
	lambda text: b"Certificate:\n    Data:\n" + text,
	_lines_of_76,
], ids=["no-last-newline", "carriage-returns", "text-before", "lines-of-76"])
def test_a_certificate_that_every_reader_of_pem_finds_is_taken(image, signer, write):
	key, certificate = signer
	value = bytes.fromhex(eif.measure(SECTIONS)["PCR0"])
	section = eif.signature_section(write(eif.pem(certificate)),
		cbor2.dumps(eif.cose_sign1(key, eif.pcr_info(value))))
	assert measure(image(Image(SECTIONS + [(SIGNATURE, section)]))) == \
		eif.measure(SECTIONS, eif.der(certificate))


def _ambiguous(good, other):
	"""Texts in which some reader of PEM finds the good certificate, and perhaps another finds the other."""
	def labelled(text, label):
		return text.replace(b" CERTIFICATE-----", b" " + label + b"-----")

	head, *lines, tail = good.splitlines(keepends=True)
	return {
		"no-start-of-a-line": b"signed by us " + good,
		"zero-before": b"\0\n" + good,
		"padding-within": head + lines[0][:4] + b"=" + lines[0][4:] + b"".join(lines[1:]) + tail,
		"no-end": head + b"".join(lines),
		"old-label-before": labelled(other, b"X509 CERTIFICATE") + good,
		"old-label": labelled(good, b"X509 CERTIFICATE"),
		"trusted-label-before": labelled(other, b"TRUSTED CERTIFICATE") + good,
		"longer-label-before": labelled(other, b"CERTIFICATEX") + good,
		"longer-label": labelled(good, b"CERTIFICATEX"),
		"request-before": labelled(other, b"CERTIFICATE REQUEST") + good,
		"another-end": head + b"".join(lines) + b"-----END OTHER-----\n" + other,
		"header-lines": head + b"Proc-Type: 4,CLEAR\n\n" + b"".join(lines) + tail,
		"empty-line": head + lines[0] + b"\n" + b"".join(lines[1:]) + tail,
		"blank-in-a-line": head + b" " + b"".join(lines) + tail,
		"one-line": head + b"".join(line.strip() for line in lines) + b"\n" + tail,
		"words-behind-the-end": good[:-1] + b" of it\n",
	}


def test_signatures_that_are_none_are_refused(image, signer):
	cases = _signatures(*signer)
	assert len(cases) >= 45
	for name, (status, section) in cases.items():
		result = attest("measure", image(Image(SECTIONS + [(SIGNATURE, section)])))
		assert (result.status, result.stdout) == (status, ""), (name, result.status, result.stderr)


def test_a_signature_does_not_pass_to_another_image(image, signer):
	signed = eif.sign(SECTIONS, *signer)
	changed = [*SECTIONS[:4], (RAMDISK, b"other application"), signed[-1]]
	assert "PCR0" in refused(image(Image(changed)), 1)


# --- building

@pytest.fixture
def parts(directory):
	"""Files of what SECTIONS holds, and the options that name them."""
	names = ["kernel", "cmdline", "metadata", "ramdisk0", "ramdisk1"]
	for name, (_, data) in zip(names, SECTIONS):
		(directory / name).write_bytes(data)
	return ["--kernel", directory / "kernel", "--cmdline", SECTIONS[1][1].decode(),
		"--ramdisk", directory / "ramdisk0", "--ramdisk", directory / "ramdisk1"]


def build(*words, env=None):
	return attest("eif", "build", *words, env=env)


def sections_of(data):
	"""(type, data) of each section, by the table."""
	offsets, sizes = struct.unpack_from(">32Q", data, OFFSETS), struct.unpack_from(">32Q", data, SIZES)
	count, = struct.unpack_from(">H", data, 26)
	return [(struct.unpack_from(">H", data, offset)[0], data[offset + HEAD:offset + HEAD + size])
		for offset, size in zip(offsets[:count], sizes)]


def test_build_makes_what_was_asked_for(directory, parts):
	path = directory / "built.eif"
	result = build(*parts, "--name", 'my "image"', "--version", "1.2\\3", "-o", path)
	assert (result.status, result.stdout, result.stderr) == (0, "", "")
	built = sections_of(path.read_bytes())
	metadata = json.loads(built[2][1])
	assert metadata["ImageName"] == 'my "image"' and metadata["ImageVersion"] == "1.2\\3"
	assert metadata["BuildMetadata"]["BuildTime"] == "1970-01-01T00:00:00Z"
	assert set(metadata) == {"ImageName", "ImageVersion", "BuildMetadata", "DockerInfo", "CustomMetadata"}
	assert set(metadata["BuildMetadata"]) == {"BuildTime", "BuildTool", "BuildToolVersion", "OperatingSystem",
		"KernelVersion"}
	# Byte for byte what the other maker of images makes of the same.
	assert path.read_bytes() == bytes(Image([SECTIONS[0], SECTIONS[1], built[2], *SECTIONS[3:]]))
	assert measure(path) == eif.measure(SECTIONS)


def test_ramdisks_keep_their_order(directory, parts):
	path = directory / "built.eif"
	assert build(*parts[:4], *parts[6:8], *parts[4:6], "-o", path).status == 0
	assert measure(path) == eif.measure([*SECTIONS[:3], SECTIONS[4], SECTIONS[3]])


def test_the_same_input_gives_the_same_file(directory, parts, signer):
	key, certificate = directory / "key.pem", directory / "certificate.pem"
	key.write_bytes(signer[0].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
		serialization.NoEncryption()))
	certificate.write_bytes(eif.pem(signer[1]))
	files = []
	for number in range(2):
		path = directory / f"built-{number}.eif"
		result = build(*parts, "--sign-key", key, "--sign-certificate", certificate, "-o", path)
		assert result.status == 0, result.stderr
		files.append(path.read_bytes())
		time.sleep(0.01)
	assert files[0] == files[1]
	assert measure(path) == eif.measure(SECTIONS, eif.der(signer[1]))
	assert sections_of(files[0])[-1][0] == SIGNATURE


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda c: c.name)
def test_a_made_signature_is_right_for_others_too(directory, parts, curve):
	"""Checked by python3-cryptography, over repeated keys: r and s may begin with zero bytes."""
	for number in range(12):
		key = ec.generate_private_key(curve)
		(directory / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM,
			serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
		(directory / "certificate.pem").write_bytes(eif.pem(make_certificate(key)))
		path = directory / "built.eif"
		result = build(*parts, "--sign-key", directory / "key.pem", "--sign-certificate",
			directory / "certificate.pem", "-o", path)
		assert result.status == 0, result.stderr
		entry, = cbor2.loads(sections_of(path.read_bytes())[-1][1])
		assert bytes(entry["signing_certificate"]) == (directory / "certificate.pem").read_bytes()
		cose = cbor2.loads(bytes(entry["signature"]))
		assert cose[2] == eif.pcr_info(bytes.fromhex(eif.measure(SECTIONS)["PCR0"]))
		eif.check_cose_sign1(key.public_key(), cose)


def test_arch_cmdline_file_and_build_time(directory, parts):
	path = directory / "built.eif"
	(directory / "cmdline").write_bytes(SECTIONS[1][1] + b"\n")
	result = build(*parts[:2], *parts[4:], "--cmdline-file", directory / "cmdline", "--arch", "aarch64",
		"-o", path, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
	assert result.status == 0, result.stderr
	data = path.read_bytes()
	assert struct.unpack_from(">H", data, 6) == (1,)
	assert sections_of(data)[1] == SECTIONS[1]
	assert json.loads(sections_of(data)[2][1])["BuildMetadata"]["BuildTime"] == "2023-11-14T22:13:20Z"
	assert measure(path) == eif.measure(SECTIONS)


def test_an_existing_image_is_replaced_whole_or_not_at_all(directory, parts):
	path = directory / "built.eif"
	path.write_text("as it was")
	assert build(*parts, "--ramdisk", directory / "nowhere", "-o", path).status == 3
	assert path.read_text() == "as it was"
	assert build(*parts, "-o", path).status == 0
	assert measure(path) == eif.measure(SECTIONS)
	assert [entry.name for entry in directory.glob("built*")] == ["built.eif"]


def test_build_says_what_is_wrong(directory, parts, signer):
	key, certificate = directory / "key.pem", directory / "certificate.pem"
	other = ec.generate_private_key(ec.SECP384R1())

	def private(secret, encryption=serialization.NoEncryption()):
		return secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

	certificate.write_bytes(eif.pem(signer[1]))
	out = ["-o", directory / "built.eif"]
	signing = ["--sign-key", key, "--sign-certificate", certificate]
	(directory / "nul").write_bytes(b"a\0b")
	cases = [
		([*parts[2:], *out], 2, "usage"),
		([*parts], 2, "usage"),
		([*parts, "--cmdline-file", certificate, *out], 2, "usage"),
		([*parts[:2], *parts[4:], *out], 2, "usage"),
		([*parts, "--arch", "mips", *out], 2, "usage"),
		([*parts, "more", *out], 2, "usage"),
		([*parts, *signing[:2], *out], 2, "usage"),
		([*parts, *signing[2:], *out], 2, "usage"),
		([*parts, *["--ramdisk", directory / "kernel"] * 28, *out], 2, "more than 32 sections"),
		([*parts, "--name", "naïve", *out], 2, "--name"),
		([*parts, "--name", "line\nbreak", *out], 2, "--name"),
		([*parts[:2], "--cmdline-file", directory / "nul", *out], 2, "NUL"),
		(["--kernel", directory, *parts[2:], *out], 3, "regular file"),
		(["--kernel", "/nonexistent", *parts[2:], *out], 3, "/nonexistent"),
		([*parts, "-o", "/nonexistent/built.eif"], 3, "/nonexistent"),
	]
	for words, status, word in cases:
		result = build(*words)
		assert (result.status, result.stdout) == (status, ""), (words, result)
		assert word in result.stderr, (words, result.stderr)
	for content, word in [
		(private(other), "signature"),
		(private(rsa.generate_private_key(65537, 2048)), "P-256"),
		(private(ec.generate_private_key(ec.SECP256K1())), "signing key"),
		(private(signer[0], serialization.BestAvailableEncryption(b"secret")), "unencrypted"),
		(b"nothing", "signing key"),
	]:
		key.write_bytes(content)
		result = build(*parts, *signing, *out)
		assert (result.status, result.stdout) == (2, ""), result
		assert word in result.stderr, result.stderr
	key.write_bytes(private(signer[0]))
	large = directory / "large"
	large.write_bytes(bytes(65537))
	for name, word in (("nowhere", "No such file"), ("large", "more than 65536 bytes")):
		for words in (["--sign-key", directory / name, *signing[2:]], [*signing[:3], directory / name]):
			result = build(*parts, *words, *out)
			assert (result.status, result.stdout) == (2, "") and word in result.stderr, result
			assert f"{directory}/{name}" in result.stderr
	certificate.write_bytes(b"of the signer " + eif.pem(signer[1]))
	result = build(*parts, *signing, *out)
	assert result.status == 2 and "not plainly one certificate" in result.stderr, result
	assert not (directory / "built.eif").exists()
	result = build(*parts, *out, env={**os.environ, "SOURCE_DATE_EPOCH": "yesterday"})
	assert result.status == 2 and "SOURCE_DATE_EPOCH" in result.stderr


def test_every_sections_count_that_fits_can_be_built(directory, parts):
	path = directory / "built.eif"
	assert build(*parts[:4], *["--ramdisk", directory / "ramdisk0"] * 29, "-o", path).status == 0
	assert len(sections_of(path.read_bytes())) == 32
	assert measure(path) == eif.measure([*SECTIONS[:2], *[SECTIONS[3]] * 29])
