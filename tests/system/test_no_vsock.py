# SPDX-License-Identifier: MIT
"""No test opens an AF_VSOCK socket on the machine that it runs on, and what Airlock says where that is
forbidden: the default seccomp profiles of container runtimes forbid it in the same way."""
import errno
import pathlib
import socket

import pytest

from support import process
from support.airlock import library
from support.hostd import hostd_program

ENDPOINT = "vsock:3:9000"  # `parent`, as it is printed
SPEAKS_OF_THE_CAUSE = "seccomp"


@pytest.fixture(autouse=True)
def filtered():
	"""Asked of the kernel before any of these tests would open such a socket without the filter."""
	status = pathlib.Path("/proc/self/status").read_text()
	assert "\nSeccomp:\t2\n" in status, "support.world installed no filter"


def test_this_process_is_refused_such_a_socket():
	for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
		with pytest.raises(OSError) as refusal:
			socket.socket(socket.AF_VSOCK, kind)
		assert refusal.value.errno == errno.EACCES


@pytest.mark.parametrize("way", ["native", "run"])
def test_what_it_starts_is_refused_too(airlock, way):
	result = getattr(airlock, way)(["/usr/bin/python3", "-c",
		"import socket; print(socket.socket().connect_ex(('11.0.0.1', 9))); socket.socket(socket.AF_VSOCK)"])
	assert result.stdout == f"{errno.ECONNREFUSED}\n", "only such sockets are refused"
	assert result.status == 1 and "PermissionError: [Errno 13]" in result.stderr, result


def test_hostd_says_what_is_in_its_way(directory):
	config = directory / "hostd.conf"
	config.write_text("listen vsock:any:9000-9001\nenclave test cid=16\n")
	result = process.run([str(hostd_program()), "-c", str(config)])
	assert result.status == 3, result
	line = result.stderr.splitlines()[-1]
	assert "vsock:any:9000" in line and "ermission denied" in line and SPEAKS_OF_THE_CAUSE in line, result


def test_the_launcher_says_what_is_in_its_way(airlock):
	result = airlock.run(["true"], config=airlock.write(endpoint=ENDPOINT))
	assert ENDPOINT in result.stderr and "ermission denied" in result.stderr, result
	assert SPEAKS_OF_THE_CAUSE in result.stderr, result


def test_doctor_says_what_is_in_its_way(airlock):
	result = airlock.tool("doctor", config=airlock.write(endpoint=ENDPOINT))
	assert result.status == 3, result
	assert ENDPOINT in result.stdout and "ermission denied" in result.stdout and SPEAKS_OF_THE_CAUSE in result.stdout, result


def test_explain_says_what_is_in_its_way(airlock):
	result = airlock.tool("explain", "web.test:80", config=airlock.write(endpoint=ENDPOINT))
	assert result.status == 3, result
	text = result.stdout + result.stderr
	assert "ermission denied" in text and SPEAKS_OF_THE_CAUSE in text, result
	assert "rules" not in text, "hostd was never asked"


def test_the_library_says_what_is_in_its_way(airlock):
	"""Preloaded by hand: `airlock run` would not have started the program."""
	result = airlock.native(["/usr/bin/python3", "-c",
		"import socket; print(socket.socket().connect_ex(('11.0.0.1', 9)))"],
		env={"LD_PRELOAD": str(library()), "AIRLOCK_LOG": "error",
			"AIRLOCK_CONF": str(airlock.write(endpoint=ENDPOINT))})
	assert result.status == 0 and result.stdout != "0\n", result
	assert ENDPOINT in result.stderr and "ermission denied" in result.stderr, result
	assert SPEAKS_OF_THE_CAUSE in result.stderr, result
