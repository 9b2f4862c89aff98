# SPDX-License-Identifier: MIT
"""Genuine documents, and altered ones: each gives what its manifest says.

AIRLOCK_VECTORS names a folder with manifest.json, a list of {"file", "sha256", "expect", "module_id",
"timestamp_ms", "debug", "pcrs", "public_key", "user_data", "nonce"}; expect is "accept" or
"reject:" and why, of which untrusted_root, not_enclave and signature tell the check. Skipped without."""
import hashlib
import json
import os
import pathlib

import pytest

from support import attest_verifier

FOLDER = os.environ.get("AIRLOCK_VECTORS")
MANIFEST = json.loads(pathlib.Path(FOLDER, "manifest.json").read_text()) if FOLDER else []
REFUSED_BY = {"reject:untrusted_root": 10, "reject:not_enclave": 6, "reject:signature": 15}

pytestmark = pytest.mark.skipif(not FOLDER, reason="AIRLOCK_VECTORS names no folder of documents")


def every(expected):
	chosen = [one for one in MANIFEST if one["expect"].startswith(expected)]
	return pytest.mark.parametrize("vector", chosen, ids=[one["file"] for one in chosen])


def read(vector):
	document = pathlib.Path(FOLDER, vector["file"]).read_bytes()
	assert hashlib.sha256(document).hexdigest() == vector["sha256"]
	return document


def debug_option(vector):
	return ["--allow-debug"] if vector["debug"] else []


@every("accept")
def test_an_accepted_document_at_its_own_time(vector):
	status, answer, errors = attest_verifier.verify(read(vector), "--any-image", "--time", "document",
		*debug_option(vector))
	assert (status, errors) == (0, ""), answer
	assert answer["verified"] is True and answer["platform"] == "nitro-enclave" and answer["partition"]
	for ours, theirs in (("module_id", "module_id"), ("timestamp_ms", "timestamp_ms"), ("debug", "debug"),
			("pcrs", "pcrs"), ("public_key", "public_key"), ("user_data", "user_data"), ("nonce", "nonce")):
		assert answer[ours] == vector[theirs], ours


@every("accept")
def test_an_accepted_document_has_expired(vector):
	status, answer, _ = attest_verifier.verify(read(vector), "--any-image", *debug_option(vector))
	assert status == 1 and answer["check"] == 12 and "expired" in answer["reason"]


@every("accept")
def test_debug_must_be_allowed(vector):
	status, answer, _ = attest_verifier.verify(read(vector), "--any-image", "--time", "document")
	assert answer["verified"] is not vector["debug"]
	if vector["debug"]:
		assert status == 1 and answer["check"] == 18 and "debug" in answer["reason"]


@every("accept")
def test_its_own_measurements_as_policy(vector, directory):
	policy = directory / "policy"
	expected = {index: value for index, value in vector["pcrs"].items() if int(value, 16)}
	policy.write_text("partition aws aws-us-gov\nplatform nitro-enclave\n" + ("debug allow\n" if vector["debug"] else "")
		+ "release genuine\n" + "".join(f"  pcr{index} {value}\n" for index, value in expected.items()))
	status, answer, errors = attest_verifier.verify(read(vector), "--policy", policy, "--time", "document")
	assert (status, errors) == (0, ""), answer
	assert answer["release"] == "genuine"
	index, value = expected.popitem()
	changed = policy.read_text().replace(f"pcr{index} {value}", f"pcr{index} {value[:-1]}{int(value[-1], 16) ^ 1:x}")
	policy.write_text(changed)
	status, answer, _ = attest_verifier.verify(read(vector), "--policy", policy, "--time", "document")
	assert status == 1 and answer["check"] == 18 and answer["field"] == f"pcrs[{index}]"


@every("reject:")
def test_a_document_to_refuse(vector):
	document = read(vector)
	status, answer, _ = attest_verifier.verify(document, "--any-image", "--allow-debug", "--time", "document")
	assert answer["verified"] is False and answer["check"] == REFUSED_BY.get(vector["expect"], answer["check"]), answer
	assert status == 1 or status == 4 and vector["expect"] not in REFUSED_BY, answer


def named_root(name):
	root = pathlib.Path(FOLDER, "certs", name)
	if not root.exists():
		pytest.skip(f"no certs/{name} in AIRLOCK_VECTORS")
	return root, next(one for one in MANIFEST if one["expect"] == "accept")


def test_the_root_of_aws_may_be_named():
	"""Where the folder has the roots too."""
	root, genuine = named_root("aws_nitro_root_g1.der")
	status, answer, errors = attest_verifier.verify(read(genuine), "--any-image", "--time", "document", "--root", root,
		*debug_option(genuine))
	assert (status, errors) == (0, "") and (answer["platform"], answer["partition"]) == ("nitro-enclave", "aws"), answer


def test_the_root_of_another_partition_does_not_do():
	root, genuine = named_root("aws_us_gov_nitro_root.der")
	status, answer, _ = attest_verifier.verify(read(genuine), "--any-image", "--time", "document", "--root", root,
		"--allow-debug")
	assert status == 1 and answer["check"] == 10
