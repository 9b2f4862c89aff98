# SPDX-License-Identifier: MIT
"""make bench, its second part: programs that speak plaintext, and who speaks TLS in their place.

airlock-tls against stunnel and HAProxy, as ratios of one run (see bench.py for the form). All verify the
certificate of the same nginx, which allows one cipher suite, so that all do the same work; all take plaintext
on a unix socket. The paths are not of one length: airlock-tls reaches nginx through airlock-hostd, as it always
does, one relay more than the others, which dial it themselves; "haproxy, relayed" is HAProxy with a second
HAProxy process in hostd's place. "no originator" is OpenSSL's own client (openssl s_time), straight at nginx: what
an originator and a program that cost nothing would leave. airlock-tls asks by address and verifies the address in
the certificate, so that no DNS server is measured; the others verify the name.
"""
import os
import pathlib
import subprocess
import time

from bench import TOOLS, interleaved, measurement, run

from support import pki, process, tls_servers
from support.airlock import airlock_program
from support.hostd import Hostd, write_config

NAME, ADDRESS = "tls-web.test", tls_servers.WEB
SUITE = "TLS_AES_128_GCM_SHA256"
WITH_TICKETS, WITHOUT_TICKETS = 443, 8443

STUNNEL = """
foreground = yes
pid =
syslog = no
debug = err
"""
STUNNEL_SERVICE = """
[to{port}]
client = yes
accept = {path}
connect = {address}:{port}
sni = {name}
CAfile = {ca}
verifyChain = yes
checkHost = {name}
sslVersionMin = TLSv1.3
"""
HAPROXY = """
global
    maxconn 2000
    nbthread {threads}
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
"""
HAPROXY_SERVICE = """
listen to{port}
    bind unix@{path} backlog 4096
    server origin {to} ssl verify required ca-file {ca} sni str({name}) verifyhost {name} ssl-min-ver TLSv1.3
"""
RELAY_SERVICE = """
listen to{port}
    bind unix@{path} backlog 4096
    server origin {to}
"""


def processor_seconds(pid):
	"""User and system time of a process, threads that have ended included (proc(5))."""
	fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
	return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child_of(pid, name):
	"""Its child that has this name."""
	children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
	return next(child for child in children if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == name)


class Originator:
	"""One contestant: .via(port) for pump, .pids of its processes by name."""

	def __init__(self, name, directory, head, service, command, ca, through=None):
		"""through: another one, between this one and nginx."""
		self.name, self._base, self._through = name, f"{directory}/{name.replace(', ', '-')}", through
		config = pathlib.Path(f"{self._base}.conf")
		text = head.format(threads=os.cpu_count())
		for port in (WITH_TICKETS, WITHOUT_TICKETS):
			to = f"unix@{through._path(port)}" if through else f"{ADDRESS}:{port}"
			text += service.format(port=port, path=self._path(port), to=to, address=ADDRESS, name=NAME, ca=ca)
		config.write_text(text)
		self.daemon = process.Daemon([*command, str(config)], name=name)
		for port in (WITH_TICKETS, WITHOUT_TICKETS):
			process.wait_listening(self.daemon, self._path(port))
		self.pids = {name: self.daemon.pid}

	def _path(self, port):
		return f"{self._base}-{port}.sock"

	def via(self, port):
		return f"unix:{self._path(port)}"

	def stop(self):
		self.daemon.stop()
		if self._through:
			self._through.stop()


def relayed_haproxy(directory, ca):
	command = [process.which("haproxy"), "-db", "-f"]
	relay = Originator("relay", directory, HAPROXY, RELAY_SERVICE, command, ca)
	return Originator("haproxy, relayed", directory, HAPROXY, HAPROXY_SERVICE, command, ca, through=relay)


class AirlockTls:
	"""airlock-tls as `airlock run` starts it, and the hostd behind it."""

	name = "airlock-tls"

	def __init__(self, directory, ca):
		self._path = f"{directory}/tls.sock"
		self.hostd = Hostd(write_config(directory / "hostd.conf", directory, extra="log error\n"),
			f"unix:{directory}/hostd.sock", directory)
		config = directory / "enclave.conf"
		config.write_text(f"hostd {self.hostd.endpoint}\nroute * tls\nca {ca}\ntls-listen unix:{self._path}\n")
		self.daemon = process.Daemon([str(airlock_program()), "run", "-c", str(config), "--", "sleep", "infinity"],
			name=self.name)
		process.wait_listening(self.daemon, self._path)
		self.pids = {self.name: child_of(self.daemon.pid, "airlock-tls"), "airlock-hostd": self.hostd.pid}

	def via(self, _port):
		return f"airlock:{self._path}"

	def stop(self):
		self.daemon.stop()
		self.hostd.stop()


def measure(contestants, verb, port, amount):
	return {each.name: (lambda each=each: run(TOOLS / "pump", verb, each.via(port), ADDRESS, port, amount)[0])
		for each in contestants}


def inverted(results, amount):
	return {name: [amount / value for value in values] for name, values in results.items()}


def bench_download(report, contestants, scale):
	amount = int(2**30 * scale)
	results = interleaved(measure(contestants, "get", WITH_TICKETS, amount), 5)
	report.table(f"Download of {amount >> 20} MiB", "GB/s", inverted(results, amount / 1e9), "haproxy", "more")


def connect_directly(web, ca, port, at_once):
	"""Connections a second without an originator, by as many clients."""
	command = ["openssl", "s_time", "-connect", f"{ADDRESS}:{port}", "-www", "/page", "-tls1_3", "-CAfile", ca,
		"-verify", "2", "-reuse" if port == WITH_TICKETS else "-new", "-time", "2"]
	before, begun = len(web.log()), time.monotonic()
	clients = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
		for _ in range(at_once)]
	if any([client.wait() for client in clients]):
		raise SystemExit("openssl s_time failed")
	return (len(web.log()) - before) / (time.monotonic() - begun)


def say_cost_and_what_was_resumed(report, contestants, web, verb, port, what, count):
	for contestant in contestants:
		name = contestant.name
		before = len(web.log())
		used = {each: processor_seconds(pid) for each, pid in contestant.pids.items()}
		measure([contestant], verb, port, count)[name]()
		for each, pid in contestant.pids.items():
			spent = (processor_seconds(pid) - used[each]) / count * 1e6
			report.say(f"  {each:24} {spent:6.0f} microseconds of processor time for each")
			report.values[f"processor {what} {each}"] = spent
		lines = [line.split() for line in web.log()[before:]]
		resumed = sum(line[3] == "r" for line in lines) / len(lines)
		ciphers = ", ".join(sorted({f"{line[1]} {line[2]}" for line in lines}))
		report.say(f"  {name:24} {resumed:6.1%} resumed, {ciphers}")
		report.values[f"resumed {what} {name}"] = resumed


def bench_connections(report, contestants, web, ca, scale):
	count = int(1600 * scale) + 160
	for verb, at_once, how in (("gets", 1, "in turn"), ("crowd", 16, "16 at a time")):
		for port, tickets in ((WITH_TICKETS, "with tickets"), (WITHOUT_TICKETS, "without")):
			what = f"{how}, one small page each, {tickets}"
			ways = {name: (lambda take=take: count / take())
				for name, take in measure(contestants, verb, port, count).items()}
			ways["no originator"] = lambda port=port, at_once=at_once: connect_directly(web, ca, port, at_once)
			report.table(f"New connections {what}", "per second", interleaved(ways, 5), "haproxy", "more")
			say_cost_and_what_was_resumed(report, contestants, web, verb, port, what, count)


def bench_requests(report, contestants, scale):
	count = int(20000 * scale) + 1000
	results = interleaved(measure(contestants, "ask", WITH_TICKETS, count), 5)
	report.table("One request and its answer on a connection that stays, median", "microseconds", results,
		"haproxy", "less")


def serve_large(web, scale):
	with open(web.root / "large", "wb") as file:
		file.truncate(int(2**30 * scale))


def versions():
	for command in (["stunnel4", "-version"], ["haproxy", "-v"], ["nginx", "-v"]):
		found = subprocess.run([process.which(command[0]), *command[1:]], capture_output=True, text=True)
		lines = (found.stderr + found.stdout).splitlines()
		yield next(line for line in lines if any(character.isdigit() for character in line))


def main():
	with measurement("tls", "airlock-tls against its peers, in one run") as (scale, report, directory, running):
		authority = pki.Pki(directory / "pki")
		web = tls_servers.TlsWeb(directory / "web", authority, more=f"ssl_conf_command Ciphersuites {SUITE};")
		running.append(web)
		serve_large(web, scale)
		contestants = []
		for start in (
				lambda: Originator("haproxy", directory, HAPROXY, HAPROXY_SERVICE,
					[process.which("haproxy"), "-db", "-f"], authority.ca),
				lambda: Originator("stunnel", directory, STUNNEL, STUNNEL_SERVICE, [process.which("stunnel4")],
					authority.ca),
				lambda: AirlockTls(directory, authority.ca)):
			contestants.append(start())
			running.append(contestants[-1])
		report.say("airlock-tls goes through airlock-hostd, haproxy and stunnel go to nginx directly")
		for line in versions():
			report.say(f"  {line}")
		bench_download(report, contestants, scale)
		bench_connections(report, contestants, web, authority.ca, scale)
		running.append(relayed_haproxy(directory, authority.ca))
		bench_requests(report, contestants + running[-1:], scale)


if __name__ == "__main__":
	main()
