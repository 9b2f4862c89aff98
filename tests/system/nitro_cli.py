#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A stand-in for nitro-cli, on whose PATH test_run_enclave.py puts it: it answers as the genuine one's JSON does
(aws-nitro-enclaves-cli, src/common/json_output.rs), writes down how it was called, and the "enclave" is one stream
to hostd's unix socket. STAND_IN names its folder."""
import json
import os
import pathlib
import socket
import sys

ID = "i-0123456789abcdef0-enc0123456789abcdef"
place = pathlib.Path(os.environ["STAND_IN"])
running = place / "running"  # its text is the CID
words = sys.argv[1:]


def option(name):
	return words[words.index(name) + 1]


def run_enclave():
	if (place / "refuse").exists():
		sys.exit("[ E26 ] Insufficient memory requested.")
	cid = (place / "cid").read_text() if (place / "cid").exists() else option("--enclave-cid")
	running.write_text(cid)
	if (place / "deaf").exists():  # nothing will be known of hostd from now on
		(place / "hostd.admin").unlink()
	if not (place / "silent").exists():
		with socket.socket(socket.AF_UNIX) as stream:
			stream.connect(f"{place}/hostd.sock")
	print("Start allocating memory...", file=sys.stderr)
	if (place / "nameless").exists():
		return {}
	return {"EnclaveName": "enclave", "EnclaveID": ID, "ProcessID": 4711, "EnclaveCID": int(cid),
		"NumberOfCPUs": 2, "CPUIDs": [1, 3], "MemoryMiB": int(option("--memory"))}


def describe_enclaves():
	if (place / "untold").exists():  # what it says instead, if anything
		print((place / "untold").read_text())
		sys.exit(0 if (place / "untold").stat().st_size else "[ E39 ] Enclave process connection failure.")
	try:
		cid = int(running.read_text())
	except FileNotFoundError:  # the test may end it at any moment
		return []
	return [{"EnclaveID": ID, "EnclaveCID": cid, "State": "RUNNING"}]


def terminate_enclave():
	if (place / "immortal").exists():
		sys.exit("[ E11 ] Socket error.")
	running.unlink()
	return {"EnclaveID": option("--enclave-id"), "Terminated": True}


with open(place / "calls", "a") as calls:
	calls.write(json.dumps(words) + "\n")
print(json.dumps({"run-enclave": run_enclave, "describe-enclaves": describe_enclaves,
	"terminate-enclave": terminate_enclave}[words[0]](), indent=2))
