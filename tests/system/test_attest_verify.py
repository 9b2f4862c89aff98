# SPDX-License-Identifier: MIT
"""What `airlock-attest verify` accepts and refuses: one document or chain each, in which one thing is
unusual or wrong, and the number of the check (attest/README.md) that must say so."""
import dataclasses
import functools
import hashlib
import os
import time

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from support import attest_maker as maker, attest_verifier
from support.attest_maker import DAY, HOUR, LEVELS, Raw, der, integer, key, name, oid, sequence

ACCEPTED = None
MALFORMED = range(1, 10)  # the checks that answer with 4
PCRS = maker.default_pcrs()


@dataclasses.dataclass
class Case:
	name: str
	check: int | None          # that refuses; None: accepted
	change: dict = dataclasses.field(default_factory=dict)  # of attest_maker.make
	options: tuple = ("--any-image",)
	policy: str = None
	crls: tuple = ()           # functions of what was made
	field: str = None          # that the refusal names
	named: object = lambda made: made.root  # with --root; None: not given
	status: int = None
	reason: str = ""
	ahead: int = None          # seconds from now to the timestamp

	def __str__(self):
		return self.name


def case(title, check, /, **change):
	"""A document; the words that Case knows are not the maker's."""
	own = {one: change.pop(one) for one in ("options", "policy", "crls", "field", "named", "status", "reason", "ahead")
		if one in change}
	return Case(title, check, change, **own)


def bundle(*levels):
	return lambda certificates: [certificates[level] for level in levels]


def foreign_root(level="root", **change):
	"""A root of the same name and another key."""
	now = int(time.time())
	return maker.certificate("root", now, key=key("foreign"), issuer_key=key("foreign"), **change)


def extra_authority(now=None):
	return maker.certificate("regional", now or int(time.time()), key=key("extra"), issuer_key=key("root"))


def usage(*names, critical=True):
	return {"replace": [maker.key_usage(*names, critical=critical)]}


def constraints(*value, **words):
	return {"replace": [maker.basic_constraints(*value, **words)]}


def raw_constraints(value, critical=True):
	return {"replace": [("2.5.29.19", critical, value)]}


def raw_usage(value):
	return {"replace": [("2.5.29.15", True, value)]}


def swapped(signature):
	r, s = signature
	return s, r


def high_s(signature):
	return signature[0], max(signature[1], maker.P384_ORDER - signature[1])


def low_s(signature):
	return signature[0], min(signature[1], maker.P384_ORDER - signature[1])


def long_integers(signature):
	"""r with a zero byte before it that strict DER does not have."""
	r, s = maker.split(signature)
	return sequence(der(2, b"\0" + r.to_bytes(48 + (r >> 383), "big")), integer(s))


def validity(before, after):
	return {"validity": sequence(before, after)}


NOW = int(time.time())
AHEAD, BEHIND = maker.moment(NOW + DAY), maker.moment(NOW - DAY)

GENUINE = [
	case("the genuine shape", ACCEPTED),
	case("a definite payload map", ACCEPTED, indefinite=False),
	case("the COSE tag", ACCEPTED, envelope={"tag": b"\xd2"}),
	case("absent optional fields", ACCEPTED, drop=("public_key", "user_data", "nonce")),
	case("empty optional fields", ACCEPTED, payload={"public_key": b"", "user_data": b"", "nonce": b""}),
	case("fields of 1024 bytes", ACCEPTED, payload={"public_key": b"k" * 1024, "user_data": b"d" * 1024,
		"nonce": b"n" * 1024}),
	case("32 PCRs", ACCEPTED, pcrs={index: b"p" * 48 for index in range(16, 32)}),
	case("PCR0 to PCR2 alone", ACCEPTED, pcrs={index: None for index in range(3, 16)}),
	case("high s", ACCEPTED, envelope={"pair": high_s}),
	case("low s", ACCEPTED, envelope={"pair": low_s}),
	case("a leaf without basicConstraints", ACCEPTED, leaf={"drop": ["2.5.29.19"]}),
	case("a leaf directly under the root", ACCEPTED, bundle=bundle("root"),
		leaf={"issuer_key": key("root"), "issuer": maker.default_names()["root"]}),
	case("an unknown extension that is not critical", ACCEPTED,
		zonal={"add": [("1.3.6.1.4.1.99999.1", False, der(4, b"x"))]}),
	case("one that holds no DER", ACCEPTED, leaf={"add": [("1.3.6.1.4.1.99999.1", False, b"hello")]}),
	case("a root that lives beyond 2049", ACCEPTED, root={"lifetime": (-DAY, 12000 * DAY)}),
	case("eight certificates, no path length", ACCEPTED,
		bundle=lambda certificates: chain_of_eight(certificates["root"]),
		leaf={"issuer_key": key("link7"), "issuer": name(CN="link 7")}),
]


def chain_of_eight(root):
	links, above, issuer = [root], key("root"), maker.default_names()["root"]
	for number in range(1, 8):
		own, subject = key(f"link{number}"), name(CN=f"link {number}")
		links.append(maker.certificate("regional", int(time.time()), key=own, issuer_key=above, issuer=issuer,
			subject=subject, replace=[maker.basic_constraints(True)],
			drop=["2.5.29.35", "2.5.29.31", "2.5.29.14"]))
		above, issuer = own, subject
	return links


FORM = [  # checks 1 to 9 have their own table for each byte; here are those of every check
	case("a byte behind it", 1, envelope={"end": b"\0"}),
	case("another tag", 1, envelope={"tag": b"\xd1"}),
	case("two tags", 1, envelope={"tag": b"\xd2\xd2"}),
	case("an array of five", 1, document=lambda document: b"\x85" + document[1:] + b"\0"),
	case("nothing", 1, document=lambda document: b""),
	case("cut short", 1, document=lambda document: document[:-1]),
	case("more than can be", 1, document=lambda document: document + bytes(17000)),
	case("another algorithm in the header", 2, envelope={"protected": b"\xa1\x01\x26"}),
	case("two protected headers", 2, envelope={"protected": b"\xa2\x01\x38\x22\x04\x41\x31"}),
	case("an unprotected header", 2, envelope={"unprotected": b"\xa1\x04\x41\x31"}),
	case("a signature of 95 bytes", 3, envelope={"signature": lambda signature: signature[:-1]}),
	case("a signature of 97 bytes", 3, envelope={"signature": lambda signature: signature + b"\0"}),
	case("a signature in DER", 3, envelope={"signature": lambda signature: sequence(
		integer(int.from_bytes(signature[:48], "big")), integer(int.from_bytes(signature[48:], "big")))}),
	case("an empty payload", 3, payload_bytes=lambda payload: b""),
	case("a duplicate key", 4, payload_bytes=lambda payload: payload[:-1] + cbor2.dumps("digest")
		+ cbor2.dumps("SHA384") + b"\xff"),
	case("bytes behind the payload's map", 4, payload_bytes=lambda payload: payload + b"\xf6"),
	case("a float", 4, payload={"nonce": 1.5}),
	case("a chunked string", 4, payload={"nonce": Raw(b"\x5f\x41a\x41b\xff")}),
	case("a number that is longer than need be", 4, payload={"timestamp": Raw(b"\x1b" + (NOW).to_bytes(8, "big"))}),
	case("no module_id", 5, drop=("module_id",)),
	case("no certificate", 5, drop=("certificate",)),
	case("no cabundle", 5, drop=("cabundle",)),
	case("a nonce in text", 5, payload={"nonce": "nonce"}),
	case("nitrotpm_pcrs instead of pcrs", 6, status=1, drop=("pcrs",), payload={"nitrotpm_pcrs": PCRS}),
	case("nitrotpm_pcrs beside pcrs", 6, status=1, payload={"nitrotpm_pcrs": PCRS}),
	case("a TPM's module id", 6, status=1, payload={"module_id": "i-0123456789abcdef0-tpm0000000000000000"}),
	case("a module id with a newline", 6, payload={"module_id": "i-0\n"}),
	case("SHA256", 7, payload={"digest": "SHA256"}),
	case("a timestamp in seconds", 7, payload={"timestamp": NOW}),
	case("PCR32", 8, payload={"pcrs": PCRS | {32: bytes(48)}}),
	case("a PCR of 47 bytes", 8, payload={"pcrs": PCRS | {3: bytes(47)}}),
	case("no PCRs", 8, payload={"pcrs": {}}),
	case("an empty cabundle", 9, payload={"cabundle": []}),
	case("nine certificates", 9, bundle=lambda certificates: [certificates["root"]] * 9),
	case("a byte behind a certificate", 9, zonal={"trailing": b"\0"}, field="cabundle[2]"),
	case("no certificate but DER", 9, payload={"certificate": sequence(integer(1))}, field="certificate"),
	case("garbage in the bundle", 9, bundle=lambda certificates: [certificates["root"], sequence(os.urandom(90))]),
]

STRICT_DER = [
	case("an extension twice", 9, zonal={"add": [maker.basic_constraints(True, 1)]}, field="cabundle[2]",
		reason="twice"),
	case("basicConstraints twice, of another kind", 9, leaf={"add": [maker.basic_constraints(True)]},
		reason="twice"),
	case("a key identifier that is no DER", 9, leaf={"add": [("2.5.29.14", False, b"hello")]}),
	case("bytes behind an extension's value", 9, zonal=raw_constraints(
		maker.basic_constraints(True, 1)[2] + b"\0"), field="cabundle[2]"),
	case("CA:FALSE written out", 9, leaf=raw_constraints(sequence(der(1, b"\0")))),
	case("critical:FALSE written out", 9, zonal={"add": [("1.2.3.4", der(1, b"\0"), der(4, b""))]}),
	case("TRUE as 01", 9, zonal=raw_constraints(sequence(der(1, b"\1"), integer(1)))),
	case("critical as 01", 9, zonal={"add": [("1.2.3.4", der(1, b"\1"), der(4, b""))]}),
	case("a long form of a short length", 9, zonal={"subject": b"\x30\x81" + maker.default_names()["zonal"][1:]
		if len(maker.default_names()["zonal"]) < 130 else b"\x30\x82\x00" + maker.default_names()["zonal"][2:]}),
	case("an indefinite length", 9, zonal={"replace": [("2.5.29.35", False, b"\x30\x80\0\0")]}),
	case("a path length in two bytes", 9, zonal=raw_constraints(sequence(der(1, b"\xff"), der(2, b"\0\1")))),
	case("a serial number in a byte too many", 9,
		zonal={"serial": 5, "version": der(0xa0, integer(2)) + b"\x02\x02\x00\x05"}),
	case("spare bits of keyUsage set", 9, leaf=raw_usage(der(3, b"\x06\xff"))),
	case("a time without seconds", 9, zonal=validity(der(0x17, b"2001010000Z"), AHEAD)),
	case("a time with an offset", 9, zonal=validity(BEHIND, der(0x17, b"400101000000+0000"))),
	case("a time with a fraction", 9, zonal=validity(BEHIND, der(0x18, b"20400101000000.5Z"))),
	case("the 13th month", 9, zonal=validity(BEHIND, der(0x17, b"401301000000Z"))),
	case("a unique identifier", 9, zonal={"unique_id": der(0x81, b"\0\1")}),
	case("two algorithms that differ", 9, zonal={"outer_algorithm": maker.ECDSA_SHA256}, field="cabundle[2]"),
	case("an empty list of extensions", 9, leaf={"extensions": [], "unique_id": der(0xa3, sequence())}),
	case("17 extensions", 9, zonal={"add": [(f"1.2.3.{number}", False, der(4, b"")) for number in range(12)]}),
]

ROOT = [
	case("AWS's roots, and ours", 10, named=None),
	case("a self-made root of the same name", 10, bundle=lambda certificates: [foreign_root()]
		+ [certificates[level] for level in LEVELS[1:-1]], field="cabundle[0]"),
	case("a root of the same key, issued anew", 10, bundle=lambda certificates: [maker.certificate("root",
		int(time.time()), serial=77)] + [certificates[level] for level in LEVELS[1:-1]]),
	case("no root in the bundle", 10, bundle=bundle("regional", "zonal", "instance")),
	case("the bundle the other way round", 10, bundle=bundle("instance", "zonal", "regional", "root")),
	case("the root last", 10, bundle=bundle("regional", "zonal", "instance", "root")),
	case("another root named", 10, named=lambda made: foreign_root()),
	case("an intermediate named as the root", 10, named=lambda made: made.certificates["regional"]),
	case("the leaf named as the root", 10, named=lambda made: made.certificates["leaf"]),
]

ORDER = [
	case("the root twice", 11, bundle=bundle("root", "root", "regional", "zonal", "instance")),
	case("regional and zonal swapped", 11, bundle=bundle("root", "zonal", "regional", "instance")),
	case("no regional", 11, bundle=bundle("root", "zonal", "instance"), field="cabundle[1]"),
	case("no instance", 11, bundle=bundle("root", "regional", "zonal"), field="certificate"),
	case("an authority between that nobody needs", 11, bundle=lambda certificates: [certificates["root"],
		extra_authority(), *(certificates[level] for level in LEVELS[1:-1])]),
	case("an authority behind that nobody needs", 11, bundle=lambda certificates: [
		*(certificates[level] for level in LEVELS[:-1]), extra_authority()]),
	case("the leaf in the bundle too", 11, bundle=bundle(*LEVELS)),
	case("a certificate twice", 11, bundle=bundle("root", "regional", "regional", "zonal", "instance")),
	case("a second, self-made chain behind the root", 11, field="cabundle[1]",
		regional={"issuer_key": key("foreign")}),
	case("a zonal by another key of the right name", 11, zonal={"issuer_key": key("foreign")}, field="cabundle[2]"),
	case("a leaf by another key", 11, leaf={"issuer_key": key("foreign")}, field="certificate"),
	case("a leaf by the zonal's key", 11, leaf={"issuer_key": key("zonal")}, field="certificate"),
	case("a leaf signed by itself", 11, leaf={"issuer_key": key("leaf"), "issuer": maker.default_names()["leaf"]}),
	case("an issuer of another name", 11, zonal={"issuer": name(CN="another")}, field="cabundle[2]"),
	case("an issuer of no name", 11, zonal={"issuer": sequence()}, field="cabundle[2]"),
	case("an issuer's name in another string type", 11, leaf={"issuer": maker.default_names()["instance"].replace(
		b"\x0c\x07Example", b"\x13\x07Example")}, field="certificate"),
	case("a changed byte in a certificate", 11, bundle=lambda certificates: [certificates["root"],
		certificates["regional"].replace(b"eu-central-1", b"eu-central-2"), certificates["zonal"],
		certificates["instance"]]),
	*(case(f"{kind} in the {level}", 11, **{level: {"key": key(kind + level, kind)}},
		reason="key") for kind in ("P-256", "P-521", "RSA") for level in ("zonal", "instance")),
	case("a leaf on P-256", 11, leaf={"key": key("P-256leaf", "P-256")}, document_key=key("leaf")),
	case("a named root on P-256", 11, named=lambda made: made.root,
		bundle=lambda certificates: [p256_root(), *(certificates[level] for level in LEVELS[1:-1])]),
	case("a compressed point", 11, zonal={"public_key": maker.compressed_public_key(key("zonal"))}),
	case("a point that is not on the curve", 11, reason="curve",
		zonal={"public_key": maker.public_key(key("zonal"))[:-1] + bytes([maker.public_key(key("zonal"))[-1] ^ 1])}),
	case("NULL parameters", 11, zonal={"algorithm": sequence(oid("1.2.840.10045.4.3.3"), b"\5\0")}),
	*(case(f"{digest.name} in the {level}", 11, field=field,
		**{level: {"digest": digest, "algorithm": sequence(oid(number))}})
		for level, field in (("regional", "cabundle[1]"), ("leaf", "certificate"))
		for digest, number in ((hashes.SHA1, "1.2.840.10045.4.1"), (hashes.SHA256, "1.2.840.10045.4.3.2"),
			(hashes.SHA512, "1.2.840.10045.4.3.4"))),
	case("SHA-256 under the name of SHA-384", 11, zonal={"digest": hashes.SHA256}),
	case("a signature that is not strict DER", 11, zonal={"signature": long_integers}),
	case("bytes behind a certificate's signature", 11, zonal={"signature": lambda signature: signature + b"\0"}),
	case("an r of zero in a certificate", 11, zonal={"signature": lambda signature: sequence(integer(0),
		integer(maker.split(signature)[1]))}),
	case("a negative s in a certificate", 11, zonal={"signature": lambda signature: sequence(
		integer(maker.split(signature)[0]), integer(-1))}),
	case("an s beyond the order in a certificate", 11, zonal={"signature": lambda signature: sequence(
		integer(maker.split(signature)[0]), integer(maker.split(signature)[1] + maker.P384_ORDER))}),
]


@functools.lru_cache(None)
def p256_root():
	return maker.certificate("root", NOW, key=key("P-256root", "P-256"), issuer_key=key("P-256root", "P-256"))


ORDER = [dataclasses.replace(one, named=lambda made: p256_root()) if one.name == "a named root on P-256" else one
	for one in ORDER]

VALIDITY = [
	*(case(f"an expired {level}", 12, field=field, **{level: {"lifetime": (-2 * HOUR, -HOUR)}})
		for level, field in zip(LEVELS, ("cabundle[0]", "cabundle[1]", "cabundle[2]", "cabundle[3]", "certificate"))),
	*(case(f"a {level} of tomorrow", 12, **{level: {"lifetime": (DAY, 2 * DAY)}}) for level in LEVELS),
	case("a leaf that ended a minute ago", 12, leaf={"lifetime": (-HOUR, -60)}),
	case("a validity that ends before it begins", 12, zonal={"lifetime": (HOUR, -HOUR)}),
	case("read a day later", 12, options=("--any-image", "--time", maker.time.strftime(
		"%Y-%m-%dT%H:%M:%SZ", maker.time.gmtime(NOW + DAY)))),
	case("an old one at its own time", ACCEPTED, now=NOW - 30 * DAY, options=("--any-image", "--time", "document")),
	case("an old one now", 12, now=NOW - 30 * DAY),
	case("an old one at a time that is stated", ACCEPTED, now=NOW - 30 * DAY, options=("--any-image", "--time",
		maker.time.strftime("%Y-%m-%dT%H:%M:%SZ", maker.time.gmtime(NOW - 30 * DAY + 60)))),
]

CONSTRAINTS = [
	case("a leaf that is a CA", 13, leaf=constraints(True), field="certificate"),
	case("a leaf that is a CA and may sign certificates", 13, leaf={"replace": [maker.basic_constraints(True),
		maker.key_usage("digital_signature", "key_cert_sign")]}),
	case("a leaf that may sign certificates", 13, leaf=usage("digital_signature", "key_cert_sign")),
	case("a leaf that may sign CRLs", 13, leaf=usage("digital_signature", "crl_sign")),
	case("a leaf without digitalSignature", 13, leaf=usage("non_repudiation"), field="certificate"),
	case("a leaf for key agreement", 13, leaf=usage("key_agreement")),
	case("a leaf without keyUsage", 13, leaf={"drop": ["2.5.29.15"]}),
	case("a leaf with an empty keyUsage", 13, leaf=raw_usage(der(3, b"\0"))),
	case("a leaf with no extension", 13, leaf={"extensions": []}),
	case("a leaf with a path length and no CA", 13, leaf=raw_constraints(sequence(integer(0)))),
	case("the instance signs the document", 13, bundle=bundle("root", "regional", "zonal"),
		payload={"certificate": Raw(b"")}, document_key=key("instance")),
	*(case(f"a {level} that is no CA", 13, field=field, **{level: constraints(False)})
		for level, field in zip(LEVELS, ("cabundle[0]", "cabundle[1]", "cabundle[2]", "cabundle[3]"))),
	case("an instance without basicConstraints", 13, instance={"drop": ["2.5.29.19"]}),
	case("basicConstraints that are not critical", 13, zonal=constraints(True, 1, critical=False)),
	*(case(f"a {level} without keyCertSign", 13, **{level: usage("digital_signature", "crl_sign")})
		for level in LEVELS[:-1]),
	case("a zonal without keyUsage", 13, zonal={"drop": ["2.5.29.15"]}),
	case("keyUsage with trailing zero bits", 13, zonal=raw_usage(der(3, b"\x00\x86"))),
	case("a regional of path length 1", 13, regional=constraints(True, 1), field="cabundle[1]"),
	case("a regional of path length 0", 13, regional=constraints(True, 0), field="cabundle[1]"),
	case("a zonal of path length 0", 13, zonal=constraints(True, 0), field="cabundle[2]"),
	case("a root of path length 2", 13, root=constraints(True, 2), field="cabundle[0]"),
	case("a root of path length 3", ACCEPTED, root=constraints(True, 3)),
	case("path lengths greater than need be", ACCEPTED, regional=constraints(True, 9), zonal=constraints(True, 127),
		instance=constraints(True)),
	case("a negative path length", 13, zonal=raw_constraints(sequence(der(1, b"\xff"), integer(-1)))),
	case("a path length of 128", 13, zonal=raw_constraints(sequence(der(1, b"\xff"), integer(128)))),
	*(case(f"an unknown critical extension in the {level}", 13, **{level: {
		"add": [("1.3.6.1.4.1.99999.1", True, der(4, b"x"))]}}) for level in ("root", *LEVELS[1:])),
	case("an unknown critical extension that holds no DER", 13,
		leaf={"add": [("1.3.6.1.4.1.99999.1", True, b"hello")]}),
	case("critical CRL distribution points", 13, zonal={"replace": [(*maker.crl_distribution_point()[:1], True,
		maker.crl_distribution_point()[2])]}),
	case("name constraints", 13, zonal={"add": [("2.5.29.30", False, sequence(der(0xa0, sequence(
		der(0x82, b"example")))))]}),
	case("critical name constraints", 13, zonal={"add": [("2.5.29.30", True, sequence(der(0xa0, sequence(
		der(0x82, b"example")))))]}),
	case("policy constraints", 13, zonal={"add": [("2.5.29.36", False, sequence(der(0x80, b"\0")))]}),
	case("inhibitAnyPolicy", 13, zonal={"add": [("2.5.29.54", False, integer(0))]}),
	case("a leaf for TLS servers", 13, leaf={"add": [("2.5.29.37", False, sequence(oid("1.3.6.1.5.5.7.3.1")))]}),
	case("version 1", 13, zonal={"version": b"", "extensions": []}),
	case("version 2", 13, zonal={"version": der(0xa0, integer(1)), "extensions": []}),
	case("version 4", (9, 13), zonal={"version": der(0xa0, integer(3))}),
]


def revoking(level, *revoked, **words):
	return lambda made: maker.crl(made, level, revoked, **words)


def broken(make_crl):
	def change(made):
		one = bytearray(make_crl(made))
		one[-1] ^= 1
		return bytes(one)
	return change


def of_two_algorithms(made):
	"""Signed with SHA-384, which the part that is signed denies."""
	tbs = x509.load_der_x509_crl(maker.crl(made, "root")).tbs_certlist_bytes.replace(maker.ECDSA_SHA384,
		maker.ECDSA_SHA256)
	return sequence(tbs, maker.ECDSA_SHA384, der(3, b"\0" + made.keys["root"].sign(tbs, ec.ECDSA(hashes.SHA384()))))


def of_another_chain(made):
	other = maker.make(root={"subject": name(CN="other")})
	return maker.crl(other, "root")


IDP = (x509.IssuingDistributionPoint(full_name=[x509.UniformResourceIdentifier("http://a.example")],
	relative_name=None, only_contains_user_certs=False, only_contains_ca_certs=False, only_some_reasons=None,
	indirect_crl=False, only_contains_attribute_certs=False), True)

CRLS = [
	case("a CRL of the root that revokes nobody", ACCEPTED, crls=(revoking("root"),)),
	case("CRLs of all that may sign them", ACCEPTED, crls=(revoking("root"), revoking("regional"), revoking("zonal"))),
	case("a CRL in PEM", ACCEPTED, crls=(revoking("root", pem=True),)),
	case("a CRL with others' serial numbers", ACCEPTED, crls=(revoking("root", 1, 2, 0x1003),)),
	case("a CRL of the root and one of another chain", ACCEPTED, crls=(revoking("root"), of_another_chain)),
	case("an old CRL at an old document's time", ACCEPTED, now=NOW - 30 * DAY, crls=(revoking("root"),),
		options=("--any-image", "--time", "document")),
	case("a CRL number", ACCEPTED, crls=(revoking("root", extensions=[(x509.CRLNumber(7), False)]),)),
	case("a revoked regional", 14, crls=(revoking("root", "regional"),), field="cabundle[1]"),
	case("a revoked regional among others, in PEM", 14, crls=(revoking("root", 1, "regional", 9, pem=True),)),
	case("a revoked zonal", 14, crls=(revoking("regional", "zonal"),), field="cabundle[2]"),
	case("a revoked instance", 14, crls=(revoking("root"), revoking("regional"), revoking("zonal", "instance"))),
	case("a revoked regional in the second CRL of a PEM file", 14, crls=(lambda made: maker.crl(made, "root",
		pem=True) + maker.crl(made, "root", ["regional"], pem=True),)),
	case("two CRLs of one issuer, the second revokes", 14, crls=(revoking("root"), revoking("root", "regional"))),
	case("a CRL of a CA that may sign none", 14, crls=(revoking("instance"),), reason="cRLSign"),
	case("a CRL with a broken signature", 14, crls=(broken(revoking("root")),), reason="signed"),
	case("a CRL by another key of the right name", 14, crls=(revoking("root", one=key("foreign")),), reason="signed"),
	case("a CRL with SHA-256", 14, crls=(revoking("root", digest=hashes.SHA256),), reason="ecdsa"),
	case("a CRL that is out of date", 14, crls=(revoking("root", lifetime=(-2 * DAY, -DAY)),), reason="out of date"),
	case("a CRL of tomorrow", 14, crls=(revoking("root", lifetime=(DAY, 2 * DAY)),), reason="not yet"),
	case("a CRL with an unknown critical extension", 14, crls=(revoking("root", extensions=[IDP]),),
		reason="critical"),
	case("an entry about another issuer's certificate", 14, crls=(revoking("root", 77, entry_extensions=[
		(x509.CertificateIssuer([x509.DNSName("a.example")]), True)]),), reason="entry"),
	case("entries with reasons", ACCEPTED, crls=(revoking("root", 77, 78, entry_extensions=[
		(x509.CRLReason(x509.ReasonFlags.superseded), False)]),)),
	case("a CRL of two algorithms", 14, crls=(of_two_algorithms,), reason="signed"),
	case("a delta CRL", 14, crls=(revoking("root", extensions=[(x509.DeltaCRLIndicator(1), True)]),)),
	case("only the CRL of another chain", 14, crls=(of_another_chain,), reason="none of the CRLs"),
	case("no CRL at all in the file", 14, status=2, crls=(lambda made: b"hello",)),
	case("a certificate instead of a CRL", 14, status=2, crls=(lambda made: made.root,)),
	case("a byte behind a CRL", 14, status=2, crls=(lambda made: maker.crl(made, "root") + b"\0",)),
	case("a broken CRL behind a good one", 14, status=2, crls=(lambda made: maker.crl(made, "root", pem=True)
		+ b"-----BEGIN X509 CRL-----\nMAAwAA==\n-----END X509 CRL-----\n",)),
	case("a CRL that is cut short behind a good one", 14, status=2, crls=(lambda made: maker.crl(made, "root", pem=True)
		+ maker.crl(made, "root", ["regional"], pem=True)[:-60],)),
	case("an empty file instead of a CRL", 14, status=2, crls=(lambda made: b"",)),
]

SIGNATURE = [
	case("by another P-384 key", 15, document_key=key("foreign")),
	case("by the instance's key", 15, document_key=key("instance")),
	case("by the root's key", 15, document_key=key("root")),
	case("with SHA-256", 15, envelope={"digest": hashes.SHA256}),
	case("with SHA-512", 15, envelope={"digest": hashes.SHA512}),
	case("in another context", 15, envelope={"context": "Signature"}),
	case("r and s swapped", 15, envelope={"pair": swapped}),
	case("r of zero", 15, envelope={"pair": lambda pair: (0, pair[1])}),
	case("s of zero", 15, envelope={"pair": lambda pair: (pair[0], 0)}),
	case("r and s of zero", 15, envelope={"pair": lambda pair: (0, 0)}),
	case("r of one, s of one", 15, envelope={"pair": lambda pair: (1, 1)}),
	case("r of the order", 15, envelope={"pair": lambda pair: (maker.P384_ORDER, pair[1])}),
	case("s of the order", 15, envelope={"pair": lambda pair: (pair[0], maker.P384_ORDER)}),
	case("all bits set", 15, envelope={"signature": lambda signature: b"\xff" * 96}),
	case("a changed payload", 15, document=lambda document: document.replace(b"user data", b"User data")),
	case("a changed PCR", 15, document=lambda document: document.replace(PCRS[0], PCRS[1])),
	case("the leaf's signature by P-256", 15, envelope={"pair": lambda pair: (pair[0] >> 128, pair[1] >> 128)}),
]

TIMESTAMP = [
	case("before the leaf's validity", 16, reason="outside", payload={"timestamp": (NOW - HOUR) * 1000}),
	case("after the leaf's validity", 16, reason="outside", payload={"timestamp": (NOW + 30 * HOUR) * 1000}),
	case("minutes in the future", 16, ahead=300, reason="in the future"),
	case("a few seconds in the future", ACCEPTED, ahead=20),
	case("young enough", ACCEPTED, options=("--any-image", "--max-age", "5m")),
	case("older than the maximum age", 16, leaf={"lifetime": (-DAY, HOUR)}, payload={"timestamp": (NOW - 600) * 1000},
		options=("--any-image", "--max-age", "5m")),
	case("older than the policy's maximum age", 16, leaf={"lifetime": (-DAY, HOUR)},
		payload={"timestamp": (NOW - 600) * 1000}, policy="pcr0 {pcr0}\nmax-age 5m\n"),
	case("older than the smaller of two maxima", 16, leaf={"lifetime": (-DAY, HOUR)},
		payload={"timestamp": (NOW - 600) * 1000}, policy="pcr0 {pcr0}\nmax-age 1h\n", options=("--max-age", "5m")),
	case("a maximum age at the document's own time", 16, options=("--any-image", "--time", "document", "--max-age", "1h")),
]

MODULE = [
	case("the module id of another enclave", 17, payload={"module_id": "i-0123456789abcdef0-enc0123456789abcdee"}),
	case("a part of the module id", 17, payload={"module_id": maker.MODULE_ID[:-1]}),
	case("the module id with a dot too many", 17, payload={"module_id": maker.MODULE_ID + "."}),
	case("the whole common name as module id", 17, payload={"module_id": maker.MODULE_ID + ".eu-central-1.aws"}),
	case("the module id in capitals", 17, payload={"module_id": maker.MODULE_ID.upper()}),
	case("the module id and its first label", ACCEPTED, payload={"module_id": maker.MODULE_ID + ".eu-central-1"}),
	case("no common name", 17, leaf={"subject": name(C="US", O="Example")}),
	case("a common name that is the module id alone", 17, leaf={"subject": name(CN=maker.MODULE_ID)}),
	case("two common names", 17, leaf={"subject": name(CN=f"{maker.MODULE_ID}.aws", CN_="other")}),
	case("two common names, the other first", 17, leaf={"subject": name(CN="other", CN_=f"{maker.MODULE_ID}.aws")}),
	case("a NUL in the common name", 17, leaf={"subject": name(CN=f"{maker.MODULE_ID[:-1]}\0.aws")},
		payload={"module_id": maker.MODULE_ID}),
]

OTHER = "ab" * 48
POLICY = [
	case("the three PCRs of a release", ACCEPTED, policy="release 1.0\n  pcr0 {pcr0}\n  pcr1 {pcr1}\n  pcr2 {pcr2}\n"),
	case("the second of three releases", ACCEPTED, policy=f"release a\n  pcr0 {OTHER}\nrelease b\n  pcr0 {{pcr0}}\n"
		f"release c\n  pcr1 {OTHER}\n"),
	case("a PCR8 for all releases", ACCEPTED, policy="pcr8 {pcr8}\nrelease a\n  pcr0 {pcr0}\n"),
	case("PCR8 alone", ACCEPTED, policy="pcr8 {pcr8}\n"),
	case("upper case", ACCEPTED, policy="pcr0 {PCR0}\n"),
	case("PCR31", ACCEPTED, pcrs={31: b"\1" * 48}, policy="pcr31 " + "01" * 48 + "\n"),
	case("PCR0 of another image", 18, policy=f"release 1.0\n  pcr0 {OTHER}\n", field="pcrs[0]"),
	case("PCR2 of another image", 18, policy=f"release 1.0\n  pcr0 {{pcr0}}\n  pcr1 {{pcr1}}\n  pcr2 {OTHER}\n",
		field="pcrs[2]"),
	case("PCRs of two releases mixed", 18, policy=f"release a\n  pcr0 {{pcr0}}\n  pcr1 {OTHER}\nrelease b\n"
		f"  pcr0 {OTHER}\n  pcr1 {{pcr1}}\n", field="pcrs"),
	case("PCR8 of another signer", 18, policy=f"pcr8 {OTHER}\nrelease a\n  pcr0 {{pcr0}}\n", field="pcrs[8]"),
	case("PCR8 is right and no release", 18, policy=f"pcr8 {{pcr8}}\nrelease a\n  pcr0 {OTHER}\n"),
	case("an expected PCR that is absent", 18, pcrs={8: None}, policy="pcr8 {pcr8}\n", field="pcrs[8]",
		reason="absent"),
	case("an expected PCR that is zero", 18, policy="pcr16 {pcr8}\n", field="pcrs[16]"),
	case("the nonce", ACCEPTED, policy="pcr0 {pcr0}\nnonce " + bytes(range(32)).hex()),
	case("the nonce of the command line", ACCEPTED, options=("--any-image", "--nonce", bytes(range(32)).hex())),
	case("another nonce", 18, policy="pcr0 {pcr0}\nnonce 00", field="nonce"),
	case("a nonce that begins the same", 18, options=("--any-image", "--nonce", bytes(range(31)).hex()), field="nonce"),
	case("a nonce that is longer", 18, options=("--any-image", "--nonce", bytes(range(33)).hex()), field="nonce"),
	case("a nonce of which one bit differs", 18, options=("--any-image", "--nonce",
		(bytes(range(31)) + b"\x1e").hex()), field="nonce"),
	case("no nonce in the document", 18, payload={"nonce": None}, options=("--any-image", "--nonce", "00"),
		field="nonce", reason="absent"),
	case("an empty nonce in the document", 18, payload={"nonce": b""}, options=("--any-image", "--nonce", "00")),
	case("the policy's nonce is right, the command line's is not", 18, policy="pcr0 {pcr0}\nnonce "
		+ bytes(range(32)).hex(), options=("--nonce", "00"), field="nonce"),
	case("user_data", ACCEPTED, policy="pcr0 {pcr0}\nuser_data " + b"user data".hex()),
	case("user_data by its hash", ACCEPTED, policy="pcr0 {pcr0}\nuser_data sha256:"
		+ hashlib.sha256(b"user data").hexdigest()),
	case("other user_data", 18, policy="pcr0 {pcr0}\nuser_data 00", field="user_data"),
	case("user_data that hashes otherwise", 18, policy="pcr0 {pcr0}\nuser_data sha256:" + "00" * 32, field="user_data"),
	case("absent user_data, the hash of nothing expected", 18, payload={"user_data": None}, field="user_data",
		policy="pcr0 {pcr0}\nuser_data sha256:" + hashlib.sha256(b"").hexdigest()),
	case("empty user_data, the hash of nothing expected", ACCEPTED, payload={"user_data": b""},
		policy="pcr0 {pcr0}\nuser_data sha256:" + hashlib.sha256(b"").hexdigest()),
	case("the public key", ACCEPTED, payload={"public_key": b"key"}, policy="pcr0 {pcr0}\npublic_key " + b"key".hex()),
	case("an absent public key", 18, policy="pcr0 {pcr0}\npublic_key 00", field="public_key", reason="absent"),
	case("the platform of a named root", ACCEPTED, policy="pcr0 {pcr0}\nplatform named-root\n"),
	case("either platform", ACCEPTED, policy="pcr0 {pcr0}\nplatform nitro-enclave named-root\n"),
	case("a named root where an enclave is asked for", 18, policy="pcr0 {pcr0}\nplatform nitro-enclave\n",
		field="platform"),
	case("a named root has no partition", 18, policy="pcr0 {pcr0}\npartition aws aws-us-gov\n", field="partition"),
]

ZERO = {0: bytes(48), 1: bytes(48), 2: bytes(48)}
DEBUG = [
	case("a debug enclave", 18, pcrs=ZERO, reason="debug"),
	case("a debug enclave that is allowed", ACCEPTED, pcrs=ZERO, options=("--any-image", "--allow-debug")),
	case("a debug enclave that the policy allows", ACCEPTED, pcrs=ZERO, policy="debug allow\n"),
	case("a debug enclave with PCR3 expected", ACCEPTED, pcrs=ZERO, policy="debug allow\npcr3 {pcr3}\n"),
	case("a debug enclave that the policy does not allow", 18, pcrs=ZERO, policy="pcr3 {pcr3}\n", reason="debug"),
	case("a debug enclave with PCR0 expected", 18, pcrs=ZERO, policy="debug allow\nrelease a\n  pcr0 {pcr0}\n"),
	case("no debug enclave and no PCR expected", 18, policy="debug allow\n", reason="only debug"),
	case("no PCR0, 1 and 2 at all", 18, pcrs={0: None, 1: None, 2: None}, reason="debug"),
	case("PCR0 of zero alone", ACCEPTED, pcrs={0: bytes(48)}),
]

CASES = (GENUINE + FORM + STRICT_DER + ROOT + ORDER + VALIDITY + CONSTRAINTS + CRLS + SIGNATURE + TIMESTAMP + MODULE
	+ POLICY + DEBUG)


def build(one):
	change = dict(one.change)
	if one.name == "the instance signs the document":
		made = maker.make()
		change["payload"] = {"certificate": made.certificates["instance"],
			"module_id": "i-0123456789abcdef0"}
	if one.ahead:
		change["payload"] = {"timestamp": int(time.time() + one.ahead) * 1000}
	return maker.make(**change)


def arguments(one, made, directory):
	options = list(one.options)
	if one.named:
		(directory / "root.der").write_bytes(one.named(made))
		options += ["--root", directory / "root.der"]
	for number, crl in enumerate(one.crls):
		(directory / f"{number}.crl").write_bytes(crl(made))
		options += ["--crl", directory / f"{number}.crl"]
	if one.policy is not None:
		values = {f"pcr{index}": value.hex() for index, value in PCRS.items()}
		(directory / "policy").write_text(one.policy.format(**values, PCR0=values["pcr0"].upper()))
		options = [option for option in options if option != "--any-image"] + ["--policy", directory / "policy"]
	return options


@pytest.mark.parametrize("one", CASES, ids=str)
def test_document(one, directory):
	made = build(one)
	status, answer, errors = attest_verifier.verify(made.document, *arguments(one, made, directory))
	if one.check is None:
		assert (status, errors) == (0, "") and answer["verified"], answer or errors
		return
	if one.status == 2:
		assert status == 2 and answer is None and errors, errors
		return
	checks = one.check if isinstance(one.check, tuple) else (one.check,)
	assert answer and answer["verified"] is False and answer["check"] in checks, answer or errors
	assert status == (one.status or (4 if answer["check"] in MALFORMED else 1)), answer
	assert one.field in (None, answer["field"]), answer
	assert one.reason in answer["reason"], answer
	assert list(answer) == list(attest_verifier.KEYS)
	assert set(list(answer.values())[attest_verifier.KEYS.index("platform"):]) == {None}, answer


@pytest.mark.parametrize("change, options, place", [
	({"document_key": key("foreign")}, (), lambda made: len(made.document) - 96),
	({"payload": {"timestamp": (NOW - HOUR) * 1000}}, (), lambda made: made.document.index(b"itimestamp") + 10),
	({"payload": {"module_id": "i-0"}}, (), lambda made: made.document.index(b"i-0fdigest")),
	({"leaf": {"subject": name(C="US")}}, (), lambda made: made.document.index(made.certificates["leaf"])),
	({}, ("--nonce", "00"), lambda made: made.document.index(bytes(range(32)))),
	({"pcrs": {index: bytes(48) for index in range(3)}}, (), lambda made: made.document.index(bytes(48))),
	({"payload": {"nonce": None}}, ("--nonce", "00"), lambda made: None),
], ids=["signature", "timestamp", "module id", "common name", "nonce", "debug", "absent"])
def test_what_is_refused_behind_the_chain_has_its_place_too(change, options, place, directory):
	made = maker.make(**change)
	(directory / "root.der").write_bytes(made.root)
	_, answer, _ = attest_verifier.verify(made.document, "--any-image", "--root", directory / "root.der", *options)
	assert answer["check"] >= 15 and answer["offset"] == place(made), answer


def test_there_are_enough_cases_and_each_has_its_own_name():
	assert len(CASES) >= 110
	assert len({one.name for one in CASES}) == len(CASES)
	refused = {check for one in CASES for check in (one.check if isinstance(one.check, tuple) else (one.check,))}
	assert refused >= set(range(1, 19))
