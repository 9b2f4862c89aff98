# SPDX-License-Identifier: MIT
"""Programs that know /dev/nsm and nothing of Airlock, with libairlock.so and a simulated NSM."""
import pathlib
import subprocess

import cbor2
import pytest

from support import process
from support.airlock import airlock_program, clean_environment, library
from support.nsm import Simulator, attest_program, attestation, verify

ATTESTATION = cbor2.dumps(attestation(b"data", bytes(1024), None)).hex()

# What scripts do: no library, the ioctl by hand.
PYTHON_CLIENT = """
import ctypes, fcntl, os, struct, sys
fd = os.open("/dev/nsm", os.O_RDWR)
request = bytes.fromhex(sys.argv[1])
incoming = ctypes.create_string_buffer(request, len(request))
outgoing = ctypes.create_string_buffer(0x3000)
message = bytearray(struct.pack("QQQQ", ctypes.addressof(incoming), len(request),
	ctypes.addressof(outgoing), len(outgoing)))
fcntl.ioctl(fd, 0xC0200A00, message, True)
print(outgoing.raw[:struct.unpack("QQQQ", message)[3]].hex())
"""


@pytest.fixture
def nsm(directory, background):
	return background(Simulator(directory))


@pytest.fixture
def preloaded(directory):
	"""preloaded(command, nsm=...) runs it with the library and these settings."""
	def run(command, nsm, **options):
		config = directory / "enclave.conf"
		config.write_text(f"hostd unix:{directory}/no-hostd\nnsm {nsm}\nlog error\n")
		return process.run([*map(str, command)], env=clean_environment(directory,
			LD_PRELOAD=str(library()), AIRLOCK_CONF=str(config)), **options)
	return run


@pytest.fixture
def client(probe, preloaded, nsm):
	"""client(words...): what nsm_client prints, every line, after it ended well."""
	def run(*words):
		result = preloaded([probe("nsm_client"), *words], f"unix:{nsm.path}")
		assert (result.status, result.stderr) == (0, ""), result
		return result.stdout.splitlines()
	return run


def check_document(answer, nsm):
	claims = verify(cbor2.loads(bytes.fromhex(answer))["Attestation"]["document"], nsm.root)
	assert (claims["user_data"], claims["nonce"]) == (b"data", bytes(1024))


def test_a_c_program_gets_a_document(client, nsm):
	check_document(*client("ask", ATTESTATION), nsm)


def test_a_python_program_gets_a_document(preloaded, nsm):
	result = preloaded(["/usr/bin/python3", "-c", PYTHON_CLIENT, ATTESTATION], f"unix:{nsm.path}")
	assert result.status == 0, result
	check_document(result.stdout, nsm)


def test_airlock_attest_itself_finds_it_at_dev_nsm(preloaded, nsm):
	if b"__asan_init" in attest_program().read_bytes():
		pytest.skip("a sanitizer must be the first library")
	result = preloaded([attest_program(), "get"], f"unix:{nsm.path}")
	assert result.status == 0, result
	verify(result.raw, nsm.root)


def test_it_is_there_in_an_enclave_of_airlock_run(airlock, probe, nsm):
	airlock.configure(nsm=f"unix:{nsm.path}")
	result = airlock.run([probe("nsm_client"), "ask", ATTESTATION])
	assert result.status == 0, result
	check_document(result.stdout, nsm)


def test_every_way_to_open_it_and_every_copy_of_it_works(client):
	assert client("ways") == ["open", "open64", "openat", "openat64", "__open_2", "__open64_2", "__openat_2",
		"__openat64_2", "syscall", "dup", "dup2", "F_DUPFD", "fork", "exec", "O_CLOEXEC", "O_NONBLOCK",
		"the lowest number"]


def test_what_fails_fails_as_with_the_driver(client):
	"""drivers/misc/nsm.c: EMSGSIZE and EFAULT; answers are cut off without an error."""
	assert client("errors") == [
		"4097 bytes: EMSGSIZE",
		"a bad request: EFAULT",
		"a bad response: EFAULT",
		"a bad argument: EFAULT",
		"a bad path: EFAULT",
		"another file: ENOENT",
		"another descriptor: ENOTTY",
		"no descriptor: EBADF",
		"another ioctl: ENOTTY",
		"no room: success",
		"a short response: success",
	]


def test_threads_and_processes_that_share_it_get_their_own_answers(client):
	assert client("mixed", "300") == ["each its own"]


def test_it_works_in_signal_handlers(client):
	assert client("signals", "50") == ["handled"]


def test_the_last_descriptor_will_do(preloaded, probe, nsm):
	"""The device needs none for an ioctl."""
	command = ["prlimit", "--nofile=4:1024", "--", probe("nsm_client"), "ask", ATTESTATION]
	result = preloaded(command, f"unix:{nsm.path}")
	assert result.status == 0, result
	check_document(result.stdout, nsm)


def test_without_a_simulator_opening_fails_and_is_told(preloaded, probe, directory):
	result = preloaded([probe("nsm_client"), "ask", ATTESTATION], f"unix:{directory}/none")
	assert (result.status, result.stdout) == (1, "open: No such device or address\n")
	assert f"unix:{directory}/none: No such file or directory" in result.stderr


def test_a_simulator_that_ends_is_an_error_and_its_successor_is_found(preloaded, nsm, directory, background):
	program = PYTHON_CLIENT.replace("fcntl.ioctl(", """for turn in range(2):
	print("turn", flush=True)
	sys.stdin.readline()
	try:
		fcntl.ioctl(fd, 0xC0200A00, bytearray(message), True)
		print("answered", flush=True)
	except OSError as error:
		print(error.strerror, flush=True)
fcntl.ioctl(""")
	config = directory / "enclave.conf"
	config.write_text(f"hostd unix:{directory}/no-hostd\nnsm unix:{nsm.path}\n")
	child = subprocess.Popen(["/usr/bin/python3", "-c", program, ATTESTATION], stdin=subprocess.PIPE,
		stdout=subprocess.PIPE, text=True, env=clean_environment(directory, LD_PRELOAD=str(library()),
			AIRLOCK_CONF=str(config)))
	assert child.stdout.readline() == "turn\n"
	nsm.stop()
	child.stdin.write("\n")
	child.stdin.flush()
	assert child.stdout.readline() == "Input/output error\n"
	assert child.stdout.readline() == "turn\n"
	successor = background(Simulator(directory))
	out, _ = child.communicate("\n", timeout=20)
	assert child.returncode == 0 and out.startswith("answered\n")
	check_document(out.splitlines()[1], successor)


def test_the_genuine_device_is_left_to_the_kernel(preloaded, probe):
	assert not pathlib.Path("/dev/nsm").exists()
	result = preloaded([probe("nsm_client"), "ask", ATTESTATION], "/dev/nsm")
	assert (result.status, result.stdout, result.stderr) == (1, "open: No such file or directory\n", "")


def test_the_simulated_one_comes_before_a_file_of_that_name(preloaded, probe, nsm):
	"""Such a file is what programs that look first need. In a mount namespace: /dev is everybody's."""
	script = f"mount -t tmpfs none /dev && touch /dev/nsm && exec {probe('nsm_client')} ways"
	result = preloaded(["unshare", "-m", "sh", "-c", script], f"unix:{nsm.path}")
	assert result.status == 0 and result.stdout.endswith("the lowest number\n"), result


@pytest.mark.parametrize("words, place", [("nsm", "1:1"), ("nsm vsock:3:9000", "1:5"), ("nsm /dev/other", "1:5"),
	("nsm unix:/a b", "1:13"), ("nsm unix:", "1:10")])
def test_wrong_settings_are_told_with_their_place(directory, words, place):
	config = directory / "enclave.conf"
	config.write_text(words + "\n")
	result = process.run([str(airlock_program()), "check", "-c", str(config)])
	assert result.status == 2 and f"{config}:{place}: " in result.stderr, result


def test_check_prints_where_the_nsm_is(directory):
	config = directory / "enclave.conf"
	config.write_text("nsm unix:/run/nsm.sock\n")
	result = process.run([str(airlock_program()), "check", "-c", str(config)])
	assert "\nnsm unix:/run/nsm.sock\n" in result.stdout
