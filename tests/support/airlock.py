# SPDX-License-Identifier: MIT
"""Programs with and without Airlock."""
import dataclasses
import difflib
import os
import re

from support import process, sanitizer, transport, world
from support.hostd import build_directory

# A program's environment: nothing of the caller's but where programs are.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def clean_environment(home, **more):
	return {"PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": "/tmp", **more}


def airlock_program():
	return build_directory() / "bin/airlock"


def library():
	return build_directory() / "lib/libairlock.so"


@dataclasses.dataclass
class Pair:
	"""The same command without and with Airlock."""
	native: process.Result
	airlock: process.Result

	def assert_same(self, stderr=True, normalise=None):
		"""Exit status, stdout and (unless told otherwise) stderr; normalise(text) removes what no two
		runs have in common, such as times."""
		clean = normalise or (lambda text: text)
		assert self.airlock.status == self.native.status, self.describe()
		assert clean(self.airlock.stdout) == clean(self.native.stdout), self.describe()
		if stderr:
			assert clean(self.airlock.stderr) == clean(self.native.stderr), self.describe()
		return self

	def describe(self):
		difference = "\n".join(difflib.unified_diff(self.native.stdout.splitlines(),
			self.airlock.stdout.splitlines(), "native", "airlock", lineterm="", n=1))
		return f"{difference[-4000:]}\n" + "\n".join(f"{kind}: status {result.status}, {result.seconds:.2f} s\n"
			f"--- stdout\n{result.stdout[-3000:]}\n--- stderr\n{result.stderr[-3000:]}"
			for kind, result in (("native", self.native), ("airlock", self.airlock)))


def without_times(text):
	"""curl's and wget's clocks and speeds."""
	text = re.sub(r"\b\d+ ms\b", "N ms", text)
	text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
	text = re.sub(r"\(?\d+(\.\d+)? [KMG]?B/s\)?", "SPEED", text)
	return re.sub(r"in \d+(\.\d+)?s|=\d+(\.\d+)?s", "in Ns", text)


class Airlock:
	"""Runs commands in the world (native) and under `airlock run` (run, popen). Unless told
	otherwise, the latter happens in a network namespace of its own with not even lo up, so that
	hostd's stand-in is the only way out. With two machines (support/transport.py) it happens in the guest.

	configure() writes the enclave's configuration; without it every destination is routed direct.
	"""

	def __init__(self, directory, start_hostd):
		self._directory, self._start_hostd = directory, start_hostd
		self._hostd = None
		self._serial = 0
		self._config = None
		self.home = directory / "home"
		self.home.mkdir()

	@property
	def hostd(self):
		"""The hostd that configurations name: one with default rules unless use() chose another."""
		if self._hostd is None:
			self._hostd = self._start_hostd()
		return self._hostd

	def use(self, hostd):
		self._hostd, self._config = hostd, None
		return hostd

	def write(self, routes="route * direct", endpoint=None, **settings):
		"""A configuration file: settings are directives, such as names="resolve", tls_listen=..."""
		self._serial += 1
		path = self._directory / f"enclave-{self._serial}.conf"
		lines = [f"hostd {transport.enclave_endpoint(endpoint or self.hostd.endpoint)}"]
		lines += [line.strip() for line in routes.strip().splitlines()]
		lines += [f"{key.replace('_', '-')} {value}" for key, value in settings.items()]
		path.write_text("\n".join(lines) + "\n")
		return path

	def configure(self, routes="route * direct", **settings):
		"""What later runs use. Returns the path."""
		self._config = self.write(routes, **settings)
		return self._config

	@property
	def config(self):
		return self._config or self.configure()

	def _placed(self, command, enclave):
		return transport.enclave_side() + (world.ENCLAVE_PREFIX if enclave else []) + command

	def command(self, command, enclave=True, config=None):
		run = [str(airlock_program()), "run", "-c", str(config or self.config), "--",
			*map(str, command)]
		return self._placed(run, enclave)

	def environment(self, env=None):
		return clean_environment(self.home, **(env or {}))

	def native(self, command, *, env=None, **options):
		"""A command that is preloaded by hand is the enclave's."""
		if transport.far and env and "LD_PRELOAD" in env:
			command = [*transport.enclave_side(), "env", *(f"{name}={value}" for name, value in env.items()), *command]
			env = None
		return process.run([*map(str, command)], env=self.environment(env), **options)

	def run(self, command, *, enclave=True, config=None, env=None, **options):
		return process.run(self.command(command, enclave, config),
			env=self.environment(sanitizer.environment(env, command)), **options)

	def popen(self, command, *, enclave=True, config=None, env=None, cwd=None):
		"""In the background; the caller (or the fixture `background`) stops it."""
		return process.Daemon(self.command(command, enclave, config),
			env=self.environment(sanitizer.environment(env, command)), name=str(command[0]), cwd=cwd)

	def both(self, command, *, enclave=True, config=None, **options):
		return Pair(self.native(command, **options),
			self.run(command, enclave=enclave, config=config, **options))

	def hairpin(self, command, **options):
		"""Both, with loopback routed too: for programs that talk to themselves on 127.0.0.1."""
		config = self.write(hairpin="on")
		return self.both(command, enclave=False, config=config, **options)

	def tool(self, *words, config=None, enclave=False, **options):
		"""airlock check|explain|doctor ..."""
		command = [str(airlock_program()), words[0], "-c", str(config or self.config), *map(str, words[1:])]
		return process.run(self._placed(command, enclave),
			env=self.environment(), **options)
