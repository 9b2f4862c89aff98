# SPDX-License-Identifier: MIT
"""Enclave images made by hand, well formed or not, with none of Airlock's code.

An Image is a description; bytes() of it is the file. What a test wants wrong it says in `header`,
`offsets`, `sizes` or by changing the bytes, and the CRC is right unless said otherwise."""
import dataclasses
import hashlib
import struct
import zlib

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = 1, 2, 3, 4, 5
HEADER, HEAD = 548, 12
CRC_AT = 544


def crc(data):
	return zlib.crc32(data[HEADER:], zlib.crc32(data[:CRC_AT]))


def with_crc(data):
	"""The same bytes with the CRC that belongs to them."""
	return data[:CRC_AT] + struct.pack(">I", crc(data)) + data[HEADER:]


def patched(data, at, replacement):
	return data[:at] + replacement + data[at + len(replacement):]


@dataclasses.dataclass
class Image:
	sections: list  # of (type, data)
	magic: bytes = b".eif"
	version: int = 4
	flags: int = 0
	memory: int = 1 << 30
	cpus: int = 2
	reserved: int = 0
	count: int | None = None  # instead of how many there are
	unused: int = 0
	offsets: dict = dataclasses.field(default_factory=dict)  # index: instead of the right one
	sizes: dict = dataclasses.field(default_factory=dict)
	section_flags: dict = dataclasses.field(default_factory=dict)
	tail: bytes = b""

	def __bytes__(self):
		offsets, sizes, body = [0] * 32, [0] * 32, b""
		for index, (kind, data) in enumerate(self.sections):
			if index < 32:
				offsets[index], sizes[index] = HEADER + len(body), len(data)
			body += struct.pack(">HHQ", kind, self.section_flags.get(index, 0), len(data)) + data
		for table, changes in ((offsets, self.offsets), (sizes, self.sizes)):
			for index, value in changes.items():
				table[index] = value
		count = len(self.sections) if self.count is None else self.count
		header = self.magic + struct.pack(">HHQQHH32Q32QII", self.version, self.flags, self.memory,
			self.cpus, self.reserved, count, *offsets, *sizes, self.unused, 0)
		return with_crc(header + body + self.tail)


def extend(data):
	return hashlib.sha384(bytes(48) + hashlib.sha384(data).digest()).digest()


def measure(sections, certificate=None):
	"""{"PCR0": hex, ...} of (type, data) pairs, and of a DER certificate."""
	measured = [(kind, data) for kind, data in sections if kind in (KERNEL, CMDLINE, RAMDISK)]
	ramdisks = [pair for pair in measured if pair[0] == RAMDISK]
	first = [pair for pair in measured if pair[0] != RAMDISK or pair is ramdisks[0]]
	registers = {
		"PCR0": b"".join(data for _, data in measured),
		"PCR1": b"".join(data for _, data in first),
		"PCR2": b"".join(data for _, data in ramdisks[1:]),
	}
	if certificate is not None:
		registers["PCR8"] = certificate
	return {name: extend(data).hex() for name, data in registers.items()}


# --- signatures

ALGORITHMS = {
	"secp256r1": (-7, hashes.SHA256(), 32),
	"secp384r1": (-35, hashes.SHA384(), 48),
	"secp521r1": (-36, hashes.SHA512(), 66),
}


def pem(certificate):
	return certificate.public_bytes(serialization.Encoding.PEM)


def der(certificate):
	return certificate.public_bytes(serialization.Encoding.DER)


def pcr_info(value, index=0):
	return cbor2.dumps({"register_index": index, "register_value": list(value)})


def cose_sign1(key, payload, protected=None):
	algorithm, digest, size = ALGORITHMS[key.curve.name]
	protected = cbor2.dumps({1: algorithm}) if protected is None else protected
	message = cbor2.dumps(["Signature1", protected, b"", payload])
	r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
	return [protected, {}, payload, r.to_bytes(size, "big") + s.to_bytes(size, "big")]


def check_cose_sign1(public_key, cose):
	"""Raises when the signature is not the key's."""
	algorithm, digest, size = ALGORITHMS[public_key.curve.name]
	protected, unprotected, payload, value = cose
	assert cbor2.loads(protected) == {1: algorithm} and unprotected == {} and len(value) == 2 * size
	r, s = int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big")
	message = cbor2.dumps(["Signature1", protected, b"", payload])
	public_key.verify(encode_dss_signature(r, s), message, ec.ECDSA(digest))


def signature_section(certificate_text, cose):
	return cbor2.dumps([{"signing_certificate": list(certificate_text), "signature": list(cose)}])


def sign(sections, key, certificate):
	"""The sections with a signature section behind them, as nitro-cli makes it."""
	value = bytes.fromhex(measure(sections)["PCR0"])
	cose = cbor2.dumps(cose_sign1(key, pcr_info(value)))
	return sections + [(SIGNATURE, signature_section(pem(certificate), cose))]
