# SPDX-License-Identifier: MIT
"""Programs whose destination has a tls route.

	tls.configure("route * tls")                  # with the tests' root as trust
	tls.run(["curl", "http://web.test:443/"])     # `airlock run`, which starts airlock-tls
	tls.talk("good.test", origin.port)            # support/talk.py; its line, without the port
	tls.refusal("good.test", origin.port)         # ("tls", "tls-failed", why), as STATUS tells it
	tls.keep()                                    # an airlock-tls that stays, .pid
"""
import os
import pathlib
import re
import signal

from support import process, sanitizer
from support.airlock import airlock_program, library
from support.hostd import SANITIZER_REPORT, TOP, build_directory

TALK = str(TOP / "tests/support/talk.py")
PYTHON = "/usr/bin/python3"

# airlock explain's last but one line
STREAM = re.compile(r"^stream: (\S+), (\S+): (.*)$", re.MULTILINE)


def tls_program():
	return build_directory() / "bin/airlock-tls"


def is_sanitized():
	"""A sanitizer keeps memory that was freed, and must be the first library."""
	program = tls_program().read_bytes()
	return b"__asan_init" in program or b"__tsan_init" in program


class Kept(process.Daemon):
	"""An airlock-tls by itself, as whoever builds an image without `airlock run` starts it."""

	def __init__(self, config, path, environment, prefix=(), wait=True):
		super().__init__([*prefix, str(tls_program()), "-c", str(config)], env=environment, name="airlock-tls")
		if wait:
			process.wait_listening(self, str(path))

	def memory(self):
		"""Anonymous memory in bytes; 0 under a sanitizer, whose own is much more."""
		if is_sanitized():
			return 0
		text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
		return int(re.search(r"^RssAnon:\s+(\d+)", text, re.MULTILINE)[1]) * 1024

	def processor_seconds(self):
		fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
		return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

	def tracer(self):
		"""Who traces it, 0 for nobody. A process that is traced has not ended for its parent before its tracer lets go."""
		text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
		return int(re.search(r"^TracerPid:\s+(\d+)", text, re.MULTILINE)[1])

	def state(self):
		"""A letter of proc(5): "T" when it is stopped."""
		return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]

	def descriptors(self):
		return len(os.listdir(f"/proc/{self.pid}/fd"))

	def check_clean_end(self):
		"""As at the end of every test; a test may have killed it."""
		if not self.has_ended():
			self.send_signal(signal.SIGCONT)
		status = self.stop()
		assert status in (0, 128 + signal.SIGKILL), f"airlock-tls ended with {status}:\n{self.output}"
		assert not SANITIZER_REPORT.search(self.output), self.output


class TlsRoute:
	def __init__(self, directory, airlock, pki, background):
		self.airlock, self._background = airlock, background
		self._pki, self._kept = pki, []
		self.path, self.talk_program = f"{directory}/tls.sock", TALK
		self.config = None
		self.configure()

	def configure(self, routes="route * tls", **settings):
		self.config = self.airlock.configure(routes,
			**{"ca": self._pki.ca, "tls_listen": f"unix:{self.path}", **settings})
		return self.config

	def run(self, command, **options):
		result = self.airlock.run(command, config=self.config, **options)
		assert not SANITIZER_REPORT.search(result.stderr), result.stderr
		return result

	def popen(self, command, **options):
		return self._background(self.airlock.popen(command, config=self.config, **options))

	def talk(self, host, port, *words, timeout=60):
		"""What talk.py says of one port."""
		return self.talk_to_all(host, [port], *words, timeout=timeout)[0]

	def talk_to_all(self, host, ports, *words, timeout=60):
		"""What it says of each, all by one airlock-tls."""
		result = self.run([PYTHON, TALK, host, *ports, *words], timeout=timeout)
		lines = [line.split(" ", 1) for line in result.stdout.splitlines()]
		assert result.status == 0 and [int(port) for port, _ in lines] == list(ports), result
		return [said for _, said in lines]

	def explain(self, host, port):
		"""`airlock explain`, beside a running airlock-tls."""
		explain = [airlock_program(), "explain", "-c", self.config, f"{host}:{port}"]
		return self.run(["env", "-u", "LD_PRELOAD", *explain])  # a sanitizer wants to be the first library

	def refusal(self, host, port):
		"""(stage, class, sentence) as explain tells them."""
		result = self.explain(host, port)
		found = STREAM.search(result.stdout)
		assert found and result.status == 1, result
		return found.groups()

	def keep(self, prefix=(), wait=True):
		"""airlock-tls by itself, for programs that are preloaded without `airlock run`."""
		kept = self._background(Kept(self.config, self.path, self.airlock.environment(), prefix, wait))
		self._kept.append(kept)
		return kept

	def check_clean_ends(self):
		for kept in self._kept:
			kept.check_clean_end()

	def environment(self, **more):
		"""What preloads a program by hand."""
		return self.airlock.environment(sanitizer.environment({"LD_PRELOAD": library(),
			"AIRLOCK_CONF": str(self.config), **more}))

	def run_preloaded(self, command, **options):
		"""In the world, where there is a network too, beside what keep() keeps."""
		return process.run([*map(str, command)], env=self.environment(), **options)

	def popen_preloaded(self, command):
		return self._background(process.Daemon([*map(str, command)], env=self.environment()))
