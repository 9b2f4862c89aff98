# SPDX-License-Identifier: MIT
"""`airlock doctor` where AF_VSOCK is what it should be."""
import os

from support import transport


def findings(result):
	"""{topic: [(finding, text), ...]}"""
	found = {}
	for line in result.stdout.splitlines():
		finding, topic, text = line.split(None, 2)
		found.setdefault(topic, []).append((finding, text))
	return found


def test_doctor_finds_the_kernel_the_cid_hostd_and_a_working_gate(airlock):
	result = airlock.tool("doctor")
	found = findings(result)
	print(result.stdout)
	assert result.status == 0, result
	assert found["kernel"][0] == ("ok", f"Linux {os.uname().release}")
	assert found["vsock"][0][0] == "ok" and "local CID 1" in found["vsock"][0][1]
	assert found["hostd"][0][0] == "ok" and "round trip" in found["hostd"][0][1]
	assert found["gate"][0] == ("ok", "withholds writability for the 50 ms asked for")
	assert found["clock"][0][0] == "ok"
	assert found["nsm"][0][0] == "warn" and "outside a Nitro enclave there is none" in found["nsm"][0][1]


def test_doctor_tells_when_nobody_listens(airlock):
	result = airlock.tool("doctor", config=airlock.write(endpoint=transport.new_endpoint(airlock.home)))
	assert result.status == 3, result
	assert findings(result)["hostd"][0][0] == "fail"
