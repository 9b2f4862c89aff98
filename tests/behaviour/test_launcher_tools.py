# SPDX-License-Identifier: MIT
"""airlock check, explain and doctor: what they print and how they end."""
import errno
import os
import pathlib
import re
import socket
import subprocess
import threading

import pytest

from support import peer, process, world
from support.airlock import airlock_program
from support.hostd import build_directory

EPOCH = "#include <time.h>\ntime_t time(time_t *out) { return out ? (*out = 0) : 0; }\n"
EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "man/examples/enclave.conf"


@pytest.fixture
def away(airlock):
	"""A configuration whose hostd is not there."""
	return airlock.write(endpoint="unix:/nonexistent/hostd.sock")


# --- check

def test_check_prints_what_it_understood_in_the_form_that_it_reads(airlock, directory):
	first = airlock.tool("check", config=EXAMPLE)
	assert first.status == 0 and first.stderr == "", first
	printed = directory / "printed.conf"
	printed.write_text(first.stdout)
	assert airlock.tool("check", config=printed).stdout == first.stdout


def test_check_names_the_place_of_an_error(airlock, directory):
	config = directory / "bad.conf"
	config.write_text("# one\n  route *.test  tsl\n")
	result = airlock.tool("check", config=config)
	assert (result.status, result.stdout) == (2, "")
	assert result.stderr == f"airlock: {config}:2:17: unknown word: `tsl`\n"


def test_a_named_configuration_that_is_not_there_is_an_error(airlock):
	result = airlock.tool("check", config="/nonexistent/enclave.conf")
	assert (result.status, result.stderr) == (2, "airlock: /nonexistent/enclave.conf: No such file or directory\n")


# --- explain

def explain(airlock, *words, **options):
	result = airlock.tool("explain", *words, **options)
	return result.status, result.stdout.splitlines(), result


def test_explain_opens_a_stream_and_says_that_it_was_granted(airlock, peers, dns):
	origin = peers.listen(peer.echo)
	dns.add("there.test", origin.host)
	status, lines, result = explain(airlock, f"there.test:{origin.port}")
	assert status == 0, result
	assert lines[0] == "route: * direct (line 2)"
	assert re.fullmatch(rf"name: {re.escape(origin.host)} \(valid for \d+ s\)", lines[1]), lines
	assert lines[2] == f"stream: granted, port {origin.port} answers"


def test_explain_takes_addresses_of_both_families(airlock, peers):
	origin = peers.listen(peer.echo)
	assert explain(airlock, f"{origin.host}:{origin.port}")[0] == 0
	status, lines, result = explain(airlock, f"[{world.PUBLIC_6}]:{peers.refuse().port}")
	assert status == 1 and any("ECONNREFUSED" in line for line in lines), result


FAILURES = [
	("refused.test", "ECONNREFUSED", "stream: dial, refused"),
	("nowhere.test", "EHOSTUNREACH", "no-such-name"),
	("forbidden.test", "EACCES", "stream: policy, denied"),
]


@pytest.mark.parametrize("name,error,said", FAILURES, ids=[failure[0] for failure in FAILURES])
def test_explain_says_why_not_and_what_the_program_gets(airlock, hostd, peers, dns, name, error, said):
	origin = peers.refuse()
	dns.add("refused.test", origin.host)
	dns.add("forbidden.test", origin.host)
	airlock.use(hostd(rules="allow *\ndeny forbidden.test"))
	status, lines, result = explain(airlock, f"{name}:{origin.port}")
	assert status == 1, result
	assert any(said in line for line in lines), result
	assert any(f"connect() fails with {error} (" in line for line in lines), result


def test_explain_names_the_route_that_decides_without_asking_hostd(airlock):
	config = airlock.write(routes="route *.secret.test:443 deny\nroute 10.0.0.0/8 local",
		endpoint="unix:/nonexistent/hostd.sock")
	status, lines, _ = explain(airlock, "a.secret.test:443", config=config)
	assert (status, lines[0]) == (1, "route: *.secret.test:443 deny (line 2)")
	status, lines, _ = explain(airlock, "a.secret.test:80", config=config)
	assert (status, lines[0]) == (1, "route: none matches, so it is denied")
	status, lines, _ = explain(airlock, "10.1.2.3:80", config=config)
	assert (status, lines[0]) == (0, "route: 10.0.0.0/8 local (line 3)")
	for loopback in ("localhost:80", "127.0.0.1:80", "[::1]:80"):
		status, lines, _ = explain(airlock, loopback, config=config)
		assert (status, lines[0]) == (0, "route: loopback, left to the kernel (built in)"), loopback


def test_explain_of_a_tls_route_says_that_it_fails_closed(airlock, peers, dns, directory):
	origin = peers.listen(peer.echo)
	dns.add("db.test", origin.host)
	config = airlock.write(routes=f"route db.test:5432 tls port={origin.port}",
		tls_listen=f"unix:{directory}/tls.sock")
	status, lines, result = explain(airlock, "db.test:5432", config=config)
	assert status == 1, result
	assert lines[1].startswith("tls: airlock-tls at") and "connections are refused" in lines[1]
	assert lines[-1] == f"stream: granted, port {origin.port} answers"


def test_explain_without_hostd_is_a_transport_failure(airlock, away):
	status, lines, _ = explain(airlock, "some.test:80", config=away)
	assert (status, lines[-1]) == (3, "hostd: unix:/nonexistent/hostd.sock: nobody listens there")


@pytest.mark.parametrize("word", ["some.test", "some.test:", "some.test:0", "some.test:65536", "some.test:http",
	"2600:11::1:80", ":80", "a..b:80", "[::1:80", "[some.test]:80"])
def test_explain_wants_a_host_and_a_port(airlock, away, word):
	result = airlock.tool("explain", word, config=away)
	assert (result.status, result.stdout) == (2, "") and result.stderr.startswith(f"airlock: {word}: ")


# --- doctor

def findings(result):
	"""{topic: (finding, text)}; a topic with several lines keeps its last."""
	lines = [line.split(None, 2) for line in result.stdout.splitlines()]
	assert all(len(line) == 3 and line[0] in ("ok", "warn", "fail") for line in lines), result.stdout
	return {topic: (finding, text) for finding, topic, text in lines}


def send_buffer():
	"""In bytes, of a new unix socket."""
	with socket.socket(socket.AF_UNIX) as stream:
		return stream.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


def test_doctor_finds_nothing_wrong_where_nothing_is(airlock, dns):
	dns.add("spelt-out.test", world.PUBLIC)
	airlock.configure(routes="route spelt-out.test direct\nroute * direct")
	result = airlock.tool("doctor", "true")
	found = findings(result)
	assert result.status == 0, result
	assert "round trip" in found["hostd"][1] and found["hostd"][0] == "ok"
	assert found["gate"] == ("ok", "withholds writability for the 50 ms asked for")
	assert found["window"] == ("ok", f"the stand-in's send buffer is {send_buffer() // 1024} KiB")
	assert found["names"] == ("ok", "spelt-out.test has 1 addresses")
	assert found["pool"] == ("ok", "room for 65536 names")
	assert found["clock"][0] == found["library"][0] == found["kernel"][0] == "ok"
	assert found["command"][0] == "ok" and found["command"][1].endswith("/true can be preloaded")


def test_doctor_without_hostd_is_a_transport_failure(airlock, away):
	result = airlock.tool("doctor", config=away)
	found = findings(result)
	assert result.status == 3
	assert found["hostd"] == ("fail", "unix:/nonexistent/hostd.sock: nobody listens there")
	assert found["gate"][0] == found["window"][0] == "warn" and "command" not in found


def test_doctor_says_no_to_a_command_that_is_not_there(airlock):
	result = airlock.tool("doctor", "no-such-command-here")
	assert result.status == 1
	assert findings(result)["command"] == ("fail", "no-such-command-here: No such file or directory")


def test_doctor_counts_trust_anchors(airlock, authority, directory):
	empty = directory / "empty.pem"
	empty.write_text("")
	config = airlock.write(ca=authority.ca)
	assert findings(airlock.tool("doctor", config=config))["anchors"] == ("ok", f"{authority.ca} has 1 certificates")
	config = airlock.write(routes=f"route * tls ca={empty}")
	result = airlock.tool("doctor", config=config)
	assert findings(result)["anchors"] == ("fail", f"{empty} has 0 certificates")
	assert findings(result)["tls"][0] == "warn" and result.status == 1


def test_doctor_only_warns_that_airlock_tls_does_not_run(airlock, authority, directory):
	"""`airlock run` starts it. Somebody else in its place is another matter."""
	config = airlock.write(routes="route * tls", ca=authority.ca, tls_listen=f"unix:{directory}/tls.sock")
	result = airlock.tool("doctor", config=config)
	assert findings(result)["tls"][0] == "warn" and result.status == 0, result
	with socket.socket(socket.AF_UNIX) as other:
		other.bind(f"{directory}/tls.sock")
		other.listen()
		threading.Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
		result = airlock.tool("doctor", config=config)
	assert findings(result)["tls"][0] == "fail" and result.status == 1, result


def test_doctor_reads_the_policies_of_attested_routes(airlock, authority, directory):
	policy = directory / "partner.policy"

	def finding(keys):
		result = airlock.tool("doctor", config=airlock.write(routes=f"route * tls {keys}"))
		assert result.stderr == "", result
		return findings(result)["policies"]

	assert finding("port=443") == ("ok", "no route names one")
	assert finding(f"policy={policy}") == ("fail", f"{policy}: cannot be opened: No such file or directory")
	policy.write_text("release a\n  pcr0 12\n")
	assert finding(f"policy={policy}") == ("fail", f"{policy}:2:8: not 96 hex digits: `12`")
	assert finding(f"policy={policy} attest=off") == ("ok", "no route names one")
	policy.write_text("pcr0 " + 48 * "12" + "\n")
	assert finding(f"policy={policy}") == ("ok", f"{policy} is a policy")
	assert finding(f"policy={policy} root={authority.ca}") == ("ok",
		f"{policy} is a policy, {authority.ca} a root certificate")
	assert finding(f"policy={policy} root={policy}") == ("fail", f"root: {policy}: not one certificate in PEM or DER")


def test_doctor_fails_for_a_policy_alone(tls, directory):
	policy = directory / "partner.policy"
	policy.write_text("pcr0 " + 48 * "12" + "\n")
	tls.configure(f"route * tls policy={policy}")
	tls.keep()
	assert tls.airlock.tool("doctor").status == 0
	policy.write_text("nonsense\n")
	assert tls.airlock.tool("doctor").status == 1


def test_doctor_sees_a_loopback_that_is_down(airlock):
	assert findings(airlock.tool("doctor", enclave=True))["loopback"][0] == "warn"


def test_doctor_sees_a_clock_from_before_the_build(airlock, away, directory):
	library = directory / "epoch.so"
	subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], check=True, text=True,
		input=EPOCH)
	result = airlock.native([airlock_program(), "doctor", "-c", away], env={"LD_PRELOAD": str(library),
		"ASAN_OPTIONS": "verify_asan_link_order=0"})  # for a sanitized launcher
	finding, text = findings(result)["clock"]
	assert finding == "fail" and text.startswith("1970-01-01 00:00:00Z is before"), text


def test_doctor_asks_the_nsm_who_it_is(airlock, background, directory):
	path = directory / "nsm.sock"
	config = airlock.write(nsm=f"unix:{path}")
	attest = str(build_directory() / "bin/airlock-attest")
	absent = findings(airlock.tool("doctor", config=config))["nsm"]
	assert absent == ("warn", f"unix:{path}: No such file or directory (outside a Nitro enclave there is none)")
	background(process.Daemon([attest, "simulate", "--listen", f"unix:{path}"])).wait_line("listening")
	described = process.run([attest, "describe", "--nsm", f"unix:{path}"]).stdout
	module = re.search(r"^module-id (\S+)$", described, re.MULTILINE)[1]
	result = airlock.tool("doctor", config=config)
	assert findings(result)["nsm"] == ("ok", f"unix:{path} answers: module {module}"), result
	assert (result.status, result.stderr) == (0, "")


def test_doctor_fails_an_nsm_that_answers_nothing(airlock, directory):
	path = directory / "nsm.sock"
	with socket.socket(socket.AF_UNIX) as listener:  # not of the kind that a simulated NSM is
		listener.bind(str(path))
		listener.listen()
		result = airlock.tool("doctor", config=airlock.write(nsm=f"unix:{path}"))
	finding, text = findings(result)["nsm"]
	assert (finding, text, result.status) == ("fail", f"unix:{path}: {os.strerror(errno.EPROTOTYPE)}", 1), result


def test_run_says_that_the_clock_is_wrong(airlock, away, directory):
	library = directory / "epoch.so"
	subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], check=True, text=True,
		input=EPOCH)
	result = airlock.native([airlock_program(), "run", "-c", away, "--", "echo", "ran"],
		env={"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"})
	assert (result.status, result.stdout) == (0, "ran\n")
	assert "airlock: the clock says 1970-01-01 00:00:00Z, which is before this program was built" in result.stderr
