# SPDX-License-Identifier: MIT
"""Real programs, each run natively and through hostd from an enclave without a network, and compared:
exit status, output, and what they say about errors."""
import hashlib
import re
import textwrap

import pytest

from support import process
from support.airlock import without_times


def _need(*programs):
	for program in programs:
		if not process.which(program):
			pytest.skip(f"{program} is not installed")


@pytest.fixture
def script(directory):
	"""script("name.py", text): writes a program, returns its path."""
	def write(name, text):
		path = directory / name
		path.write_text(textwrap.dedent(text).lstrip())
		path.chmod(0o755)
		return str(path)
	return write


def succeeds(pair, expected=None, **options):
	pair.assert_same(**options)
	assert pair.native.status == 0, pair.describe()
	if expected is not None:
		assert expected in pair.native.stdout, pair.describe()


# --- curl

def test_curl_gets_a_page_over_http(both, web):
	succeeds(both(["curl", "-sS", "-i", "-H", "Accept:", "http://web.test/page.txt"]), "a page from web.test",
		normalise=lambda text: re.sub(r"Date: .*", "", text))


def test_curl_follows_a_redirect_on_one_connection(both, web):
	succeeds(both(["curl", "-sSL", "-w", "%{http_code} %{num_redirects} %{num_connects}\n",
		"http://web.test/redirect"]), "200 1 1")


def test_curl_gets_a_page_over_https(both, web, authority):
	succeeds(both(["curl", "-sS", "--http1.1", "--cacert", authority.ca, "https://web.test/who"]),
		"HTTP/1.1 https web.test")


def test_curl_speaks_http2(both, web, authority):
	succeeds(both(["curl", "-sS", "--http2", "--cacert", authority.ca, "https://web.test/who"]),
		"HTTP/2.0 https web.test")


def test_curl_gets_eight_streams_at_once(both, web, authority):
	urls = ["https://web.test/page.txt"] * 8
	succeeds(both(["curl", "-sS", "--no-progress-meter", "--parallel", "--cacert", authority.ca, *urls]), "a page from web.test\n" * 8)


def test_curl_gets_a_large_file_intact(airlock, web, authority):
	pair = airlock.both(["curl", "-sS", "--cacert", authority.ca, "https://web.test/large.bin"])
	for result in (pair.native, pair.airlock):
		assert (result.status, len(result.raw)) == (0, len(web.large))
		assert hashlib.sha256(result.raw).digest() == hashlib.sha256(web.large).digest()


def test_curl_refuses_an_unknown_authority(both, web):
	pair = both(["curl", "-sS", "https://web.test/page.txt"]).assert_same()
	assert pair.native.status == 60


def test_curl_refuses_another_name(both, web, authority, dns):
	dns.add("other.test", "11.0.0.20")
	pair = both(["curl", "-sS", "--cacert", authority.ca, "https://other.test/"]).assert_same()
	assert pair.native.status == 60


def test_curl_by_address(both, web, authority):
	succeeds(both(["curl", "-sS", "--cacert", authority.ca, "https://11.0.0.20/page.txt"]),
		"a page from web.test")


def test_curl_over_ipv6(both, web, authority):
	succeeds(both(["curl", "-sS", "--cacert", authority.ca, "https://web6.test/page.txt"]),
		"a page from web.test")


def test_curl_tells_the_destination_that_it_reached(both, web):
	pair = both(["curl", "-sS", "-o", "/dev/null", "-w", "%{remote_port} %{http_code} %{num_connects}\n",
		"http://web.test/page.txt"])
	succeeds(pair, "80 200 1")


# --- wget

def test_wget_over_http(both, web):
	pair = both(["wget", "-q", "-O", "-", "http://web.test/page.txt"])
	succeeds(pair, "a page from web.test")


def test_wget_over_https(both, web, authority):
	succeeds(both(["wget", "-q", "-O", "-", f"--ca-certificate={authority.ca}",
		"https://web.test/page.txt"]), "a page from web.test")


def test_wget_says_what_went_wrong(both, web):
	pair = both(["wget", "-nv", "-O", "-", "http://web.test/absent"])
	pair.assert_same(normalise=without_times)
	assert pair.native.status == 8


def test_wget_of_a_port_that_refuses(both, peers):
	port = peers.refuse().port
	pair = both(["wget", "-t", "1", "-nv", "-O", "-", f"http://public.test:{port}/"])
	assert pair.native.status == pair.airlock.status == 4, pair.describe()
	assert all("Connection refused" in result.stderr for result in (pair.native, pair.airlock)), \
		pair.describe()


# --- python

def test_python_http_client_and_ssl(both, web, authority, script):
	program = script("client.py", f"""
		import http.client, ssl
		trust = ssl.create_default_context(cafile="{authority.ca}")
		for connection in (http.client.HTTPConnection("web.test"),
				http.client.HTTPSConnection("web.test", context=trust)):
			for path in ("/page.txt", "/absent"):
				connection.request("GET", path)
				answer = connection.getresponse()
				print(answer.status, len(answer.read()))
			print(connection.sock.getpeername()[1], connection.sock.family.name)
		""")
	succeeds(both(["/usr/bin/python3", program]), "200 21")


def test_python_asyncio_many_at_once(both, web, authority, script):
	program = script("streams.py", f"""
		import asyncio, ssl
		trust = ssl.create_default_context(cafile="{authority.ca}")
		async def get(number):
			secure = dict(port=443, ssl=trust) if number % 2 else dict(port=80)
			reader, writer = await asyncio.open_connection("web.test", **secure)
			writer.write(b"GET /page.txt HTTP/1.0\\r\\nHost: web.test\\r\\n\\r\\n")
			data = await reader.read()
			writer.close()
			await writer.wait_closed()
			return data.endswith(b"a page from web.test\\n")
		async def main():
			print(sum(await asyncio.gather(*map(get, range(40)))))
		asyncio.run(main())
		""")
	succeeds(both(["/usr/bin/python3", program]), "40")


def test_python_errors_read_the_same(both, peers, script):
	port = peers.refuse().port
	program = script("errors.py", f"""
		import socket
		for name, port in (("public.test", {port}), ("nobody.test", 80), ("11.0.0.1", {port})):
			try:
				socket.create_connection((name, port), 10)
			except OSError as error:
				print(type(error).__name__, error)
		""")
	pair = both(["/usr/bin/python3", program]).assert_same()
	assert "ConnectionRefusedError" in pair.native.stdout and "gaierror" in pair.native.stdout


# --- node

def test_node_net_tls_and_fetch(both, web, authority, script):
	_need("node")
	program = script("client.mjs", """
		import net from 'node:net';
		import tls from 'node:tls';
		const read = socket => new Promise((resolve, reject) => {
			let text = '';
			socket.on('data', data => text += data).on('end', () => resolve(text)).on('error', reject);
			socket.write('GET /page.txt HTTP/1.0\\r\\nHost: web.test\\r\\n\\r\\n');
		});
		console.log((await read(net.connect(80, 'web.test'))).split('\\r\\n\\r\\n')[1]);
		console.log((await read(tls.connect(443, 'web.test', {servername: 'web.test'}))).split('\\r\\n')[0]);
		console.log(await (await fetch('https://web.test/page.txt')).text());
		const pages = await Promise.all(Array.from({length: 20},
			() => fetch('http://web.test/page.txt').then(answer => answer.text())));
		console.log(pages.filter(page => page === 'a page from web.test\\n').length);
		await fetch('http://nobody.test/').catch(error => console.log(error.cause.code));
		""")
	succeeds(both(["node", program], env={"NODE_EXTRA_CA_CERTS": authority.ca}), "20\nENOTFOUND")


def test_node_sees_a_refusal(both, peers, script):
	_need("node")
	port = peers.refuse().port
	program = script("refused.mjs", f"""
		import net from 'node:net';
		net.connect({port}, 'public.test').on('error', error => console.log(error.code, error.syscall));
		""")
	succeeds(both(["node", program]), "ECONNREFUSED connect")


# --- redis, postgres

def test_redis_cli(both, redis):
	succeeds(both(["redis-cli", "-h", "redis.test", "ping"]), "PONG")
	succeeds(both(["redis-cli", "-h", "redis.test"], input="set key value\nget key\nstrlen key\n"),
		"value")


def test_redis_pipe_of_many_commands(both, redis):
	commands = "".join(f"SET key:{number} {'x' * (1 + number % 500)}\r\n" for number in range(20000))
	pair = both(["redis-cli", "-h", "redis.test", "--pipe"], input=commands)
	succeeds(pair, "errors: 0, replies: 20000")


def test_redis_benchmark(airlock, redis):
	result = airlock.run(["redis-benchmark", "-h", "redis.test", "-n", "4000", "-c", "50", "-t", "ping,set,get",
		"-q"])
	assert result.status == 0 and result.stdout.count("requests per second") == 4, result


def test_psql(both, postgres):
	connect = ["psql", "-h", "postgres.test", "-U", "postgres", "-At"]
	succeeds(both([*connect, "-c", "select count(*), sum(n) from generate_series(1, 100000) n"]),
		"100000|5000050000")
	succeeds(both([*connect, "-c", "copy (select repeat('x', 1000) from generate_series(1, 5000)) to stdout"]))


def test_psql_of_a_port_that_refuses(both, peers):
	_need("psql")
	port = peers.refuse().port
	pair = both(["psql", "-h", "public.test", "-p", str(port), "-c", "select 1"])
	# The text names the address that the name stands for: the enclave's is a token.
	pair.assert_same(normalise=lambda text: re.sub(r"\((198\.18|11\.0)\.[0-9.]+\)", "(ADDRESS)", text))
	assert pair.native.status == 2 and "Connection refused" in pair.native.stderr


# --- ssh, git

def test_ssh(both, sshd):
	succeeds(both(["ssh", *sshd.options, "ssh.test", "echo hello"]), "hello")
	pair = both(["ssh", *sshd.options, "ssh.test", "cat >&2; exit 7"], input="to stderr").assert_same()
	assert (pair.native.status, pair.native.stderr) == (7, "to stderr")


def test_ssh_carries_a_large_file_both_ways(airlock, sshd, web):
	result = airlock.run(["ssh", *sshd.options, "ssh.test", "cat"], input=web.large, timeout=60)
	assert result.status == 0 and result.raw == web.large


def test_scp(both, sshd, directory):
	(directory / "from").write_text("copied\n")
	pair = both(["scp", *sshd.options[:-2], f"root@ssh.test:{directory}/from", "/dev/stdout"])
	pair.assert_same(stderr=False)


def test_git_clone_over_https(airlock, web, git_commit, authority, directory):
	_need("git")
	def clone(run, name):
		target = directory / name
		result = run(["git", "-c", f"http.sslCAInfo={authority.ca}", "clone", "-q",
			"https://web.test/repo.git", str(target)], timeout=60)
		assert result.status == 0, result
		head = process.run(["git", "-C", str(target), "rev-parse", "HEAD"]).stdout.strip()
		check = process.run(["git", "-C", str(target), "fsck"])
		return head, check.status, (target / "readme").read_text(), result.stdout + result.stderr
	native = clone(airlock.native, "native")
	assert native == clone(airlock.run, "airlock")
	assert native[0] == git_commit


# --- openssl, java, perl

def test_openssl_s_client(both, web, authority):
	pair = both(["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", authority.ca,
		"-servername", "web.test", "-connect", "web.test:443"],
		input="GET /page.txt HTTP/1.0\r\nHost: web.test\r\n\r\n")
	succeeds(pair, "a page from web.test", normalise=lambda text: re.sub(r"Date: .*", "", text))


def test_java(both, web, script, peers):
	_need("java", "javac")
	port = peers.refuse().port
	program = script("Client.java", """
		import java.io.*;
		import java.net.*;
		import java.net.http.*;
		public class Client {
			public static void main(String[] arguments) throws Exception {
				try (Socket socket = new Socket("web.test", 80)) {
					socket.getOutputStream().write("GET /page.txt HTTP/1.0\\r\\n\\r\\n".getBytes());
					String text = new String(socket.getInputStream().readAllBytes());
					System.out.println(text.substring(text.indexOf("\\r\\n\\r\\n") + 4));
				}
				HttpResponse<String> answer = HttpClient.newHttpClient().send(
					HttpRequest.newBuilder(URI.create("http://web.test/page.txt")).build(),
					HttpResponse.BodyHandlers.ofString());
				System.out.println(answer.statusCode() + " " + answer.body());
				try {
					new Socket("public.test", Integer.parseInt(arguments[0]));
				} catch (IOException error) {
					System.out.println(error);
				}
				try {
					new Socket("nobody.test", 80);
				} catch (IOException error) {
					System.out.println(error);
				}
			}
		}
		""")
	succeeds(both(["java", program, str(port)], timeout=90), "Connection refused")


def test_perl_io_socket(both, web, peers, script):
	_need("perl")
	port = peers.refuse().port
	program = script("client.pl", f"""
		use IO::Socket::INET;
		my $socket = IO::Socket::INET->new(PeerAddr => "web.test:80") or die "failed: $@";
		print $socket "GET /page.txt HTTP/1.0\\r\\n\\r\\n";
		print <$socket>;
		print $socket->peerport, "\\n";
		IO::Socket::INET->new(PeerAddr => "public.test:{port}", Timeout => 5) or print "$!\\n";
		""")
	succeeds(both(["perl", program]), "Connection refused",
		normalise=lambda text: re.sub(r"Date: .*", "", text))


# --- nginx as a proxy

PROXY = """
daemon off; master_process {master}; pid {directory}/nginx.pid; error_log stderr warn; user root root;
worker_processes 2;
events {{ }}
http {{
	access_log off;
	client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
	uwsgi_temp_path {directory}; scgi_temp_path {directory};
	upstream pool {{ server web.test:80; keepalive 8; }}
	server {{
		listen unix:{directory}/proxy.sock;
		proxy_connect_timeout 5s;
		location / {{ proxy_pass http://pool; proxy_set_header Host web.test; }}
		location /secure/ {{
			proxy_pass https://web.test/; proxy_ssl_server_name on; proxy_ssl_name web.test;
			proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca};
		}}
		location /refused {{ proxy_pass http://public.test:{refused}; }}
	}}
}}
"""


@pytest.mark.parametrize("kind", ["native", "airlock"])
@pytest.mark.parametrize("master", ["off", "on"])
def test_nginx_as_a_proxy(airlock, web, authority, peers, directory, background, kind, master):
	config = directory / "nginx.conf"
	config.write_text(PROXY.format(directory=directory, ca=authority.ca, refused=peers.refuse().port,
		master=master))
	command = [process.which("nginx"), "-p", str(directory), "-e", "stderr", "-c", str(config)]
	daemon = background(process.Daemon(command, env=airlock.environment()) if kind == "native"
		else airlock.popen(command))
	process.wait_listening(daemon, f"{directory}/proxy.sock")

	def get(path):
		return airlock.native(["curl", "-sS", "--unix-socket", f"{directory}/proxy.sock",
			"-o", "-", "-w", "%{http_code}", f"http://proxy{path}"])

	for _ in range(5):
		assert get("/page.txt").stdout == "a page from web.test\n200"
	assert get("/secure/page.txt").stdout == "a page from web.test\n200"
	assert get("/refused").stdout.endswith("502")
	daemon.wait_line("Connection refused")
	large = airlock.native(["curl", "-sS", "--unix-socket", f"{directory}/proxy.sock",
		"http://proxy/large.bin"])
	assert large.raw == web.large


# --- busybox, socat, nc, bash

def test_busybox_wget(both, web):
	_need("busybox")
	if _is_static(process.which("busybox")):
		pytest.skip("this busybox is statically linked: nothing can be preloaded")
	succeeds(both(["busybox", "wget", "-q", "-O", "-", "http://web.test/page.txt"]), "a page from web.test")


def test_busybox_nc(both, web):
	_need("busybox")
	if _is_static(process.which("busybox")):
		pytest.skip("this busybox is statically linked: nothing can be preloaded")
	succeeds(both(["busybox", "nc", "web.test", "80"], input="GET /who HTTP/1.0\r\n\r\n"), "HTTP/1.0 http",
		normalise=lambda text: re.sub(r"Date: .*", "", text))


def _is_static(program):
	"""No PT_INTERP: readelf -l shows no interpreter."""
	return "interpreter" not in process.run(["readelf", "-l", program]).stdout


def test_socat(both, web):
	_need("socat")
	succeeds(both(["socat", "-t5", "-", "TCP:web.test:80"], input="GET /who HTTP/1.0\r\n\r\n"), "HTTP/1.0 http",
		normalise=lambda text: re.sub(r"Date: .*", "", text))


def test_netcat_openbsd(both, web):
	_need("nc.openbsd")
	succeeds(both(["nc.openbsd", "-N", "web.test", "80"], input="GET /who HTTP/1.0\r\n\r\n"), "HTTP/1.0 http",
		normalise=lambda text: re.sub(r"Date: .*", "", text))


def test_bash_dev_tcp(both, web, peers):
	port = peers.refuse().port
	script = r"""
		exec 3<>/dev/tcp/web.test/80
		printf 'GET /who HTTP/1.0\r\n\r\n' >&3
		tail -n 1 <&3
		exec 3>&- 3<>/dev/tcp/11.0.0.20/80 && echo again
		exec 3<>/dev/tcp/11.0.0.1/%d
		""" % port
	pair = both(["bash", "-c", script]).assert_same()
	assert "HTTP/1.0 http" in pair.native.stdout and "Connection refused" in pair.native.stderr
