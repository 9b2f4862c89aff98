# SPDX-License-Identifier: MIT
"""How `airlock-attest verify` is called, and what it prints."""
import json
import re
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from support import attest_maker as maker
from support.attest_verifier import KEYS, run
from support.hostd import build_directory


@pytest.fixture
def files(directory):
	"""A document, its root and a policy that it keeps, as files."""
	made = maker.make()
	pem = x509.load_der_x509_certificate(made.root).public_bytes(serialization.Encoding.PEM)
	for name, content in (("document.cose", made.document), ("root.der", made.root), ("root.pem", pem),
			("policy", f"release v1.2\n  pcr0 {maker.default_pcrs()[0].hex()}\n".encode())):
		(directory / name).write_bytes(content)
	return directory


def call(files, *words, stdin=b""):
	"""Words that name one of the files become its path."""
	return run("verify", *(files / word if (files / word).is_file() else word for word in words), stdin=stdin)


def test_the_order_of_keys_and_their_values(files):
	answer = call(files, "document.cose", "--policy", "policy", "--root", "root.der", "--json").stdout
	assert answer.endswith("}\n") and answer.count("\n") == 1
	answer = json.loads(answer)
	assert list(answer) == list(KEYS)
	assert answer["check"] is answer["field"] is answer["offset"] is answer["reason"] is None
	assert answer["platform"] == "named-root" and answer["partition"] is None and answer["debug"] is False
	assert answer["clock"] == "now" and answer["policy"] is True and answer["release"] == "v1.2"
	assert 0 <= answer["age_ms"] < 60000 and answer["timestamp_ms"] == pytest.approx(time.time() * 1000, abs=60000)
	assert list(answer["pcrs"]) == [str(index) for index in range(16)]
	assert answer["pcrs"]["0"] == maker.default_pcrs()[0].hex()
	assert answer["user_data"] == b"user data".hex() and answer["nonce"] == bytes(range(32)).hex()
	assert answer["public_key"] is None


def test_what_people_read(files):
	done = call(files, "document.cose", "--policy", "policy", "--root", "root.pem")
	assert done.returncode == 0 and done.stderr == ""
	assert "by the root that was named; AWS does not vouch for it" in done.stdout
	assert "Nitro" not in done.stdout
	assert re.search(r"^platform +named-root$", done.stdout, re.M)
	assert re.search(r"^policy +kept, release v1.2$", done.stdout, re.M)
	assert re.search(rf"^pcr0 +{maker.default_pcrs()[0].hex()}$", done.stdout, re.M)
	assert re.search(r"^age +\d+\.\d{3} s$", done.stdout, re.M)
	assert re.search(r"^user_data +757365722064617461$", done.stdout, re.M)
	assert re.search(r"^public_key +absent$", done.stdout, re.M)


def test_what_was_not_judged_is_said(files):
	done = call(files, "document.cose", "--any-image", "--root", "root.pem", "--time", "document")
	assert re.search(r"^policy +none: any image is accepted$", done.stdout, re.M)
	assert re.search(r"^age +not judged", done.stdout, re.M)


def test_a_debug_enclave_is_called_one(files):
	made = maker.make(pcrs={0: bytes(48), 1: bytes(48), 2: bytes(48)})
	(files / "document.cose").write_bytes(made.document)
	(files / "root.der").write_bytes(made.root)
	done = call(files, "document.cose", "--any-image", "--root", "root.der", "--allow-debug")
	assert done.returncode == 0 and re.search(r"^debug +YES", done.stdout, re.M)
	done = call(files, "document.cose", "--any-image", "--root", "root.der")
	assert done.returncode == 1 and done.stdout == "" and "debug enclave" in done.stderr


def test_standard_input(files):
	document = (files / "document.cose").read_bytes()
	assert call(files, "-", "--any-image", "--root", "root.pem", stdin=document).returncode == 0
	assert call(files, "-", "--any-image", "--root", "root.pem").returncode == 4


def test_a_refusal_names_the_file_the_check_and_the_place(files):
	done = call(files, "document.cose", "--any-image")
	assert done.returncode == 1 and done.stdout == ""
	offset = (files / "document.cose").read_bytes().index((files / "root.der").read_bytes())
	assert done.stderr == (f"airlock-attest: {files}/document.cose: check 10 (cabundle[0], offset {offset}): "
		"not the root certificate of AWS, commercial or GovCloud\n")


@pytest.mark.parametrize("clock, status", [
	(lambda now: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)), 0),
	(lambda now: time.strftime("%Y-%m-%dT%H:%M:%S+02:00", time.gmtime(now + 7200)), 0),
	(lambda now: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 7200)), 0),
	(lambda now: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 14400)), 1),
	(lambda now: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 3600)), 1),
])
def test_stated_times(files, clock, status):
	done = call(files, "document.cose", "--any-image", "--root", "root.pem", "--json", "--time", clock(int(time.time())))
	answer = json.loads(done.stdout)
	assert done.returncode == status and answer["clock"] == (None if status else "stated"), answer


@pytest.mark.parametrize("words", [
	("document.cose",),
	("document.cose", "--any-image", "--policy", "policy"),
	("--any-image",),
	("document.cose", "document.cose", "--any-image"),
	("document.cose", "--any-image", "--nonce", "xyz"),
	("document.cose", "--any-image", "--nonce", "abc"),
	("document.cose", "--any-image", "--nonce", ""),
	("document.cose", "--any-image", "--nonce", "00", "--nonce", "00"),
	("document.cose", "--any-image", "--time", "yesterday"),
	("document.cose", "--any-image", "--time", "2026-02-30T00:00:00Z"),
	("document.cose", "--any-image", "--max-age", "5"),
	("document.cose", "--any-image", "--max-age", "0"),
	("document.cose", "--any-image", "--unknown"),
	("document.cose", "--any-image", "--root", "policy"),
	("document.cose", "--any-image", "--root", "document.cose"),
	("document.cose", "--any-image", "--root", "absent"),
	("document.cose", "--any-image", "--root", "root.pem", "--root", "root.pem"),
	("document.cose", "--any-image", "--crl", "absent"),
	("document.cose", "--policy", "absent"),
	("document.cose", "--policy", "policy", "--policy", "policy"),
], ids=" ".join)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_usage(files, words, form):
	done = call(files, *words, *form)
	assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("airlock-attest: ") \
		or done.stderr.startswith("usage: ") or "option" in done.stderr
	assert done.returncode == 2


def test_two_roots_in_a_file_are_one_too_many(files):
	(files / "roots.pem").write_bytes((files / "root.pem").read_bytes() * 2)
	done = call(files, "document.cose", "--any-image", "--root", "roots.pem")
	assert done.returncode == 2 and "not one certificate" in done.stderr


def test_an_absent_document_is_no_answer(files):
	done = call(files, "nowhere", "--any-image", "--json")
	assert done.returncode == 3 and done.stdout == ""
	assert done.stderr == "airlock-attest: nowhere: cannot be opened: No such file or directory\n"


def test_a_document_that_is_too_long_is_named_as_one(files):
	(files / "document.cose").write_bytes(bytes(16513))
	answer = json.loads(call(files, "document.cose", "--any-image", "--json").stdout)
	assert list(answer) == list(KEYS) and (answer["check"], answer["field"]) == (1, "document"), answer


@pytest.mark.parametrize("text, place", [
	("release a\n  pcr0 12\n", "2:8: not 96 hex digits: `12`"),
	("measured yes\n", "1:1: unknown word: `measured`"),
	("max-age 5m\n", "1:1: the policy expects no PCR, so that any image would do"),
])
def test_a_policy_is_refused_with_its_place(files, text, place):
	(files / "policy").write_text(text)
	done = call(files, "document.cose", "--policy", "policy", "--root", "root.pem", "--json")
	assert (done.returncode, done.stdout) == (2, "")
	assert done.stderr == f"airlock-attest: {files}/policy:{place}\n"


def test_a_quotation_mark_in_a_name_does_not_break_json(files):
	(files / "policy").write_text(f"release a\"b\\c\n  pcr0 {maker.default_pcrs()[0].hex()}\n")
	done = call(files, "document.cose", "--policy", "policy", "--root", "root.pem", "--json")
	assert json.loads(done.stdout)["release"] == 'a"b\\c'


def test_full_standard_output_is_noticed(files):
	with open("/dev/full", "wb") as full:
		done = subprocess.run([build_directory() / "bin/airlock-attest", "verify", files / "document.cose", "--any-image",
			"--root", files / "root.pem"], stdout=full, stderr=subprocess.PIPE, timeout=30)
	assert done.returncode == 3 and b"standard output" in done.stderr


def test_a_refusal_that_cannot_be_written_is_still_one(files):
	with open("/dev/full", "wb") as full:
		done = subprocess.run([build_directory() / "bin/airlock-attest", "verify", files / "document.cose", "--any-image",
			"--json"], stdout=full, stderr=subprocess.PIPE, timeout=30)
	assert done.returncode == 1 and b"standard output" in done.stderr
