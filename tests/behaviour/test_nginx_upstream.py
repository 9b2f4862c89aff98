# SPDX-License-Identifier: MIT
"""nginx as a proxy: it puts an upstream's socket into epoll, edge-triggered, before it connects it, its
workers are forks of a master, and it clears their environment."""
import os
import re

import pytest

from support import peer, process

BODY = os.urandom(1 << 20) * 50
WAYS = pytest.mark.parametrize("way", ["native", "airlock"])

CONFIG = """
daemon off;
user root root;
master_process on;
worker_processes 2;
pid {directory}/nginx.pid;
error_log stderr info;
events {{ worker_connections 512; }}
http {{
	access_log off;
	client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
	uwsgi_temp_path {directory}; scgi_temp_path {directory};
	client_max_body_size 64m;
	upstream kept {{ server {host}:{port}; keepalive 4; }}
	upstream second_choice {{ server {host}:{refused}; server {host}:{port} backup; }}
	server {{
		listen unix:{directory}/proxy.sock;
		proxy_connect_timeout 1s;
		proxy_next_upstream error timeout;
		proxy_http_version 1.1;
		proxy_set_header Connection "";
		location / {{ proxy_pass http://kept; }}
		location /second-choice {{ proxy_pass http://second_choice; }}
		location /refused {{ proxy_connect_timeout 20s; proxy_pass http://{host}:{refused}; }}
		location /held {{ proxy_pass http://{held_host}:{held_port}; }}
		location /worker {{ return 200 $pid; }}
	}}
}}
"""


def serve_pages(connection):
	"""HTTP/1.1 with keep-alive: GET gives BODY for /large and a line for others, PUT what it was sent."""
	while head := connection.read_until(b"\r\n\r\n"):
		request = head.split(b"\r\n")[0].split(b" ")
		length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
		answer = BODY if request[1] == b"/large" else b"a page\n"
		if length:
			begun = head.split(b"\r\n\r\n", 1)[1]
			answer = begun + read(connection.sock, int(length[1]) - len(begun))
		connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)


def read(sock, count):
	pieces = []
	while count and (piece := sock.recv(min(count, 1 << 20))):
		pieces.append(piece)
		count -= len(piece)
	return b"".join(pieces)


@pytest.fixture
def proxy(airlock, background, directory, peers):
	"""proxy(way, held) starts nginx; .get(path) asks it with curl, .origin is its upstream."""
	def start(way, held=("11.0.0.1", 9)):
		origin = peers.listen(serve_pages)
		config = directory / "nginx.conf"
		config.write_text(CONFIG.format(directory=directory, host=origin.host, port=origin.port,
			refused=peers.refuse().port, held_host=held[0], held_port=held[1]))
		command = [process.which("nginx"), "-p", str(directory), "-e", "stderr", "-c", str(config)]
		daemon = background(process.Daemon(command, env=airlock.environment()) if way == "native"
			else airlock.popen(command))
		process.wait_listening(daemon, f"{directory}/proxy.sock")
		daemon.origin, daemon.socket = origin, f"{directory}/proxy.sock"
		daemon.get = lambda path, *options: airlock.native(["curl", "-sS", "--unix-socket",
			daemon.socket, "-w", "%{stderr}%{http_code}", *options, f"http://proxy{path}"])
		return daemon
	if not process.which("nginx"):
		pytest.skip("nginx is not installed")
	return start


@WAYS
def test_a_refused_upstream_is_a_502_at_once(proxy, way):
	nginx = proxy(way)
	for _ in range(4):
		result = nginx.get("/refused")
		assert result.stderr == "502", nginx.output
		assert result.seconds < 10, "sooner than its timeout"
	nginx.wait_line("connect() failed (111: Connection refused) while connecting to upstream")


@WAYS
def test_a_refused_upstream_gives_way_to_the_next(proxy, way):
	nginx = proxy(way)
	for _ in range(4):
		result = nginx.get("/second-choice")
		assert (result.stdout, result.stderr) == ("a page\n", "200"), nginx.output


@WAYS
def test_a_dial_that_hangs_is_a_504_at_its_own_timeout(proxy, peers, way):
	silent = peers.drop(gives_up=False)
	nginx = proxy(way, silent.address)
	result = nginx.get("/held")
	assert result.stderr == "504", nginx.output
	assert 0.9 < result.seconds < 9, "its timeout is one second, hostd's ten"
	nginx.wait_line(re.compile(r"upstream timed out \(110: .*\) while connecting to upstream").search)


def test_other_requests_are_answered_while_a_dial_is_held(proxy, airlock, hostd, upstreams, background):
	"""Every upstream is held, and both workers have dials under way: pages of their own still come."""
	held = upstreams.socks5(hold=None)
	airlock.use(hostd(upstream=held.url))
	nginx = proxy("airlock")
	waiting = [background(process.Daemon(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}\n",
		"--unix-socket", nginx.socket, "http://proxy/held"], env=airlock.environment()))
		for _ in range(8)]
	held.wait_asked(8)
	workers = {nginx.get("/worker").stdout for _ in range(20)}
	assert "" not in workers, nginx.output
	assert [daemon.wait_line("50") for daemon in waiting] == ["504"] * 8, nginx.output


@WAYS
def test_a_large_body_comes_intact(proxy, way):
	result = proxy(way).get("/large")
	assert result.stderr == "200" and result.raw == BODY


@WAYS
def test_a_large_body_goes_and_comes_intact(proxy, directory, way):
	(directory / "body").write_bytes(BODY)
	result = proxy(way).get("/echo", "-H", "Expect:", "-T", f"{directory}/body")
	assert result.stderr == "200" and result.raw == BODY


@WAYS
def test_kept_connections_are_used_again(proxy, way):
	nginx = proxy(way)
	for _ in range(40):
		assert nginx.get("/page").stdout == "a page\n", nginx.output
	assert len(nginx.origin.connections) <= 2, "one for each worker"


@WAYS
def test_a_kept_connection_that_the_upstream_closed_is_not_used(proxy, way):
	nginx = proxy(way)
	assert nginx.get("/page").stdout == "a page\n"
	for connection in nginx.origin.wait_connections(1):
		connection.sock.shutdown(2)
		connection.wait_end()
	for _ in range(6):
		result = nginx.get("/page")
		assert (result.stdout, result.stderr) == ("a page\n", "200"), nginx.output


def test_requests_at_once_leave_nothing_in_hostd(proxy, airlock):
	before = len(airlock.hostd.open_descriptors())
	nginx = proxy("airlock")
	result = nginx.get("/page?[1-200]", "--no-progress-meter", "--parallel", "--parallel-max", "50")
	assert result.stdout == "a page\n" * 200, nginx.output
	nginx.stop()
	peer.wait_until(lambda: len(airlock.hostd.open_descriptors()) <= before, what="hostd to close nginx's connections")
