# SPDX-License-Identifier: MIT
"""Attestation documents and their certificates, of the genuine shape, in which any one thing can be
wrong. Independent of attest/: the DER is written here, CBOR is python3-cbor2's, keys and signatures are
python3-cryptography's.

    made = attest_maker.make(leaf={"lifetime": (-7200, -3600)}, payload={"digest": "SHA256"})
    made.document   made.root   made.certificates   made.keys
"""
import dataclasses
import datetime
import functools
import hashlib
import time

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

HOUR, DAY = 3600, 86400
LEVELS = ("root", "regional", "zonal", "instance", "leaf")
MODULE_ID = "i-0123456789abcdef0-enc0123456789abcdef"
P384_ORDER = 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973
ECDSA_SHA384 = bytes.fromhex("300a06082a8648ce3d040303")
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


# --- DER

def der(tag, *contents):
	content = b"".join(contents)
	size = len(content)
	if size < 0x80:
		return bytes([tag, size]) + content
	length = size.to_bytes((size.bit_length() + 7) // 8, "big")
	return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*contents):
	return der(0x30, *contents)


def integer(value):
	return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def bits(data, unused=0):
	return der(3, bytes([unused]), data)


def oid(text):
	arcs = [int(arc) for arc in text.split(".")]
	out = bytes([arcs[0] * 40 + arcs[1]])
	for arc in arcs[2:]:
		groups = [arc & 0x7f]
		while arc := arc >> 7:
			groups.insert(0, 0x80 | arc & 0x7f)
		out += bytes(groups)
	return der(6, out)


def moment(seconds):
	"""UTCTime until 2049, GeneralizedTime afterwards (RFC 5280 4.1.2.5)."""
	at = time.gmtime(seconds)
	if at.tm_year < 2050:
		return der(0x17, time.strftime("%y%m%d%H%M%SZ", at).encode())
	return der(0x18, time.strftime("%Y%m%d%H%M%SZ", at).encode())


def name(**parts):
	"""name(C="US", CN="...") in that order."""
	oids = {"CN": "2.5.4.3", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10", "OU": "2.5.4.11"}
	return sequence(*(der(0x31, sequence(oid(oids[key.rstrip("_")]), der(0x13 if key == "C" else 0x0c,
		value if isinstance(value, bytes) else value.encode()))) for key, value in parts.items()))


# --- extensions: (OID, is critical, value)

def basic_constraints(is_ca, path_length=None, critical=True):
	content = b""
	if is_ca:
		content = der(1, b"\xff") + (b"" if path_length is None else integer(path_length))
	return ("2.5.29.19", critical, sequence(content))


def key_usage(*names, critical=True):
	order = ("digital_signature", "non_repudiation", "key_encipherment", "data_encipherment", "key_agreement",
		"key_cert_sign", "crl_sign", "encipher_only")
	value = sum(0x80 >> order.index(one) for one in names)
	unused = (value & -value).bit_length() - 1 if value else 0
	return ("2.5.29.15", critical, bits(bytes([value]) if value else b"", unused))


def subject_key_id(key):
	return ("2.5.29.14", False, der(4, key_id(key)))


def authority_key_id(key):
	return ("2.5.29.35", False, sequence(der(0x80, key_id(key))))


def crl_distribution_point(url="http://crl.example/root.crl"):
	return ("2.5.29.31", False, sequence(sequence(der(0xa0, der(0xa0, der(0x86, url.encode()))))))


def extension(number, critical, value):
	flag = {True: der(1, b"\xff"), False: b""}.get(critical, critical)
	return sequence(oid(number), flag, der(4, value))


# --- keys

@functools.lru_cache(None)
def key(label, kind="P-384"):
	"""The same key for the same label, all through a run."""
	if kind == "RSA":
		return rsa.generate_private_key(65537, 2048)
	return ec.generate_private_key({"P-384": ec.SECP384R1, "P-256": ec.SECP256R1, "P-521": ec.SECP521R1}[kind]())


def public_key(one):
	return one.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def compressed_public_key(one):
	point = one.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
	return sequence(sequence(oid("1.2.840.10045.2.1"), oid("1.3.132.0.34")), bits(point))


def key_id(one):
	return hashlib.sha1(public_key(one)[-97:]).digest()


def sign(one, data, digest=hashes.SHA384):
	if isinstance(one, rsa.RSAPrivateKey):
		from cryptography.hazmat.primitives.asymmetric import padding
		return one.sign(data, padding.PKCS1v15(), digest())
	return one.sign(data, ec.ECDSA(digest()))


# --- certificates

def default_names(region="eu-central-1"):
	return {
		"root": name(C="US", O="Example", OU="Test", CN="test.enclaves"),
		"regional": name(C="US", O="Example", OU="Test", CN=f"dfedcae0f253d412.{region}.test.enclaves"),
		"zonal": name(CN=f"1088f2543879ad81.zonal.{region}.test.enclaves", OU="Test", O="Example", C="US",
			ST="WA", L="Seattle"),
		"instance": name(C="US", ST="Washington", L="Seattle", O="Example", OU="Test",
			CN=f"i-0123456789abcdef0.{region}.test.enclaves"),
		"leaf": name(C="US", ST="Washington", L="Seattle", O="Example", OU="Test", CN=f"{MODULE_ID}.{region}.aws"),
	}


LIFETIMES = {"root": (-400 * DAY, 10000 * DAY), "regional": (-2 * DAY, 18 * DAY), "zonal": (-1 * DAY, 5 * DAY),
	"instance": (-HOUR, 23 * HOUR), "leaf": (-3, 3 * HOUR)}


def default_extensions(level, own, issuer):
	authority = key_usage("digital_signature", "key_cert_sign", "crl_sign")
	if level == "root":
		return [basic_constraints(True), subject_key_id(own), authority]
	if level in ("regional", "zonal"):
		return [basic_constraints(True, 2 if level == "regional" else 1), authority_key_id(issuer),
			subject_key_id(own), authority, crl_distribution_point()]
	if level == "instance":
		return [basic_constraints(True, 0), key_usage("key_cert_sign"), subject_key_id(own), authority_key_id(issuer)]
	return [basic_constraints(False), key_usage("digital_signature", "non_repudiation", critical=False)]


def certificate(level, now, **change):
	"""One certificate's DER. Everything has a default of the genuine shape; what change may name is
	what change.get and change[...] name here."""
	names = default_names()
	above = LEVELS[max(LEVELS.index(level) - 1, 0)] if level in LEVELS else None
	own = change.get("key") or key(level)
	issuer = change.get("issuer_key") or key(above)
	before, after = change.get("lifetime", LIFETIMES[level])
	extensions = change.get("extensions", default_extensions(level, own, issuer))
	for changed in change.get("replace", []):  # by OID
		extensions = [changed if one[0] == changed[0] else one for one in extensions]
	extensions = [one for one in extensions if one[0] not in change.get("drop", [])] + change.get("add", [])
	algorithm = change.get("algorithm", ECDSA_SHA384)
	encoded = b"".join(extension(*one) for one in extensions)
	signed = sequence(
		der(0xa0, integer(2)) if "version" not in change else change["version"],
		integer(change.get("serial", 0x1000 + LEVELS.index(level))),
		algorithm,
		change.get("issuer", names[above]),
		change.get("validity", sequence(moment(now + before), moment(now + after))),
		change.get("subject", names[level]),
		change.get("public_key", public_key(own)),
		change.get("unique_id", b""),
		der(0xa3, sequence(encoded)) if encoded else b"")
	signature = sign(issuer, signed, change.get("digest", hashes.SHA384))
	if "signature" in change:
		signature = change["signature"](signature)
	return sequence(signed, change.get("outer_algorithm", algorithm), bits(signature)) + change.get("trailing", b"")


# --- documents

@dataclasses.dataclass
class Made:
	document: bytes
	certificates: dict  # level -> DER
	keys: dict          # level -> private key
	now: int
	payload: dict

	@property
	def root(self):
		return self.certificates["root"]


def default_pcrs():
	return {index: hashlib.sha384(b"pcr%d" % index).digest() if index in (0, 1, 2, 3, 4, 8) else bytes(48)
		for index in range(16)}


def split(signature):
	r, s = utils.decode_dss_signature(signature)
	return r, s


def join(r, s, size=48):
	return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def as_is(value):
	return value


def encode_map(items, indefinite=True):
	content = b"".join(cbor2.dumps(key) + (value.raw if isinstance(value, Raw) else cbor2.dumps(value))
		for key, value in items)
	return b"\xbf" + content + b"\xff" if indefinite else bytes([0xa0 + len(items)]) + content


@dataclasses.dataclass
class Raw:
	"""Bytes that stand in the payload as they are."""
	raw: bytes


def cose(payload, one, *, protected=b"\xa1\x01\x38\x22", unprotected=b"\xa0", digest=hashes.SHA384,
		pair=as_is, signature=as_is, context="Signature1", tag=b"", end=b""):
	signed = cbor2.dumps([context, protected, b"", payload])
	r, s = pair(split(sign(one, signed, digest)))
	return (tag + b"\x84" + cbor2.dumps(protected) + unprotected + cbor2.dumps(payload)
		+ cbor2.dumps(signature(join(r, s))) + end)


def make(*, now=None, bundle=None, document_key=None, payload=None, drop=(), indefinite=True, pcrs=None,
		envelope=None, payload_bytes=as_is, document=as_is, **levels):
	"""A document. payload replaces or adds fields, pcrs PCRs (None removes one), drop removes fields;
	envelope goes to cose(); bundle maps {level: DER} to the list in the document; levels are changes to
	the certificates. A changed key signs what is below it."""
	now = int(time.time()) if now is None else now
	keys = {level: levels.get(level, {}).get("key") or key(level) for level in LEVELS}
	certificates = {}
	for index, level in enumerate(LEVELS):
		change = dict(levels.get(level, {}))
		above = LEVELS[max(index - 1, 0)]
		change.setdefault("issuer_key", keys[above])
		if "subject" in levels.get(above, {}):
			change.setdefault("issuer", levels[above]["subject"])
		change["key"] = keys[level]
		certificates[level] = certificate(level, now, **change)
	registers = default_pcrs() | (pcrs or {})
	fields = {
		"module_id": MODULE_ID, "digest": "SHA384", "timestamp": now * 1000,
		"pcrs": {index: value for index, value in registers.items() if value is not None},
		"certificate": certificates["leaf"],
		"cabundle": bundle(certificates) if bundle else [certificates[level] for level in LEVELS[:-1]],
		"public_key": None, "user_data": b"user data", "nonce": bytes(range(32)),
	} | (payload or {})
	fields = {field: value for field, value in fields.items() if field not in drop}
	encoded = payload_bytes(encode_map(list(fields.items()), indefinite))
	whole = document(cose(encoded, document_key or keys["leaf"], **(envelope or {})))
	return Made(whole, certificates, keys, now, fields)


# --- CRLs

def crl(made, level, revoked=(), *, lifetime=(-HOUR, DAY), one=None, digest=hashes.SHA384, extensions=(), entry_extensions=(),
		pem=False):
	"""Of the CA at this level; revoked are levels or serial numbers. DER unless pem."""
	issuer = x509.load_der_x509_certificate(made.certificates[level])
	at = lambda offset: datetime.datetime.utcfromtimestamp(made.now + offset)
	builder = (x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
		.last_update(at(lifetime[0])).next_update(at(lifetime[1])))
	for value, critical in extensions:
		builder = builder.add_extension(value, critical)
	for serial in revoked:
		if isinstance(serial, str):
			serial = x509.load_der_x509_certificate(made.certificates[serial]).serial_number
		entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at(-HOUR))
		for value, critical in entry_extensions:
			entry = entry.add_extension(value, critical)
		builder = builder.add_revoked_certificate(entry.build())
	signed = builder.sign(one or made.keys[level], digest())
	return signed.public_bytes(serialization.Encoding.PEM if pem else serialization.Encoding.DER)
