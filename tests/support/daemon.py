# SPDX-License-Identifier: MIT
"""hostd with streams that the tests open themselves, and what can be seen of it from outside."""

import contextlib
import os
import signal
import time
from pathlib import Path

from support import hostd, transport, wire

CID, OTHER_CID, STRANGER = transport.CID, 17, 99


class Host(hostd.Hostd):
	"""hostd with a listener for each of three CIDs, of which all but the first are unix ones.

	`rules` belong to the first one's enclave, which is named `test`; `other` may do nothing, and
	no enclave lists the stranger. `more` stands before the enclaves in the file.
	"""

	def __init__(self, directory, rules="", prefix=(), **settings):
		directory = Path(directory)
		self.endpoint = transport.new_endpoint(directory, "enclave.sock")
		self.path = transport.target(self.endpoint)
		self.other_path = directory / "other.sock"
		self.stranger_path = directory / "stranger.sock"
		self.admin_path = directory / "admin.sock"
		self.file = directory / "hostd.conf"
		self.configure(rules, **settings)
		super().__init__(self.file, self.endpoint, directory, prefix=prefix)

	def configure(self, rules="", timeouts=hostd.DEFAULT_TIMEOUTS, more=""):
		"""Writes the configuration file, for a start or for a reload."""
		lines = [
			transport.listen_line(self.endpoint),
			f"listen unix:{self.other_path} cid={OTHER_CID}",
			f"listen unix:{self.stranger_path} cid={STRANGER}",
			f"admin unix:{self.admin_path}",
			f"timeout {timeouts}",
			*more.splitlines(),
			f"enclave test cid={CID}",
			*("  " + rule.strip() for rule in rules.splitlines() if rule.strip()),
			f"enclave other cid={OTHER_CID}",
		]
		self.file.write_text("\n".join(lines) + "\n")

	def reload(self):
		"""SIGHUP, and waits for the log line that says what became of it."""
		since = len(self.lines)
		self.send_signal(signal.SIGHUP)
		return self.wait_line(lambda line: "reload" in line.lower(), since=since)

	@property
	def command(self):
		"""What a second hostd with the same configuration is started by."""
		return [str(hostd.hostd_program()), "-c", str(self.file)]

	@contextlib.contextmanager
	def stopped(self):
		"""What is done inside is found by hostd all at once, in one event or one batch of events."""
		self.send_signal(signal.SIGSTOP)
		wire.wait_until(lambda: self.thread_states() == {"T"}, "every thread of hostd stops")
		try:
			yield
		finally:
			self.send_signal(signal.SIGCONT)

	# --- streams

	def open(self, destination, name=None, path=None, stream_id=None, **more):
		"""An Opener with .id, its request sent."""
		stream_id = stream_id or wire.new_id()
		request = wire.connect(destination, name, stream_id, **more)
		opener = wire.Opener(path or self.path, request)
		opener.id = stream_id
		return opener

	def outcome(self, stream_id, wait=True, path=None):
		"""(stage, class, text) of a stream."""
		return wire.status(path or self.path, stream_id, wait).outcome()

	def verdict(self, destination, name=None, **more):
		"""(stage, class) of a connect once it is decided; ("open", "none") when it was granted."""
		with self.open(destination, name, **more) as opener:
			if opener.wait():
				return "open", "none"
			return self.outcome(opener.id, path=more.get("path"))[:2]

	def refusal(self, destination, name=None, **more):
		"""The verdict of a connect that must fail."""
		verdict = self.verdict(destination, name, **more)
		assert verdict != ("open", "none"), "this connect must fail"
		return verdict

	def wait_verdict(self, destination, verdict, name=None, **more):
		"""Connects until that is the verdict: a reload takes effect in each thread on its own."""
		wire.wait_until(
			lambda: self.verdict(destination, name, **more) == verdict, f"{destination} {verdict}"
		)

	def is_answering(self):
		return wire.ping(self.path).status == wire.OK

	# --- what can be seen from outside

	def line_of(self, stream_id):
		"""The fields of the line that ends a connection, which is awaited."""
		return self.wait_log(id=stream_id.hex())

	def descriptors(self):
		return len(self.open_descriptors())

	def settled_descriptors(self):
		"""Their number once it has stayed the same for 20 looks: streams that just ended are closed."""
		counts = [self.descriptors()]
		while len(counts) < 20 or len(set(counts[-20:])) > 1:
			counts.append(self.descriptors())
			time.sleep(0.005)
		return counts[-1]

	@property
	def is_sanitized(self):
		"""A sanitizer keeps memory that was freed, so its growth says nothing."""
		program = hostd.hostd_program().read_bytes()
		return b"__asan_init" in program or b"__tsan_init" in program

	def memory(self):
		"""Anonymous memory in bytes: what hostd itself uses, without program text and page cache."""
		for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
			if line.startswith("RssAnon:"):
				return int(line.split()[1]) * 1024
		raise AssertionError("no RssAnon")

	def stat_fields(self):
		"""What proc_pid_stat(5) lists from the state on."""
		return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()

	def thread_states(self):
		threads = Path(f"/proc/{self.pid}/task").iterdir()
		return {(thread / "stat").read_text().rsplit(")", 1)[1].split()[0] for thread in threads}

	def wakes(self):
		"""How often its threads have slept until now."""
		threads = Path(f"/proc/{self.pid}/task").iterdir()
		lines = [line for thread in threads for line in (thread / "status").read_text().splitlines()]
		return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))

	def processor_seconds(self):
		fields = self.stat_fields()
		return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
