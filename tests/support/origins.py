# SPDX-License-Identifier: MIT
"""Real servers as destinations. Each starts on a public-looking address of the world, is awaited by
its own word, and ends with the session."""
import os
import pathlib
import pwd
import shutil
import subprocess

from support import process, world
from support.airlock import clean_environment

WEB, WEB_6 = "11.0.0.20", "2600:11::1"
REDIS, POSTGRES, SSH = "11.0.0.21", "11.0.0.22", "11.0.0.23"

# What the DNS server knows at the start of every test.
NAMES = {
	"web.test": [WEB],
	"web6.test": [WEB_6],
	"dual.test": [WEB, WEB_6],
	"redis.test": [REDIS],
	"postgres.test": [POSTGRES],
	"ssh.test": [SSH],
	"public.test": [world.PUBLIC],
	"private.test": [world.PRIVATE],
	"loopback.test": ["127.0.0.1"],
	"metadata.test": [world.METADATA],
	"prohibited.test": [world.PROHIBITED],
	"unreachable.test": [world.UNREACHABLE],
	"noroute.test": [world.NO_ROUTE],
}


NGINX = """
daemon off;
user root root;
master_process off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
	types {{ text/plain txt; text/html html; application/octet-stream bin; }}
	access_log {directory}/access.log;
	client_body_temp_path {directory}/body;
	proxy_temp_path {directory}/proxy;
	fastcgi_temp_path {directory}/fastcgi;
	uwsgi_temp_path {directory}/uwsgi;
	scgi_temp_path {directory}/scgi;
	root {root};
	server {{
		{listen}
		server_name web.test;
		ssl_certificate {certificate};
		ssl_certificate_key {key};
		client_max_body_size 64m;
		location = /redirect {{ return 302 /page.txt; }}
		location = /teapot {{ return 418 "short and stout\\n"; }}
		location = /upload {{ dav_methods PUT; create_full_put_path on; }}
		location = /who {{ return 200 "$server_protocol $scheme $host\\n"; }}
	}}
}}
"""


class Web(process.Daemon):
	"""nginx: http and https (HTTP/2 too) for web.test on WEB, and on WEB_6 when there is IPv6."""

	def __init__(self, directory, authority):
		directory.mkdir()
		self.root = directory / "root"
		self.root.mkdir()
		(self.root / "index.html").write_text("<h1>hello</h1>\n")
		(self.root / "page.txt").write_text("a page from web.test\n")
		self.large = os.urandom(8 << 20)
		(self.root / "large.bin").write_bytes(self.large)
		issued = authority.issue("web.test", "web6.test", "dual.test", WEB, WEB_6)
		listen = f"listen {WEB}:80; listen {WEB}:443 ssl http2;"
		if world.has_ipv6:
			listen += f" listen [{WEB_6}]:80; listen [{WEB_6}]:443 ssl http2;"
		text = NGINX.format(directory=directory, root=self.root, listen=listen,
			certificate=issued.chain, key=issued.key)
		if "dav_module" not in _nginx_modules():
			text = "\n".join(line for line in text.splitlines() if "dav_methods" not in line)
		(directory / "nginx.conf").write_text(text)
		super().__init__([process.which("nginx"), "-p", str(directory), "-e", "stderr",
			"-c", str(directory / "nginx.conf")], env=clean_environment(directory))
		process.wait_listening(self, (WEB, 443))


def _nginx_modules():
	return subprocess.run([process.which("nginx"), "-V"], capture_output=True, text=True).stderr


class Redis(process.Daemon):
	def __init__(self, directory):
		directory.mkdir()
		super().__init__([process.which("redis-server"), "--bind", REDIS, "127.0.0.1", "--port", "6379",
			"--save", "", "--appendonly", "no", "--protected-mode", "no", "--daemonize", "no",
			"--dir", str(directory)], env=clean_environment(directory))
		self.wait_line("eady to accept connections", 15)


def find_postgres():
	"""The directory of the server's programs, which Debian keeps out of PATH; None without one."""
	versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
	return versions[-1].parent if versions else None


class Postgres(process.Daemon):
	"""Needs real root: the server refuses to be root and must become another user."""

	def __init__(self, directory):
		directory.mkdir()
		programs, user = find_postgres(), pwd.getpwnam("postgres")
		os.chown(directory, user.pw_uid, user.pw_gid)
		become = ["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
		environment = clean_environment(directory)
		data = str(directory / "data")
		subprocess.run([*become, str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "postgres",
			"--no-sync", "--no-locale", "-E", "UTF8"], check=True, capture_output=True, env=environment,
			cwd=directory)
		super().__init__([*become, str(programs / "postgres"), "-D", data, "-h", POSTGRES,
			"-k", str(directory), "-F"], env=environment, cwd=directory)
		with open(f"{data}/pg_hba.conf", "a", encoding="ascii") as access:
			access.write("host all all all trust\n")
		self.wait_line("database system is ready to accept connections", 30)
		os.kill(int(pathlib.Path(data, "postmaster.pid").read_text().split()[0]), 1)  # reread pg_hba


class Ssh(process.Daemon):
	"""sshd for root; .options are what a client needs."""

	def __init__(self, directory):
		directory.mkdir()
		for name in ("host", "client"):
			subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)],
				check=True)
		shutil.copy(directory / "client.pub", directory / "authorized")
		host_key = (directory / "host.pub").read_text()
		(directory / "known").write_text(f"ssh.test,{SSH} {host_key}")
		(directory / "sshd.conf").write_text(f"""
ListenAddress {SSH}:22
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
AcceptEnv none
PrintMotd no
Subsystem sftp internal-sftp
""")
		self.options = ["-F", "none", "-i", str(directory / "client"), "-o", f"UserKnownHostsFile={directory}/known",
			"-o", "GlobalKnownHostsFile=none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
			"-o", "LogLevel=ERROR", "-l", "root"]
		super().__init__([process.which("sshd"), "-D", "-e", "-f", str(directory / "sshd.conf")],
			env=clean_environment(directory))
		self.wait_line("Server listening", 15)


def make_git_repository(web):
	"""A bare repository under web's root, ready for the dumb protocol. Returns its commit."""
	work, bare = web.root.parent / "work", web.root / "repo.git"
	run = lambda *words, cwd: subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True,
		text=True, env=clean_environment(web.root.parent, GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@test",
			GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@test")).stdout
	work.mkdir()
	run("init", "-q", "-b", "main", cwd=work)
	(work / "large").write_bytes(os.urandom(1 << 20))
	(work / "readme").write_text("cloned through the airlock\n")
	run("add", ".", cwd=work)
	run("commit", "-q", "-m", "First", cwd=work)
	run("clone", "-q", "--bare", str(work), str(bare), cwd=work)
	run("update-server-info", cwd=bare)
	return run("rev-parse", "HEAD", cwd=work).strip()
