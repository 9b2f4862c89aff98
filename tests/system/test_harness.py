# SPDX-License-Identifier: MIT
"""The tests' own world: what the other tests take for granted about it."""
import errno
import os
import socket
import time

import pytest

from support import dns_server, hostd, peer, process, upstream, world


def connect(host, port=9):
	with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
		sock.settimeout(10)
		return sock.connect_ex((host, port))


@pytest.mark.parametrize("host, expected", [
	(world.PROHIBITED, errno.EACCES),
	(world.UNREACHABLE, errno.EHOSTUNREACH),
	(world.BLACKHOLE, errno.EINVAL),
	(world.NO_ROUTE, errno.ENETUNREACH),
	(world.PUBLIC, errno.ECONNREFUSED),
])
def test_addresses_fail_as_their_names_say(host, expected):
	assert connect(host) == expected


def test_there_is_no_device_to_leave_by():
	assert [name for _, name in socket.if_nameindex()] == ["lo"]


def test_a_dropped_syn_times_out_in_seconds(peers):
	silent = peers.drop()
	begun = time.monotonic()
	with socket.socket() as sock:
		assert sock.connect_ex(silent.address) == errno.ETIMEDOUT
	assert 2 < time.monotonic() - begun < 20  # not the two minutes of the kernel's default


def test_names_come_from_the_scripted_server(dns):
	dns.add("one.test", "11.0.0.77")
	assert socket.gethostbyname("one.test") == "11.0.0.77"
	assert ("one.test", "A") in dns.queries
	with pytest.raises(socket.gaierror) as failure:
		socket.gethostbyname("nobody.test")
	assert failure.value.errno == socket.EAI_NONAME


def test_dns_answers_can_fail_change_and_wait(dns):
	dns.fail("broken.test", dns_server.SERVFAIL)
	with pytest.raises(socket.gaierror) as failure:
		socket.gethostbyname("broken.test")
	assert failure.value.errno == socket.EAI_AGAIN
	dns.change("moving.test", ["11.0.0.5"], ["10.11.0.5"])
	assert [socket.gethostbyname("moving.test") for _ in range(3)] == ["11.0.0.5", "10.11.0.5", "10.11.0.5"]
	dns.add("slow.test", "11.0.0.6")
	dns.delay("slow.test", 0.5)
	begun = time.monotonic()
	assert socket.gethostbyname("slow.test") == "11.0.0.6"
	assert time.monotonic() - begun >= 0.5


def test_an_enclave_has_no_network_and_no_names(airlock):
	result = process.run(world.ENCLAVE_PREFIX + ["sh", "-c", "cat /etc/resolv.conf /etc/hosts; ip -o addr"])
	assert (result.status, result.stdout, result.stderr) == (0, "", "")


def test_peers_echo_reset_half_close_and_dribble(peers):
	with socket.create_connection(peers.listen(peer.echo).address) as sock:
		sock.sendall(b"twice")
		assert sock.recv(10) == b"twice"
	with socket.create_connection(peers.listen(peer.send_then_reset(b"x")).address) as sock:
		assert sock.recv(10) == b"x"
		sock.sendall(b"y")
		with pytest.raises(ConnectionResetError):
			sock.recv(10)
	half = peers.listen(peer.send_then_close(b"done"))
	with socket.create_connection(half.address) as sock:
		assert sock.recv(10) + sock.recv(10) == b"done"
		sock.sendall(b"still here")
	connection = half.wait_connections()[0]
	assert connection.wait_end() == "eof" and connection.received == b"still here"
	with socket.create_connection(peers.listen(peer.dribble(b"slow", 0.01)).address) as sock:
		assert sock.makefile("rb").read() == b"slow"
	assert connect(*peers.refuse().address) == errno.ECONNREFUSED


def ask_socks(proxy, host, port):
	sock = socket.create_connection((proxy.host, proxy.port))
	sock.sendall(b"\x05\x01\x00")
	assert sock.recv(2) == b"\x05\x00"
	sock.sendall(b"\x05\x01\x00\x03" + bytes([len(host)]) + host.encode() + port.to_bytes(2, "big"))
	return sock


def test_an_upstream_holds_its_answer_until_released(peers, upstreams):
	origin = peers.listen(peer.echo)
	proxy = upstreams.socks5(hold=None)
	with ask_socks(proxy, "public.test", origin.port) as sock:
		assert proxy.wait_asked() == [("public.test", origin.port)]
		sock.settimeout(0.2)
		with pytest.raises(TimeoutError):
			sock.recv(10)
		proxy.release()
		sock.settimeout(10)
		assert upstream.read_exactly(sock, 10)[:2] == b"\x05\x00"
		sock.sendall(b"through")
		assert upstream.read_exactly(sock, 7) == b"through"
	refusing = upstreams.socks5(reply=upstream.REFUSED)
	with ask_socks(refusing, "public.test", 1) as sock:
		assert upstream.read_exactly(sock, 10)[1] == upstream.REFUSED


def test_a_program_that_does_not_end_is_ended():
	with pytest.raises(AssertionError, match="still ran after"):
		process.run(["sleep", "60"], timeout=0.2)


def test_origins_serve(web, redis, postgres, sshd, git_commit, authority, airlock):
	assert airlock.native(["curl", "-sS", "--cacert", authority.ca, "https://web.test/page.txt"]).stdout \
		== "a page from web.test\n"
	assert airlock.native(["redis-cli", "-h", "redis.test", "ping"]).stdout == "PONG\n"
	assert airlock.native(["psql", "-h", "postgres.test", "-U", "postgres", "-Atc", "select 6*7"]).stdout \
		== "42\n"
	assert airlock.native(["ssh", *sshd.options, "ssh.test", "echo", "hello"]).stdout == "hello\n"
	assert len(git_commit) == 40
	assert os.path.isdir(web.root / "repo.git")


# A machine whose /etc lacks both files: a copy, in a mount namespace, of what can be read.
BARE = """set -e
cp -a /etc/. "$0" 2>/dev/null || :
rm -f "$0/hosts" "$0/resolv.conf"
mount --bind "$0" /etc
"$@" || :
ls /etc/hosts /etc/resolv.conf 2>&1 | grep -c 'No such file'
"""
ENTER = "from support import world; world.enter(); print(open('/etc/hosts').read())"


@pytest.mark.parametrize("command, text", [
	(["/usr/bin/python3", "-c", ENTER], "in-hosts-file.test"),
	([str(hostd.TOP / "demo/run"), "--inside"], "fake openssl"),
], ids=["world", "demo"])
def test_files_that_are_made_in_etc_to_be_covered_do_not_stay(directory, command, text):
	(directory / "openssl").write_text("#!/bin/sh\necho fake openssl >&2\nexit 1\n")  # the demonstration ends here
	(directory / "openssl").chmod(0o755)
	etc = directory / "etc"
	etc.mkdir()
	result = process.run(["unshare", "--mount", "--net", "sh", "-c", BARE, str(etc), *command],
		env=dict(os.environ, LC_ALL="C", PATH=f"{directory}:{os.environ['PATH']}", PYTHONPATH=str(hostd.TOP / "tests")))
	assert text in result.stdout + result.stderr
	assert result.stdout.splitlines()[-1] == "2", result.stdout + result.stderr
