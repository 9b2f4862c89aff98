# SPDX-License-Identifier: MIT
"""airlock-hostd as tests start it: from $AIRLOCK_HOSTD_BUILD, else $AIRLOCK_BUILD, else build."""
import os
import pathlib
import re
import select
import shlex
import signal
import socket

from support import process, transport

TOP = pathlib.Path(__file__).resolve().parents[2]
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:")


def build_directory():
	return pathlib.Path(TOP, os.environ.get("AIRLOCK_BUILD", "build"))


def hostd_program():
	build = os.environ.get("AIRLOCK_HOSTD_BUILD")
	return pathlib.Path(TOP, build) / "bin/airlock-hostd" if build else build_directory() / "bin/airlock-hostd"


def parse_logfmt(line):
	"""The fields of a line; {} for a line that is not logfmt."""
	if "=" not in line:
		return {}
	try:
		return dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
	except ValueError:
		return {}


DEFAULT_RULES = """
  allow *
  allow 127.0.0.0/8
  allow ::1
"""
DEFAULT_TIMEOUTS = "header=5s dial=10s idle=1h drain=1s"


def write_config(path, directory, rules=DEFAULT_RULES, upstream=None, limit=None,
		timeouts=DEFAULT_TIMEOUTS, extra="", endpoint=None):
	"""One enclave, `test`; an admin socket in the directory."""
	lines = [transport.listen_line(endpoint or f"unix:{directory}/hostd.sock"), f"enclave test cid={transport.CID}"]
	lines += ["  " + rule.strip() for rule in rules.strip().splitlines() if rule.strip()]
	if limit:
		lines.append(f"  limit {limit}")
	if upstream:
		lines.append(f"  upstream {upstream}")
	lines += [f"timeout {timeouts}", f"admin unix:{directory}/hostd.admin"]
	path.write_text("\n".join(lines) + "\n" + extra)
	return path


class Hostd(process.Daemon):
	"""A running hostd: .endpoint for enclave configurations, .log() for what it said."""

	def __init__(self, config, endpoint, directory, env=None, prefix=()):
		self.config, self.endpoint, self.directory = config, endpoint, directory
		notify_path = f"{directory}/notify.sock"
		environment = dict(os.environ if env is None else env)
		# 99: a report must not look like one of the program's own statuses.
		environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:exitcode=99")
		environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1:exitcode=99")
		environment.setdefault("TSAN_OPTIONS", "exitcode=99")
		environment["NOTIFY_SOCKET"] = notify_path
		with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
			notify.bind(notify_path)
			super().__init__([*prefix, str(hostd_program()), "-c", str(config)], env=environment,
				name="airlock-hostd")
			try:
				self._wait_ready(notify)
			except BaseException:
				super().stop()
				raise
			finally:
				os.unlink(notify_path)

	def _wait_ready(self, notify, timeout=60):
		"""sd_notify(3): READY=1 once every listener is open."""
		poller = select.poll()
		poller.register(notify, select.POLLIN)
		poller.register(self._exit_fd, select.POLLIN)
		ready = dict(poller.poll(timeout * 1000))
		if notify.fileno() in ready:
			message = notify.recv(4096).decode()
			assert "READY=1" in message, message
			return
		if self._exit_fd in ready:
			self.process.wait()
			raise AssertionError(f"airlock-hostd ended with {self.process.returncode}:\n{self.output}")
		raise AssertionError(f"airlock-hostd was not ready after {timeout} s:\n{self.output}")

	def log(self, **fields):
		"""Its log lines as dictionaries, those that have all of the fields."""
		lines = [parse_logfmt(line) for line in self.lines]
		return [line for line in lines if line and all(line.get(k) == str(v) for k, v in fields.items())]

	def wait_log(self, timeout=30, **fields):
		accept = lambda line: all(parse_logfmt(line).get(k) == str(v) for k, v in fields.items())
		return parse_logfmt(self.wait_line(accept, timeout))

	def open_descriptors(self):
		return sorted(int(fd) for fd in os.listdir(f"/proc/{self.pid}/fd"))

	def admin(self, *words, timeout=60):
		"""airlock-hostd status|drain|reload|explain ... with this hostd's configuration."""
		return process.run([str(hostd_program()), words[0], "-c", str(self.config), *words[1:]],
			timeout=timeout)

	def stop(self, number=signal.SIGTERM, timeout=30):
		status = super().stop(number, timeout)
		report = SANITIZER_REPORT.search(self.output)
		assert not report, f"a sanitizer spoke:\n{self.output}"
		return status

	def check_clean_end(self):
		"""What the fixture demands of every hostd when a test is over."""
		if self._exit_fd < 0:
			return
		status = self.stop()
		assert status is not None, f"airlock-hostd did not end after SIGTERM:\n{self.output}"
		assert status == 0, f"airlock-hostd ended with {status}:\n{self.output}"
