# SPDX-License-Identifier: MIT
"""No test opens an AF_VSOCK socket on the machine that it runs on, and what Airlock says where that is
forbidden: the default seccomp profiles of container runtimes forbid it in the same way."""
import errno
import pathlib
import re
import socket

import pytest

from support import world
from support.airlock import airlock_program, library
from support.hostd import TOP, hostd_program

ENDPOINT = "vsock:3:9000"  # `parent`, as it is printed


pytestmark = pytest.mark.stand_in("a guest of tests/vm may open such sockets")


@pytest.fixture(autouse=True)
def filtered():
	"""Asked of the kernel before any of these tests would open such a socket without the filter."""
	status = pathlib.Path("/proc/self/status").read_text()
	assert "\nSeccomp:\t2\n" in status, "support.world installed no filter"


def test_this_machine_is_no_guest_of_tests_vm():
	assert not world.is_guest(), "only then is there no filter"


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


# --- what Airlock says of it

REFUSE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from support import world
world.refuse_vsock(int(sys.argv[2]))
os.execvp(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture(params=["EACCES", "EPERM"])
def run_refused(request, airlock):
	"""Runs a command to which such sockets are refused by that error. EACCES is the world's own and an
	access policy's; EPERM is what Docker's default profile gives (moby, profiles/seccomp/default_linux.go)."""
	number = str(getattr(errno, request.param))
	prefix = ["/usr/bin/python3", "-c", REFUSE, str(TOP / "tests"), number]
	return lambda command, **options: airlock.native([*prefix, *map(str, command)], **options)


def names_the_cause(text):
	return re.search(r"[Pp]ermission denied|[Nn]ot permitted", text) and "seccomp" in text


def test_the_errors_are_what_they_should_be(run_refused, request):
	result = run_refused(["/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_VSOCK)"])
	expected = getattr(errno, request.node.callspec.params["run_refused"])
	assert f"[Errno {expected}]" in result.stderr, result


def test_hostd_says_what_is_in_its_way(run_refused, directory):
	config = directory / "hostd.conf"
	config.write_text("listen vsock:any:9000-9001\nenclave test cid=16\n")
	result = run_refused([hostd_program(), "-c", config])
	assert result.status == 3, result
	line = result.stderr.splitlines()[-1]
	assert "vsock:any:9000" in line and names_the_cause(line), result


def test_the_launcher_says_what_is_in_its_way(run_refused, airlock):
	result = run_refused([airlock_program(), "run", "-c", airlock.write(endpoint=ENDPOINT), "true"])
	assert ENDPOINT in result.stderr and names_the_cause(result.stderr), result


def test_doctor_says_what_is_in_its_way(run_refused, airlock):
	result = run_refused([airlock_program(), "doctor", "-c", airlock.write(endpoint=ENDPOINT)])
	assert result.status == 3, result
	assert ENDPOINT in result.stdout and names_the_cause(result.stdout), result


def test_explain_says_what_is_in_its_way(run_refused, airlock):
	result = run_refused([airlock_program(), "explain", "-c", airlock.write(endpoint=ENDPOINT), "web.test:80"])
	assert result.status == 3, result
	text = result.stdout + result.stderr
	assert names_the_cause(text), result
	assert "rules" not in text, "hostd was never asked"


def test_the_library_says_what_is_in_its_way(run_refused, airlock):
	"""Preloaded by hand: `airlock run` would have told it already."""
	result = run_refused(["env", f"LD_PRELOAD={library()}", "AIRLOCK_LOG=error",
		f"AIRLOCK_CONF={airlock.write(endpoint=ENDPOINT)}", "/usr/bin/python3", "-c",
		"import socket; print(socket.socket().connect_ex(('11.0.0.1', 9)))"])
	assert result.status == 0 and result.stdout == f"{errno.ENETUNREACH}\n", result
	assert ENDPOINT in result.stderr and names_the_cause(result.stderr), result
