# SPDX-License-Identifier: MIT
"""What is not routed stays what it was: servers, loopback, datagrams, netlink, unix sockets, files.
hostd hears of none of it, and the library asks the kernel nothing about it."""
import re

import pytest

from support import peer, process, world
from support.airlock import library


def _need(*programs):
	for program in programs:
		if not process.which(program):
			pytest.skip(f"{program} is not installed")


@pytest.fixture
def stays_local(airlock, peers, probe):
	"""both(command) of which hostd must see nothing. That it would is shown by a stream that is its own."""
	def run(command, normalise=None, **options):
		pair = airlock.both(command, **options).assert_same(normalise=normalise)
		origin = peers.listen(peer.send_then_close(b"routed"))
		airlock.run([probe("transfer"), "until-the-end", origin.host, origin.port])
		peer.wait_until(lambda: streams(airlock.hostd), what="hostd's line about the routed stream")
		assert len(streams(airlock.hostd)) == 1, airlock.hostd.output
		return pair
	return run


def streams(hostd):
	return [line for line in hostd.log() if "id" in line]


@pytest.mark.parametrize("case, host", [("datagrams", "127.0.0.1"), ("datagrams", "::1"), ("netlink", "-"),
	("dual-stack", "127.0.0.1"), ("pairs-and-files", "11.0.0.1")])
def test_what_is_local(stays_local, probe, case, host):
	if ":" in host and not world.has_ipv6:
		pytest.skip("this kernel has no IPv6")
	pair = stays_local([probe("local"), case, host, "0"])
	assert pair.native.status == 0 and "gave up" not in pair.native.stdout, pair.describe()


def test_unix_names_of_every_length(stays_local, probe, directory):
	(directory / "names").mkdir()
	pair = stays_local([probe("local"), "unix-names", directory / "names", "0"])
	assert "gave up" not in pair.native.stdout and "same 1" in pair.native.stdout, pair.describe()


# --- real programs

WAIT = "until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.02; done; "


def bash(script):
	return ["bash", "-c", script]


def test_redis_on_loopback(stays_local, directory):
	_need("redis-server", "redis-cli")
	port, socket = 6401, directory / "redis.sock"
	pair = stays_local(bash(f"""
		redis-server --bind 127.0.0.1 ::1 --port {port} --unixsocket {socket} --save '' --dir {directory} \\
			--logfile /dev/null &
		{WAIT.format(port=port)}
		redis-cli -p {port} set key value
		redis-cli -h localhost -p {port} get key
		redis-cli -h ::1 -p {port} append key 2
		redis-cli -s {socket} get key
		redis-benchmark -p {port} -q -n 2000 -c 20 -t set,get | grep -c 'requests per second'
		redis-cli -p {port} shutdown nosave
		wait"""))
	assert pair.native.stdout == "OK\nvalue\n6\nvalue2\n2\n", pair.describe()


def test_a_web_server_and_its_client_on_loopback(stays_local, directory):
	_need("curl")
	(directory / "page").write_text("served from loopback\n")
	pair = stays_local(bash(f"""
		/usr/bin/python3 -u -m http.server --bind 127.0.0.1 --directory {directory} 8401 >/dev/null 2>&1 &
		server=$!
		{WAIT.format(port=8401)}
		curl -sS http://127.0.0.1:8401/page http://localhost:8401/page
		curl -sS http://127.0.0.1:8402/page
		kill $server"""))
	assert pair.native.stdout == "served from loopback\n" * 2, pair.describe()
	assert "Failed to connect to 127.0.0.1 port 8402" in pair.native.stderr


def test_a_message_bus(stays_local):
	_need("dbus-run-session", "dbus-send")
	pair = stays_local(["dbus-run-session", "--", "dbus-send", "--session", "--print-reply=literal",
		"--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ListNames"],
		normalise=lambda text: re.sub(r"[0-9]+", "N", text))
	assert "org.freedesktop.DBus" in pair.native.stdout, pair.describe()


def test_names_of_loopback(stays_local):
	pair = stays_local(["getent", "ahosts", "localhost"])
	assert "127.0.0.1" in pair.native.stdout or "::1" in pair.native.stdout, pair.describe()


@pytest.mark.parametrize("server", ["http.server", "nginx"])
def test_a_preloaded_server_accepts_from_outside(airlock, background, directory, server):
	"""Its callers are plain programs. As many as it can serve at once, and one after the other."""
	host, port = "11.0.0.30", 8403
	(directory / "page").write_text("served by a preloaded program\n")
	if server == "nginx":
		_need("nginx")
		(directory / "nginx.conf").write_text(f"""daemon off; user root root; worker_processes 2;
			pid {directory}/pid; error_log stderr; events {{ }}
			http {{ log_format who $remote_addr; access_log {directory}/access who;
			server {{ listen {host}:{port}; root {directory}; }} }}""")
		command = [process.which("nginx"), "-p", directory, "-e", "stderr", "-c", directory / "nginx.conf"]
	else:
		command = ["/usr/bin/python3", "-u", "-m", "http.server", "--bind", host, "--directory", directory,
			port]
	daemon = background(airlock.popen([str(word) for word in command], enclave=False))
	process.wait_listening(daemon, (host, port))
	# http.server has room for five that it has not accepted yet (socketserver's request_queue_size).
	result = airlock.native(["curl", "-sS", "--no-progress-meter", "--parallel", "--parallel-max",
		"50" if server == "nginx" else "5", f"http://{host}:{port}/page?[1-50]"])
	assert result.stdout == "served by a preloaded program\n" * 50, daemon.output
	said = lambda: (directory / "access").read_text() if server == "nginx" else daemon.output
	peer.wait_until(lambda: said().count("11.0.0.") >= 50, what="a line for each caller, by its address")
	assert not streams(airlock.hostd), airlock.hostd.output


# --- what it costs

def syscalls(airlock, probe, times, env):
	"""How often each system call was made."""
	_need("strace")
	report = airlock.home / "strace"
	result = airlock.native(["strace", "-f", "-qq", "-o", report, *(f"-E{key}={value}" for key, value in
		env.items()), probe("local"), "calls", "127.0.0.1", "0", times], timeout=60)
	assert result.stdout == "moved\n", result
	counts = {}
	for call in re.findall(r"^\d+ +(\w+)\(", report.read_text(), re.MULTILINE):
		counts[call] = counts.get(call, 0) + 1
	return counts


def growth(airlock, probe, env):
	# The first program of all sets up what those after it share.
	_, few, many = (syscalls(airlock, probe, times, env) for times in (5, 5, 105))
	return {call: many[call] - few.get(call, 0) for call in many if many[call] != few.get(call, 0)}


def test_unrouted_calls_make_no_further_system_call(airlock, probe):
	preload = {"LD_PRELOAD": library(), "AIRLOCK_CONF": airlock.config}
	native = growth(airlock, probe, {})
	assert native["write"] == 600 and native["recvfrom"] == 800, native
	assert growth(airlock, probe, preload) == native
