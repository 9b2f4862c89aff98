# SPDX-License-Identifier: MIT
"""check, explain, status; metrics and health."""

import http.client
import re
import socket

import pytest

from support import hostd as hostd_module
from support import process, wire
from support.daemon import CID
from support.origin import RefusingPort, exchange, pair

TOKEN = "198.18.0.1"
LISTEN = "listen unix:/run/check-me.sock cid=16\n"


def hostd(*words):
	return process.run([str(hostd_module.hostd_program()), *words])


def check(directory, text):
	path = directory / "a.conf"
	path.write_bytes(text if isinstance(text, bytes) else text.encode())
	return hostd("check", "-c", str(path)), path


# --- check

FULL = """# everything that there is
listen   vsock:any:9000-9015
listen   unix:/run/airlock/hostd.sock cid=16 mode=0600
workers  2
enclave  web cid=16,17
  allow  *.example.com:443
  allow  db.internal:5432 to=10.0.0.0/8
  allow  127.0.0.1:8000-8100
  allow  [fd00::/8]:1,2,3-4
  deny   *.evil.example       # a remark
  limit  connections=2000 rate=500/s
  upstream http://proxy.corp:3128
enclave  empty cid=18
timeout  header=5s dial=10s idle=1h drain=30s
metrics  tcp:127.0.0.1:9464
admin    unix:/run/airlock/hostd.admin
"""


def test_check_prints_what_it_understood_in_a_form_that_it_reads_again(directory):
	first, _ = check(directory, FULL)
	assert first.status == 0, first.stderr
	for part in ("*.example.com:443", "10.0.0.0/8", "connections=2000", "500/s", "proxy.corp:3128", "9464"):
		assert part in first.stdout
	second, _ = check(directory, first.stdout)
	assert second.status == 0, second.stderr
	assert second.stdout == first.stdout


BAD = {
	# what: (text, line, column, token)
	"an unknown directive": (LISTEN + "lisen unix:/x cid=1\n", 2, 1, "lisen"),
	"a directive alone": ("listen\n", 1, 1, "listen"),
	"a listener without a cid": ("listen unix:/x\n", 1, 8, "unix:/x"),
	"a vsock listener with a cid": ("listen vsock:any:1 cid=3\n", 1, 20, "cid=3"),
	"an unknown transport": ("listen tcp:127.0.0.1:80\n", 1, 8, "tcp:127.0.0.1:80"),
	"a port out of range": ("listen vsock:any:1-99999999999\n", 1, None, None),
	"a cid that is not a number": ("listen unix:/x cid=web\n", 1, 20, "web"),
	"a cid that is negative": ("listen unix:/x cid=-1\n", 1, 20, "-1"),
	"an unknown key": (LISTEN + "timeout dail=3s\n", 2, 9, "dail"),
	"a time without a unit": (LISTEN + "timeout dial=3\n", 2, 14, "3"),
	"a negative time": (LISTEN + "timeout dial=-3s\n", 2, 14, "-3s"),
	"a key twice": (LISTEN + "timeout dial=3s dial=4s\n", 2, 17, "dial"),
	"no workers": (LISTEN + "workers 0\n", 2, 9, "0"),
	"a directive twice": (LISTEN + "workers 1\nworkers 2\n", 3, 1, "workers"),
	"a rule outside of an enclave": (LISTEN + "  allow *\n", 2, 3, "allow"),
	"a rule at the margin": (LISTEN + "enclave a cid=1\nallow *\n", 3, 1, "allow"),
	"an enclave without a cid": (LISTEN + "enclave a\n", 2, None, None),
	"an enclave twice": (LISTEN + "enclave a cid=1\nenclave a cid=2\n", 3, 9, "a"),
	"a cid in two enclaves": (LISTEN + "enclave a cid=1\nenclave b cid=2,1\n", 3, 17, "1"),
	"an unknown word in a block": (LISTEN + "enclave a cid=1\n  permit *\n", 3, 3, "permit"),
	"a rule without a pattern": (LISTEN + "enclave a cid=1\n  allow\n", 3, 3, "allow"),
	"host bits in a block": (LISTEN + "enclave a cid=1\n  allow 10.0.0.1/8\n", 3, None, None),
	"a prefix that is too long": (LISTEN + "enclave a cid=1\n  allow 10.0.0.0/33\n", 3, None, None),
	"a wildcard in the middle": (LISTEN + "enclave a cid=1\n  allow a.*.test\n", 3, None, None),
	"an address in another spelling": (LISTEN + "enclave a cid=1\n  allow 0x7f000001\n", 3, None, None),
	"an address with three parts": (LISTEN + "enclave a cid=1\n  allow 127.0.1\n", 3, None, None),
	"port zero": (LISTEN + "enclave a cid=1\n  allow a.test:0\n", 3, 16, None),
	"a port above the last": (LISTEN + "enclave a cid=1\n  allow a.test:65536\n", 3, 16, None),
	"a range that runs backwards": (LISTEN + "enclave a cid=1\n  allow a.test:9-8\n", 3, 16, None),
	"an empty port": (LISTEN + "enclave a cid=1\n  allow a.test:80,,81\n", 3, 19, None),
	"to= on a deny": (LISTEN + "enclave a cid=1\n  deny a.test to=10.0.0.0/8\n", 3, None, None),
	"to= on a block": (LISTEN + "enclave a cid=1\n  allow 10.0.0.0/8 to=10.0.0.0/8\n", 3, None, None),
	"to= a name": (LISTEN + "enclave a cid=1\n  allow a.test to=b.test\n", 3, None, None),
	"a word too many": (LISTEN + "enclave a cid=1\n  allow a.test to=10.0.0.0/8 b.test\n", 3, None, None),
	"a rate without a unit": (LISTEN + "enclave a cid=1\n  limit rate=500\n", 3, 14, "500"),
	"a limit of nothing": (LISTEN + "enclave a cid=1\n  limit connections=0\n", 3, 21, "0"),
	"an upstream of another kind": (LISTEN + "enclave a cid=1\n  upstream ftp://x:1\n", 3, 12, "ftp://x:1"),
	"an upstream without a port": (LISTEN + "enclave a cid=1\n  upstream http://x\n", 3, None, None),
	"metrics on vsock": (LISTEN + "metrics vsock:any:1\n", 2, 9, "vsock:any:1"),
	"an admin socket on the network": (LISTEN + "admin tcp:127.0.0.1:1\n", 2, 7, "tcp:127.0.0.1:1"),
	"a NUL byte": (LISTEN + "workers 1\0\n", 2, None, None),
	"a control byte": (LISTEN + "workers \x07\n", 2, None, None),
	"nothing to listen on": ("# nothing\n", None, None, None),
	"an empty file": ("", None, None, None),
}


@pytest.mark.parametrize("what", BAD)
def test_a_mistake_is_told_with_its_place_and_its_word(directory, what):
	text, line, column, token = BAD[what]
	result, path = check(directory, text)
	assert result.status == 2, (result.stdout, result.stderr)
	assert result.stdout == ""
	place = re.search(rf"{re.escape(str(path))}:(\d+):(\d+): (.+)", result.stderr)
	assert place, result.stderr
	assert line is None or int(place[1]) == line, result.stderr
	assert column is None or int(place[2]) == column, result.stderr
	assert token is None or f"`{token}`" in place[3], result.stderr
	assert result.stderr.isprintable() or result.stderr.replace("\n", "").isprintable()


def test_hostd_does_not_start_with_a_mistake_and_says_where_it_is(directory):
	path = directory / "a.conf"
	path.write_text("listen unix:/x\n")
	result = hostd("-c", str(path))
	assert result.status == 2
	assert f"{path}:1:8: " in result.stderr


@pytest.mark.parametrize("words", [["check", "-c", "/nowhere/hostd.conf"], ["-c", "/nowhere/hostd.conf"]])
def test_a_file_that_is_not_there_is_a_configuration_error(words):
	result = hostd(*words)
	assert result.status == 2
	assert "/nowhere/hostd.conf" in result.stderr


@pytest.mark.parametrize(
	"words", [["frobnicate"], ["check", "extra"], ["-x"], ["explain"], ["-c"], ["explain", "16"]]
)
def test_wrong_usage_is_told_with_status_2(words):
	result = hostd(*words)
	assert result.status == 2
	assert result.stderr and not result.stdout


def test_a_file_that_is_too_large_is_refused(directory):
	result, _ = check(directory, LISTEN + "# filler\n" * 200_000)
	assert result.status == 2 and result.stderr


# --- explain

RULES = """
  allow *.web.test:443
  allow db.test to=10.11.0.0/24
  deny *.evil.web.test
  allow 127.0.0.1:8000-8100
"""

QUESTIONS = [
	# cid, destination, status, words that the answer must contain
	("16", "a.web.test:443", 0, ["*.web.test:443"]),
	("16", "a.web.test:80", 1, []),
	("16", "x.evil.web.test:443", 1, ["*.evil.web.test"]),
	("16", "other.test:443", 1, []),
	("16", "127.0.0.1:8000", 0, ["127.0.0.1:8000-8100"]),
	("16", "127.0.0.1:9000", 1, []),
	("16", "169.254.169.254:80", 1, []),
	("16", "[::1]:80", 1, []),
	("17", "a.web.test:443", 1, []),
	("99", "a.web.test:443", 1, []),
]


@pytest.fixture
def explaining(directory):
	path = directory / "explain.conf"
	path.write_text(LISTEN + "enclave test cid=16" + RULES + "enclave other cid=17\n")
	return path


@pytest.mark.parametrize("cid, destination, status, words", QUESTIONS)
def test_explain_names_the_rule_that_decides(explaining, dns, cid, destination, status, words):
	dns.add("a.web.test", "11.0.0.5")
	result = hostd("explain", "-c", str(explaining), cid, destination)
	assert result.status == status, (result.stdout, result.stderr)
	assert result.stdout.strip()
	for word in words:
		assert word in result.stdout
	if words:
		lines = explaining.read_text().splitlines()
		number = 1 + next(index for index, line in enumerate(lines) if words[0] in line)
		assert re.search(rf"\b{number}\b", result.stdout), result.stdout


@pytest.mark.parametrize(
	"destination",
	["a.web.test", "a.web.test:", "a.web.test:http", "a.web.test:99999", ":80", "a b:1"],
)
def test_explain_of_no_destination_is_wrong_usage(explaining, destination):
	assert hostd("explain", "-c", str(explaining), "16", destination).status == 2


def test_explain_agrees_with_what_hostd_does(start, dns):
	host = start("allow *\ndeny *.evil.test\ndeny *:25\nallow db.test to=10.0.0.0/8")
	for name, address in (("a.test", "11.0.0.5"), ("x.evil.test", "11.0.0.5"), ("db.test", "10.11.0.1")):
		dns.add(name, address)
		for port in (25, 443):
			told = host.admin("explain", str(CID), f"{name}:{port}").status == 0
			done = host.refusal((TOKEN, port), name)[0] == "dial"
			assert told == done, (name, port)


# --- the admin socket

def test_status_tells_about_enclaves_and_their_streams(host, origin):
	with pair(host, origin):
		wire.wait_until(lambda: "streams relaying 1\n" in host.admin("status").stdout, "the stream is counted")
		result = host.admin("status")
		assert result.status == 0, result.stderr
		assert re.search(r"^enclave test connections 1 ", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("word", ["status", "drain", "reload"])
def test_without_a_running_hostd_a_command_says_so_with_status_3(directory, word):
	path = directory / "a.conf"
	path.write_text(LISTEN + f"admin unix:{directory}/nobody.admin\n")
	result = hostd(word, "-c", str(path))
	assert result.status == 3
	assert f"{directory}/nobody.admin" in result.stderr


@pytest.mark.parametrize("word", ["status", "drain", "reload"])
def test_without_an_admin_socket_a_command_says_so(directory, word):
	path = directory / "a.conf"
	path.write_text(LISTEN)
	result = hostd(word, "-c", str(path))
	assert result.status in (2, 3)
	assert "admin" in result.stderr


def test_the_admin_socket_is_its_owner_s_alone(host):
	assert host.admin_path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("garbage", [b"", b"\n", b"frobnicate\n", b"status" * 10_000, b"\0\xff" * 100])
def test_garbage_on_the_admin_socket_harms_nothing(host, origin, garbage):
	with wire.dial(host.admin_path) as stream:
		try:
			stream.sendall(garbage)
			stream.shutdown(socket.SHUT_WR)
			stream.recv(1000)
		except (ConnectionResetError, BrokenPipeError):
			pass
	with wire.dial(host.admin_path), pair(host, origin) as (opener, accepted):
		exchange(opener, accepted)  # though an admin stream hangs around in silence
	assert host.admin("status").status == 0


# --- metrics

PORT = 9464
SAMPLE = re.compile(
	r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
	r'(?:\{(?P<labels>[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*"(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*")*)?\})?'
	r" (?P<value>[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf|NaN))"
)


def get(path, method="GET"):
	connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=wire.PATIENCE)
	try:
		connection.request(method, path)
		response = connection.getresponse()
		return response.status, response.read().decode(), response.headers
	finally:
		connection.close()


def samples():
	"""{name with labels: value}; checks the text format on the way."""
	status, text, headers = get("/metrics")
	assert status == 200 and headers["Content-Type"].startswith("text/plain")
	assert text.endswith("\n")
	found, types = {}, {}
	for line in text.splitlines():
		if line.startswith("# TYPE "):
			_, _, name, kind = line.split(" ")
			assert name not in types and kind in ("counter", "gauge", "histogram", "summary")
			types[name] = kind
		elif line.startswith("#") or not line:
			assert line.startswith("# HELP ") or not line
		else:
			sample = SAMPLE.fullmatch(line)
			assert sample, line
			base = re.sub(r"_(bucket|sum|count)$", "", sample["name"])
			assert sample["name"] in types or base in types, f"no TYPE before {line}"
			key = line.rsplit(" ", 1)[0]
			assert key not in found, f"twice: {line}"
			found[key] = float(sample["value"])
	return found


def total(found, *words):
	"""The sum of all samples whose name and labels hold every word."""
	return sum(value for key, value in found.items() if all(word in key for word in words))


@pytest.fixture
def measured(start):
	return start(more=f"metrics tcp:127.0.0.1:{PORT}")


def test_metrics_are_prometheus_text_and_count_what_happened(measured, origin):
	before = samples()
	with pair(measured, origin) as (opener, accepted):
		opener.send(bytes(12345))
		assert len(accepted.recv(12345, socket.MSG_WAITALL)) == 12345
		accepted.sendall(bytes(23456))
		assert len(opener.receive(23456)) == 23456
		during = samples()
	with RefusingPort() as refusing:
		assert measured.refusal(refusing.destination) == ("dial", "refused")
	assert measured.refusal(("12.0.0.1", 80)) == ("policy", "denied")
	for kind in ("none", "refused", "denied"):
		measured.wait_log(**{"class": kind})  # a stream is counted before its end is logged
	after = samples()
	changed = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
	assert len(changed) >= 3, changed
	assert all(name.startswith("airlock_") for name in after)
	assert any(value == 1 and "refused" in key for key, value in changed.items()), changed
	assert any(value == 1 and "denied" in key for key, value in changed.items()), changed
	assert any(value == 12345 and "up" in key for key, value in changed.items()), changed
	assert any(value == 23456 and "down" in key for key, value in changed.items()), changed
	assert during != before


def test_counters_never_go_down(measured, origin):
	before = samples()
	counters = {line.split(" ")[2] for line in get("/metrics")[1].splitlines() if line.endswith(" counter")}
	for _ in range(5):
		with pair(measured, origin) as (opener, accepted):
			exchange(opener, accepted)
		after = samples()
		for key, value in before.items():
			if key.split("{")[0] in counters:
				assert after.get(key, 0) >= value, key
		before = after


def test_health_and_readiness_are_told_apart_during_a_drain(start, origin):
	host = start(more=f"metrics tcp:127.0.0.1:{PORT}", timeouts="header=5s dial=10s idle=1h drain=60s")
	assert get("/healthz")[0] == 200 and get("/readyz")[0] == 200
	with pair(host, origin):
		assert host.admin("drain").status == 0
		wire.wait_until(lambda: get("/readyz")[0] == 503, "not ready while it drains")
		assert get("/healthz")[0] == 200
	assert host.has_ended(wire.PATIENCE)
	assert host.stop() == 0


@pytest.mark.parametrize("path, status", [("/", 404), ("/metricsx", 404), ("/../metrics", 404)])
def test_other_paths_are_not_found(measured, path, status):
	assert get(path)[0] == status


def test_other_methods_are_refused(measured):
	assert get("/metrics", "POST")[0] in (400, 404, 405, 501)


def test_silent_and_endless_scrapers_harm_nothing(measured, origin):
	silent = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(100)]
	with socket.create_connection(("127.0.0.1", PORT)) as endless:
		try:
			for _ in range(200):
				endless.sendall(b"X" * 1000)
		except (ConnectionResetError, BrokenPipeError):
			pass
	with pair(measured, origin) as (opener, accepted):
		exchange(opener, accepted)
	for connection in silent:
		connection.close()
	assert samples()
