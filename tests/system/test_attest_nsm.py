# SPDX-License-Identifier: MIT
"""A simulated NSM by its socket and by airlock-attest, and its documents by two verifiers."""
import concurrent.futures
import contextlib
import datetime
import fcntl
import os
import resource
import signal
import socket
import stat
import struct
import time

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID

from support import attest_verifier, process
from support.hostd import SANITIZER_REPORT
from support.nsm import (REQUEST_MAX, RESPONSE_MAX, Simulator, attest_program, attestation, certificates,
	exchange, extended, verify)

ZEROS = bytes(48)
REFUSED, USAGE, TRANSPORT = 1, 2, 3


@pytest.fixture
def simulate(directory):
	"""simulate(options...) starts one; each must end cleanly and take its socket along."""
	running = []

	def start(*options, place=directory, **more):
		running.append(Simulator(place, *options, **more))
		return running[-1]

	yield start
	for simulator in running:
		if simulator.process.returncode is not None:
			continue
		assert simulator.stop() == 0, simulator.output
		assert not SANITIZER_REPORT.search(simulator.output)
		assert not simulator.path.exists()


@contextlib.contextmanager
def held(directory):
	"""Nobody else gets its lock meanwhile."""
	descriptor = os.open(directory, os.O_RDONLY)
	try:
		fcntl.flock(descriptor, fcntl.LOCK_EX)
		yield
	finally:
		os.close(descriptor)


@pytest.fixture
def nsm(simulate):
	return simulate()


# --- requests

def test_it_describes_itself(nsm):
	answer = nsm.ask("DescribeNSM")
	module = answer["DescribeNSM"].pop("module_id")
	assert module.startswith("i-") and "-enc" in module
	assert answer == {"DescribeNSM": {"version_major": 1, "version_minor": 0, "version_patch": 0,
		"max_pcrs": 32, "locked_pcrs": list(range(16)), "digest": "SHA384"}}


def test_registers_are_extended_and_locked(nsm):
	with nsm.connect() as connection:
		ask = lambda request: exchange(connection, request)
		assert ask({"DescribePCR": {"index": 16}}) == {"DescribePCR": {"lock": False, "data": ZEROS}}
		once = extended(ZEROS, b"one")
		assert ask({"ExtendPCR": {"index": 16, "data": b"one"}}) == {"ExtendPCR": {"data": once}}
		twice = extended(once, b"")
		assert ask({"ExtendPCR": {"index": 16, "data": b""}}) == {"ExtendPCR": {"data": twice}}
		assert ask({"LockPCR": {"index": 16}}) == "LockPCR"
		assert ask({"ExtendPCR": {"index": 16, "data": b"x"}}) == {"Error": "ReadOnlyIndex"}
		assert ask({"LockPCR": {"index": 16}}) == {"Error": "ReadOnlyIndex"}
		assert ask({"DescribePCR": {"index": 16}}) == {"DescribePCR": {"lock": True, "data": twice}}
		assert ask({"LockPCRs": {"range": 20}}) == "LockPCRs"
		assert ask("DescribeNSM")["DescribeNSM"]["locked_pcrs"] == list(range(20))
		assert ask({"LockPCRs": {"range": 33}}) == {"Error": "InvalidIndex"}
		for request in ({"DescribePCR": {"index": 32}}, {"LockPCR": {"index": 32}},
				{"ExtendPCR": {"index": 32, "data": b"x"}}):
			assert ask(request) == {"Error": "InvalidIndex"}


def test_random_bytes_are_256_at_a_time(nsm):
	one, other = (nsm.ask("GetRandom")["GetRandom"]["random"] for _ in range(2))
	assert len(one) == len(other) == 256 and one != other


@pytest.mark.parametrize("request_bytes, error", [
	(b"\xff", "InvalidOperation"),
	(os.urandom(64), "InvalidOperation"),
	(cbor2.dumps("FormatDisk"), "InvalidOperation"),
	(cbor2.dumps({"GetRandom": {}}), "InvalidOperation"),
	(cbor2.dumps({"DescribePCR": {"index": -1}}), "InvalidOperation"),
	(cbor2.dumps({"DescribePCR": {}}), "InvalidOperation"),
	(cbor2.dumps("GetRandom") + b"\x00", "InvalidOperation"),
	(b"\x9f" * 4096, "InvalidOperation"),
	(b"\x5b" + b"\xff" * 8, "InvalidOperation"),
	(bytes(REQUEST_MAX + 1), "InputTooLarge"),
	(bytes(100_000), "InputTooLarge"),
	(cbor2.dumps(attestation(nonce=bytes(1025))), "InputTooLarge"),
], ids=lambda value: value if isinstance(value, str) else None)
def test_what_is_wrong_is_answered_and_the_connection_goes_on(nsm, request_bytes, error):
	with nsm.connect() as connection:
		connection.send(request_bytes)
		assert cbor2.loads(connection.recv(RESPONSE_MAX)) == {"Error": error}
		assert "GetRandom" in exchange(connection, "GetRandom")


# --- clients

def test_fifty_clients_at_once_get_their_own_answers(nsm):
	def client(number):
		nonce = struct.pack("!I", number)
		with nsm.connect() as connection:
			for _ in range(4):
				document = exchange(connection, attestation(nonce=nonce))["Attestation"]["document"]
				if verify(document, nsm.root)["nonce"] != nonce:
					return False
		return True

	with concurrent.futures.ThreadPoolExecutor(50) as pool:
		assert all(pool.map(client, range(50)))


def test_requests_may_be_sent_ahead_and_are_answered_in_order(nsm):
	with nsm.connect() as connection:
		for index in range(8):
			connection.send(cbor2.dumps({"ExtendPCR": {"index": 16, "data": bytes([index])}}))
		value = ZEROS
		for index in range(8):
			value = extended(value, bytes([index]))
			assert cbor2.loads(connection.recv(RESPONSE_MAX)) == {"ExtendPCR": {"data": value}}


def test_a_client_that_takes_no_answers_is_cut_off_alone(nsm):
	with nsm.connect() as greedy, nsm.connect() as patient:
		with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)):
			for _ in range(1000):
				greedy.send(cbor2.dumps(attestation(nonce=bytes(1024), user_data=bytes(1024))))
		assert "GetRandom" in exchange(patient, "GetRandom")


def test_killed_clients_leave_nothing_behind(nsm):
	descriptors = lambda: len(os.listdir(f"/proc/{nsm.pid}/fd"))
	before = descriptors()
	for _ in range(200):
		connection = nsm.connect()
		connection.send(cbor2.dumps(attestation()))
		connection.close()
	program = [str(attest_program()), "random", nsm.name_option, "100000000"]
	for _ in range(5):
		client = process.Daemon(["sh", "-c", 'exec "$@" >/dev/null', "sh", *program])
		assert not client.has_ended(0.1)
		client.stop(signal.SIGKILL)
	assert "GetRandom" in nsm.ask("GetRandom")
	deadline = time.monotonic() + 30
	while descriptors() != before and time.monotonic() < deadline:
		nsm.ask("GetRandom")
	assert descriptors() == before


def processor_seconds(pid):
	with open(f"/proc/{pid}/stat") as file:
		user, system = file.read().rsplit(")", 1)[1].split()[11:13]
	return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_when_descriptors_run_out_newcomers_wait_for_one(simulate, directory):
	soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
	nsm = simulate()
	resource.prlimit(nsm.pid, resource.RLIMIT_NOFILE, (20, 20))
	held = [nsm.connect() for _ in range(40)]
	held[0].settimeout(10)
	assert "GetRandom" in exchange(held[0], "GetRandom")
	held[39].settimeout(0.5)
	before = processor_seconds(nsm.pid)
	with pytest.raises(TimeoutError):
		exchange(held[39], "GetRandom")
	assert processor_seconds(nsm.pid) - before < 0.1  # it waits, too
	for connection in held[:39]:
		connection.close()
	held[39].settimeout(10)
	assert "GetRandom" in cbor2.loads(held[39].recv(RESPONSE_MAX))
	held[39].close()
	assert (soft, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_descriptors_that_others_took_are_waited_for_without_clients(nsm):
	taken = len(os.listdir(f"/proc/{nsm.pid}/fd"))
	resource.prlimit(nsm.pid, resource.RLIMIT_NOFILE, (taken, 1000))
	with nsm.connect() as connection:
		connection.send(cbor2.dumps("GetRandom"))
		connection.settimeout(0.5)
		before = processor_seconds(nsm.pid)
		with pytest.raises(TimeoutError):
			connection.recv(RESPONSE_MAX)
		assert processor_seconds(nsm.pid) - before < 0.1
		resource.prlimit(nsm.pid, resource.RLIMIT_NOFILE, (1000, 1000))
		connection.settimeout(20)
		assert "GetRandom" in cbor2.loads(connection.recv(RESPONSE_MAX))


# --- the socket

def test_everybody_may_connect_as_to_the_device(nsm):
	assert stat.S_IMODE(nsm.path.stat().st_mode) == 0o666


def test_a_live_socket_is_not_replaced_and_a_stale_one_is(simulate, directory):
	nsm = simulate()
	again = process.run([str(attest_program()), "simulate", "--listen", f"unix:{nsm.path}"])
	assert again.status == TRANSPORT and "Address already in use" in again.stderr
	assert "GetRandom" in nsm.ask("GetRandom")
	nsm.stop(signal.SIGKILL)
	assert nsm.path.exists()
	assert "GetRandom" in simulate().ask("GetRandom")


def test_of_those_that_start_at_once_one_gets_a_stale_socket(simulate, directory):
	stale = simulate()
	stale.stop(signal.SIGKILL)
	with held(directory):
		started = [process.Daemon([str(attest_program()), "simulate", "--listen", f"unix:{stale.path}"])
			for _ in range(5)]
		time.sleep(0.5)
		before = [one.output for one in started if one.lines or one.has_ended()]
		ended = started.pop().stop()
	try:
		assert before == []
		assert ended == 128 + signal.SIGTERM  # who waits for the directory can be ended
		for one in started:
			one.wait_line(lambda line: line.startswith("listening") or "Address already in use" in line)
		listening = [one for one in started if one.output.startswith("listening")]
		assert len(listening) == 1 and "GetRandom" in stale.ask("GetRandom")
		assert listening[0].stop() == 0 and not stale.path.exists()
	finally:
		statuses = sorted(one.stop() for one in started)
	assert statuses == [0, TRANSPORT, TRANSPORT, TRANSPORT]


def test_the_socket_that_took_its_place_is_left_alone(simulate):
	first = simulate()
	first.path.unlink()
	second = simulate()
	assert first.stop() == 0
	assert "GetRandom" in second.ask("GetRandom")


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_what_is_no_socket_of_ours_is_left_alone(directory, kind):
	path = directory / "nsm.sock"
	if kind == "file":
		path.write_text("precious")
	else:
		listener = socket.socket(socket.AF_UNIX)
		listener.bind(str(path))
		listener.listen()
	result = process.run([str(attest_program()), "simulate", "--listen", f"unix:{path}"])
	assert result.status == TRANSPORT and path.exists()
	if kind == "file":
		assert path.read_text() == "precious"


@pytest.mark.parametrize("options", [[], ["--listen", "vsock:3:9000"], ["--listen", "nowhere"],
	["--listen", "unix:/x", "--pcr", "32=" + "0" * 96], ["--listen", "unix:/x", "--pcr", "0=00"],
	["--listen", "unix:/x", "--pcr", "00"], ["--listen", "unix:/x", "more"]])
def test_wrong_options_are_usage_errors(options):
	assert process.run([str(attest_program()), "simulate", *options]).status == USAGE


# --- documents

def test_documents_have_the_genuine_shape(nsm):
	before = time.time()
	answer = nsm.ask(attestation(b"data", b"", b"key"))["Attestation"]["document"]
	claims = verify(answer, nsm.root)
	assert list(claims) == ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle",
		"public_key", "user_data", "nonce"]
	assert cbor2.loads(answer)[2][0] == 0xBF  # an indefinite map
	assert (claims["user_data"], claims["nonce"], claims["public_key"]) == (b"data", b"", b"key")
	assert before - 1 <= claims["timestamp"] / 1000 <= time.time() + 1
	assert list(claims["pcrs"]) == list(range(16))
	assert all(any(claims["pcrs"][index]) for index in (0, 1, 2, 4))
	empty = verify(nsm.ask(attestation())["Attestation"]["document"], nsm.root)
	assert (empty["user_data"], empty["nonce"], empty["public_key"]) == (None, None, None)


def test_certificates_have_the_genuine_shape(nsm):
	claims = verify(nsm.ask(attestation())["Attestation"]["document"], nsm.root)
	chain = certificates(claims)
	names = [one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for one in chain]
	assert names[0] == "simulated.nitro-enclaves"
	assert names[1].endswith(".local-1.simulated.nitro-enclaves")
	assert ".zonal.local-1." in names[2]
	assert names[3] == claims["module_id"].split("-enc")[0] + ".local-1.simulated.nitro-enclaves"
	assert names[4] == claims["module_id"] + ".local-1.simulated"
	assert not any("aws" in one.subject.rfc4514_string().lower() for one in chain)
	extension = lambda one, oid: one.extensions.get_extension_for_oid(oid)
	constraints = [extension(one, ExtensionOID.BASIC_CONSTRAINTS).value for one in chain]
	assert [(one.ca, one.path_length) for one in constraints] == [
		(True, None), (True, 2), (True, 1), (True, 0), (False, None)]
	usage = [extension(one, ExtensionOID.KEY_USAGE) for one in chain]
	assert [one.critical for one in usage] == [True, True, True, True, False]
	assert [one.value.key_cert_sign for one in usage] == [True, True, True, True, False]
	assert usage[4].value.digital_signature
	days = lambda one: (one.not_valid_after - one.not_valid_before) / datetime.timedelta(days=1)
	assert days(chain[0]) > 10000 and 20 <= days(chain[1]) < 21 and 1 <= days(chain[3]) < 1.1
	assert 3 / 24 <= days(chain[4]) < 3.1 / 24


def test_the_registers_that_are_locked_meanwhile_are_attested_too(nsm):
	nsm.ask({"ExtendPCR": {"index": 17, "data": b"x"}})
	nsm.ask({"LockPCR": {"index": 17}})
	claims = verify(nsm.ask(attestation())["Attestation"]["document"], nsm.root)
	assert list(claims["pcrs"]) == [*range(16), 17]
	assert claims["pcrs"][17] == extended(ZEROS, b"x")


def test_registers_can_be_chosen_and_zeroed(simulate):
	nsm = simulate("--pcr", "3=" + "ab" * 48, "--pcr", "8=" + "cd" * 48, "--debug")
	pcrs = verify(nsm.ask(attestation())["Attestation"]["document"], nsm.root)["pcrs"]
	assert pcrs[3] == b"\xab" * 48 and pcrs[8] == b"\xcd" * 48
	assert pcrs[0] == pcrs[1] == pcrs[2] == ZEROS != pcrs[4]


def test_a_kept_root_is_used_again_and_is_private(simulate, directory):
	first = simulate()
	root = first.root.read_bytes()
	assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in first.pki.iterdir()} == {
		"root.pem": 0o600, "root.key": 0o600}
	document = first.ask(attestation())["Attestation"]["document"]
	assert first.stop() == 0
	second = simulate()
	assert second.root.read_bytes() == root
	verify(document, second.root)
	verify(second.ask(attestation())["Attestation"]["document"], second.root)


def test_first_starts_at_once_keep_one_root(directory):
	pki = directory / "pki"
	pki.mkdir()
	sockets = [f"unix:{directory}/{number}" for number in range(4)]
	with held(pki):
		started = [process.Daemon([str(attest_program()), "simulate", "--listen", name, "--pki", str(pki)])
			for name in sockets]
		time.sleep(0.5)  # they come to where the first of them would make a root
		before = list(pki.iterdir())
	try:
		for daemon, name in zip(started, sockets):
			daemon.wait_line("listening")
			document = process.run([str(attest_program()), "get", f"--nsm={name}"]).raw
			verify(document, pki / "root.pem")
		assert before == []
	finally:
		statuses = [daemon.stop() for daemon in started]
	assert statuses == [0] * 4


@pytest.mark.parametrize("damage", ["key", "certificate", "absent"])
def test_a_kept_root_that_is_damaged_is_refused(simulate, directory, damage):
	nsm = simulate()
	assert nsm.stop() == 0
	if damage == "key":
		other = directory / "other"
		other.mkdir()
		foreign = simulate(place=other)
		(nsm.pki / "root.key").write_bytes((foreign.pki / "root.key").read_bytes())
	elif damage == "certificate":
		nsm.root.write_text("nothing")
	else:
		(nsm.pki / "root.key").unlink()
	result = process.run([str(attest_program()), "simulate", "--listen", f"unix:{nsm.path}", "--pki",
		str(nsm.pki)])
	assert result.status == (TRANSPORT if damage == "absent" else USAGE), result.stderr
	assert "root." in result.stderr


@pytest.mark.parametrize("curve, begins, ends, reason", [
	(ec.SECP384R1(), -1, 1, None),
	(ec.SECP256R1(), -1, 1, "its key is not on P-384"),
	(None, -1, 1, "its key is not on P-384"),
	(ec.SECP384R1(), -2, -1, "expired at "),
	(ec.SECP384R1(), 1, 2, "not valid before "),
], ids=["good", "p256", "rsa", "expired", "to-come"])
def test_a_kept_root_that_nobody_could_accept_is_refused(simulate, directory, curve, begins, ends, reason):
	key = ec.generate_private_key(curve) if curve else rsa.generate_private_key(65537, 2048)
	name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kept")])
	days = lambda count: datetime.datetime.utcnow() + datetime.timedelta(days=count)
	root = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
		.serial_number(1).not_valid_before(days(begins)).not_valid_after(days(ends))
		.add_extension(x509.BasicConstraints(True, None), critical=True)
		.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
		.sign(key, hashes.SHA384()))
	pki = directory / "pki"
	pki.mkdir()
	(pki / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
	(pki / "root.key").write_bytes(key.private_bytes(serialization.Encoding.PEM,
		serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
	if reason is None:
		nsm = simulate()
		verify(nsm.ask(attestation())["Attestation"]["document"], nsm.root)
		return
	result = process.run([str(attest_program()), "simulate", "--listen", f"unix:{directory}/nsm.sock", "--pki",
		str(pki)], timeout=10)
	assert result.status == USAGE and f"{pki}/root.pem: {reason}" in result.stderr, result


# --- airlock-attest as its client, and as its verifier

def test_the_commands_reach_every_request(nsm, directory):
	assert nsm.run("describe").stdout.splitlines()[2:] == ["digest SHA384", "pcrs 32",
		"locked " + " ".join(map(str, range(16)))]
	registers = nsm.run("pcr", "read").stdout.splitlines()
	assert len(registers) == 32 and registers[16] == f"pcr16 {ZEROS.hex()}"
	assert nsm.run("pcr", "read", 3).stdout == f"pcr3 {ZEROS.hex()} locked\n"
	value = extended(ZEROS, b"\x00\xff")
	assert nsm.run("pcr", "extend", 16, "--hex", "00ff").stdout == f"pcr16 {value.hex()}\n"
	(directory / "data").write_bytes(b"file")
	value = extended(value, b"file")
	assert nsm.run("pcr", "extend", 16, directory / "data").stdout == f"pcr16 {value.hex()}\n"
	assert nsm.run("pcr", "lock", 16).status == 0
	again = nsm.run("pcr", "lock", 16)
	assert again.status == TRANSPORT and "ReadOnlyIndex" in again.stderr
	assert nsm.run("pcr", "lock", "--range", 32).status == 0
	assert nsm.run("pcr", "read", 31).stdout == f"pcr31 {ZEROS.hex()} locked\n"


@pytest.mark.parametrize("count", [0, 1, 256, 257, 10000])
def test_random_gives_as_many_bytes_as_asked(nsm, count):
	one, other = (nsm.run("random", count).raw for _ in range(2))
	assert len(one) == len(other) == count
	assert count < 16 or one != other
	assert len(bytes.fromhex(nsm.run("random", "--hex", count).stdout.strip())) == count


def test_get_puts_in_what_it_is_given(nsm, directory):
	for name in ("data", "key"):
		(directory / name).write_bytes(name.encode() * 250)
	out = directory / "document"
	assert nsm.run("get", "--nonce", "00ff", "--user-data", directory / "data", "--public-key",
		directory / "key", "-o", out).status == 0
	claims = verify(out.read_bytes(), nsm.root)
	assert (claims["nonce"], claims["user_data"], claims["public_key"]) == (
		b"\x00\xff", b"data" * 250, b"key" * 250)
	assert verify(nsm.run("get").raw, nsm.root)["nonce"] is None


@pytest.mark.parametrize("command", [["get", "more"], ["get", "--nonce", "xy"], ["get", "--nonce", "00" * 1025],
	["random"], ["random", "-1"], ["random", "1", "2"], ["describe", "more"], ["pcr"], ["pcr", "read", "x"],
	["pcr", "extend", "16"], ["pcr", "extend", "16", "--hex", "0"], ["pcr", "lock"], ["pcr", "erase", "1"]],
	ids=" ".join)
def test_wrong_words_are_usage_errors(nsm, command):
	assert nsm.run(*command).status == USAGE


@pytest.mark.parametrize("option", ["--user-data", "--public-key"])
def test_a_field_that_is_too_large_is_a_usage_error_and_an_absent_one_is_not(nsm, directory, option):
	(directory / "field").write_bytes(bytes(1024))
	assert nsm.run("get", option, directory / "field").status == 0
	(directory / "field").write_bytes(bytes(1025))
	result = nsm.run("get", option, directory / "field")
	assert result.status == USAGE and "field" in result.stderr and "more than 1024 bytes" in result.stderr
	assert nsm.run("get", option, directory / "none").status == TRANSPORT


@pytest.mark.parametrize("words", [
	["--nsm", "NAME", "pcr", "read", "3"],
	["--nsm=NAME", "pcr", "read", "3"],
	["pcr", "--nsm", "NAME", "read", "3"],
	["pcr", "read", "--nsm=NAME", "3"],
	["pcr", "read", "3", "--nsm", "NAME"],
], ids=" ".join)
def test_the_device_may_be_named_anywhere(nsm, words):
	done = process.run([str(attest_program()), *(word.replace("NAME", f"unix:{nsm.path}") for word in words)])
	assert (done.status, done.stdout) == (0, f"pcr3 {ZEROS.hex()} locked\n"), done.stderr


@pytest.mark.parametrize("command", [["describe"], ["pcr", "read"], ["pcr", "read", "3"], ["random", "9"], ["get"]],
	ids=" ".join)
def test_an_answer_that_cannot_be_written_is_none(nsm, command):
	done = process.run(["sh", "-c", 'exec "$@" > /dev/full', "sh", str(attest_program()), *command, nsm.name_option])
	assert done.status == TRANSPORT and "No space left on device" in done.stderr


@pytest.mark.parametrize("command", [["random", "9"], ["get"]], ids=" ".join)
def test_a_closed_standard_output_is_not_the_nsm(nsm, command):
	done = process.run(["sh", "-c", 'exec "$@" >&-', "sh", str(attest_program()), *command, nsm.name_option])
	assert done.status == TRANSPORT and "Bad file descriptor" in done.stderr


def test_closed_standard_descriptors_that_are_not_needed_do_no_harm(nsm, directory):
	out = directory / "document"
	done = process.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", str(attest_program()), "get", nsm.name_option,
		"-o", str(out)])
	assert done.status == 0
	verify(out.read_bytes(), nsm.root)
	done = process.run(["sh", "-c", 'exec "$@" <&-', "sh", str(attest_program()), "get", nsm.name_option,
		"--user-data", "-"])
	assert done.status == TRANSPORT and "Bad file descriptor" in done.stderr and done.raw == b""


def test_without_an_nsm_every_command_says_where_it_looked(directory):
	for name, status in ((f"unix:{directory}/none", TRANSPORT), (f"{directory}/none", TRANSPORT),
			("unix:", USAGE)):
		for command in (["get"], ["describe"], ["random", "1"], ["pcr", "read"]):
			result = process.run([str(attest_program()), *command, f"--nsm={name}"])
			assert result.status == status and name in result.stderr, result


def policy_of(nsm, path, **changes):
	values = {index: nsm.run("pcr", "read", index).stdout.split()[1] for index in (0, 1, 2)}
	values.update(changes)
	path.write_text("release test\n" + "".join(f"  pcr{index} {value}\n" for index, value in values.items()))
	return path


def test_our_verifier_accepts_a_document_under_the_named_root_alone(simulate, nsm, directory):
	document = nsm.run("get", "--nonce", "0102").raw
	policy = policy_of(nsm, directory / "policy")
	status, result, errors = attest_verifier.verify(document, "--root", nsm.root, "--policy", policy,
		"--nonce", "0102")
	assert status == 0, errors
	assert result["platform"] == "named-root"
	status, result, _ = attest_verifier.verify(document, "--policy", policy)
	assert status == REFUSED and result["check"] == 10
	other = directory / "other"
	other.mkdir()
	status, result, _ = attest_verifier.verify(document, "--root", simulate(place=other).root,
		"--policy", policy)
	assert status == REFUSED and result["check"] == 10


def test_our_verifier_refuses_another_image_nonce_and_debug(simulate, nsm, directory):
	document = nsm.run("get", "--nonce", "0102").raw
	policy = policy_of(nsm, directory / "policy")
	wrong = policy_of(nsm, directory / "wrong", **{"0": "11" * 48})
	root = ("--root", nsm.root)
	assert attest_verifier.verify(document, *root, "--policy", wrong)[0] != 0
	assert attest_verifier.verify(document, *root, "--policy", policy, "--nonce", "0103")[0] == REFUSED
	other = directory / "other"
	other.mkdir()
	debug = simulate("--debug", place=other)
	document = debug.run("get").raw
	root = ("--root", debug.root, "--any-image")
	assert attest_verifier.verify(document, *root)[0] == REFUSED
	assert attest_verifier.verify(document, *root, "--allow-debug")[0] == 0


def test_a_flipped_bit_anywhere_in_a_document_is_refused(nsm):
	document = nsm.run("get").raw
	with pytest.raises(Exception):
		verify(document[:-1] + bytes([document[-1] ^ 1]), nsm.root)
	for at in range(0, len(document), 97):
		flipped = document[:at] + bytes([document[at] ^ 1]) + document[at + 1:]
		assert attest_verifier.verify(flipped, "--root", nsm.root, "--any-image")[0] != 0, at
	assert isinstance(certificates(verify(document, nsm.root))[0], x509.Certificate)
