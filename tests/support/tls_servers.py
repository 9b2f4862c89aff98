# SPDX-License-Identifier: MIT
"""Real servers that speak TLS only: nginx, redis, PostgreSQL, on addresses of their own."""
import os
import pathlib
import pwd
import subprocess

from support import process
from support.airlock import clean_environment
from support.origins import find_postgres

WEB, REDIS, POSTGRES = "11.0.0.30", "11.0.0.31", "11.0.0.32"
NAMES = {"tls-web.test": WEB, "tls-redis.test": REDIS, "tls-postgres.test": POSTGRES}

NGINX = """
daemon off;
user root root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
	types {{ text/plain txt; application/octet-stream bin; }}
	log_format tls '$server_port $ssl_protocol $ssl_cipher $ssl_session_reused $ssl_server_name $ssl_alpn_protocol';
	access_log {directory}/access.log tls;
	client_body_temp_path {directory}/body;
	proxy_temp_path {directory}/proxy;
	fastcgi_temp_path {directory}/fastcgi;
	uwsgi_temp_path {directory}/uwsgi;
	scgi_temp_path {directory}/scgi;
	root {root};
	keepalive_timeout 1h;
	keepalive_requests 10000000;
	ssl_certificate {certificate};
	ssl_certificate_key {key};
	ssl_protocols TLSv1.2 TLSv1.3;
	{more}
	server {{
		listen {address}:443 ssl;
		ssl_session_tickets on;
		location = /page {{ return 200 "a small page\n"; }}
		location = /who {{ return 200 "$ssl_protocol $scheme $host\\n"; }}
		location = /session {{ return 200 "$ssl_session_reused\\n"; }}
		location = /name {{ return 200 "$ssl_server_name\\n"; }}
		location = /alpn {{ return 200 "$ssl_alpn_protocol\\n"; }}
		location = /who-are-you {{ return 200 "$ssl_client_s_dn\\n"; }}
	}}
	server {{
		listen {address}:8443 ssl;
		ssl_session_tickets off;
		ssl_session_cache off;
		location = /page {{ return 200 "a small page\n"; }}
		location = /session {{ return 200 "$ssl_session_reused\\n"; }}
	}}
	server {{
		listen {address}:9443 ssl;
		ssl_client_certificate {client_ca};
		ssl_verify_client on;
		location = /client {{ return 200 "$ssl_client_s_dn\\n"; }}
	}}
}}
"""


class TlsWeb(process.Daemon):
	"""nginx for tls-web.test: 443 with tickets, 8443 without, 9443 demands a client certificate.
	.root is what it serves; .log() the lines of its access log."""

	def __init__(self, directory, pki, address=WEB, more=""):
		"""more: a line of configuration."""
		directory.mkdir()
		directory.chmod(0o755)
		self.directory, self.address = directory, address
		self.root = directory / "root"
		self.root.mkdir()
		(self.root / "page.txt").write_text("a page over TLS\n")
		self.large = os.urandom(8 << 20)
		(self.root / "large.bin").write_bytes(self.large)
		certificate = pki.root.issue("tls-web.test", "also-tls-web.test", address)
		(directory / "nginx.conf").write_text(NGINX.format(directory=directory, root=self.root,
			address=address, certificate=certificate.chain, key=certificate.key, client_ca=pki.ca, more=more))
		super().__init__([process.which("nginx"), "-p", str(directory), "-e", "stderr",
			"-c", str(directory / "nginx.conf")], env=clean_environment(directory))
		process.wait_listening(self, (address, 9443))

	def log(self):
		return (self.directory / "access.log").read_text().splitlines()


class TlsRedis(process.Daemon):
	"""redis-server without a plaintext port."""

	def __init__(self, directory, pki):
		directory.mkdir()
		certificate = pki.root.issue("tls-redis.test")
		super().__init__([process.which("redis-server"), "--bind", REDIS, "--port", "0", "--tls-port", "6380",
			"--tls-cert-file", certificate.chain, "--tls-key-file", certificate.key,
			"--tls-ca-cert-file", pki.ca, "--tls-auth-clients", "no", "--save", "", "--appendonly", "no",
			"--protected-mode", "no", "--dir", str(directory)], env=clean_environment(directory))
		self.wait_line("eady to accept connections", 15)


class TlsPostgres(process.Daemon):
	"""PostgreSQL that lets nobody in but over TLS (hostssl)."""

	def __init__(self, directory, pki):
		directory.mkdir()
		programs, user = find_postgres(), pwd.getpwnam("postgres")
		certificate = pki.root.issue("tls-postgres.test", POSTGRES)
		for source, name in ((certificate.chain, "server.pem"), (certificate.key, "server.key")):
			(directory / name).write_bytes(pathlib.Path(source).read_bytes())
			(directory / name).chmod(0o600)
			os.chown(directory / name, user.pw_uid, user.pw_gid)
		os.chown(directory, user.pw_uid, user.pw_gid)
		become = ["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
		environment, data = clean_environment(directory), str(directory / "data")
		subprocess.run([*become, str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "postgres",
			"--no-sync", "--no-locale", "-E", "UTF8"], check=True, capture_output=True, env=environment,
			cwd=directory)
		pathlib.Path(data, "pg_hba.conf").write_text("hostssl all all all trust\n")
		super().__init__([*become, str(programs / "postgres"), "-D", data, "-h", POSTGRES,
			"-k", str(directory), "-F", "-c", "ssl=on", "-c", f"ssl_cert_file={directory}/server.pem",
			"-c", f"ssl_key_file={directory}/server.key"], env=environment, cwd=directory)
		self.wait_line("database system is ready to accept connections", 30)
