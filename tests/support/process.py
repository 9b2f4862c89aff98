# SPDX-License-Identifier: MIT
"""Programs: run to their end, or kept in the background, never left behind.

What must come is waited for long: a busy machine takes its time, and a test that passes never waits in vain.
"""
import dataclasses
import os
import select
import shutil
import signal
import subprocess
import threading
import time


@dataclasses.dataclass
class Result:
	status: int  # as a shell would say: 128 + signal when killed
	stdout: str
	stderr: str
	seconds: float
	raw: bytes = b""  # stdout before decoding


def which(program):
	"""The full path, also when PATH lacks /usr/sbin; None when it is not installed."""
	return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def status_of(returncode):
	return 128 - returncode if returncode < 0 else returncode


def _kill_group(process):
	"""The process leads its own session (start_new_session), so the group is ours alone."""
	try:
		os.killpg(process.pid, signal.SIGKILL)
	except ProcessLookupError:
		pass


def run(command, *, env=None, input=None, timeout=60, cwd=None, pass_fds=()):
	"""Runs a command to its end. Past the timeout its whole group is killed and AssertionError raised."""
	if isinstance(input, str):
		input = input.encode()
	begun = time.monotonic()
	process = subprocess.Popen(command, env=env, cwd=cwd, start_new_session=True, pass_fds=pass_fds,
		stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
		stdout=subprocess.PIPE, stderr=subprocess.PIPE)
	try:
		stdout, stderr = process.communicate(input, timeout)
	except subprocess.TimeoutExpired:
		_kill_group(process)
		stdout, stderr = process.communicate()
		raise AssertionError(f"{command} still ran after {timeout} s\n"
			f"stdout: {stdout[-2000:]!r}\nstderr: {stderr[-2000:]!r}") from None
	except BaseException:
		_kill_group(process)
		process.wait()
		raise
	return Result(status_of(process.returncode), stdout.decode(errors="replace"),
		stderr.decode(errors="replace"), time.monotonic() - begun, stdout)


class Daemon:
	"""A program in the background. Its output is collected line by line; wait_line() awaits one, and .lines
	are all that it has written up to that moment."""

	def __init__(self, command, *, env=None, cwd=None, name=None, pass_fds=()):
		self.name = name or os.path.basename(command[0])
		self._lines, self._rest = [], b""
		self._changed = threading.Condition()
		# Should this process be killed, nothing stays behind.
		guarded = ["setpriv", "--pdeathsig", "KILL", "--"] + list(command)
		self.process = subprocess.Popen(guarded, env=env, cwd=cwd, start_new_session=True,
			pass_fds=pass_fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT)
		self.pid = self.process.pid
		self._exit_fd = os.pidfd_open(self.pid)
		os.set_blocking(self.process.stdout.fileno(), False)
		self._reader = threading.Thread(target=self._collect, daemon=True)
		self._reader.start()

	def _collect(self):
		poller = select.poll()
		poller.register(self.process.stdout, select.POLLIN)
		while self._reader:
			poller.poll()
			with self._changed:
				self._take()

	def _take(self):
		"""Reads what is there, by whichever thread comes first; it holds the lock."""
		while self._reader:
			try:
				data = os.read(self.process.stdout.fileno(), 1 << 16)
			except BlockingIOError:
				return
			*lines, self._rest = (self._rest + data).split(b"\n")
			if not data:
				self._reader = None
				lines += [self._rest] if self._rest else []
			self._lines += [line.decode(errors="replace") for line in lines]
			self._changed.notify_all()

	@property
	def lines(self):
		with self._changed:
			self._take()
			return list(self._lines)

	@property
	def output(self):
		return "\n".join(self.lines)

	def wait_line(self, accept, timeout=30, since=0):
		"""The first line from number since on for which accept(line) is true; accept may be a text."""
		matches = (lambda line: accept in line) if isinstance(accept, str) else accept
		deadline = time.monotonic() + timeout
		with self._changed:
			seen = since
			while True:
				for line in self._lines[seen:]:
					if matches(line):
						return line
				seen = len(self._lines)
				left = deadline - time.monotonic()
				if left <= 0 or (self._reader is None and seen == len(self._lines)):
					break
				self._changed.wait(left)
			raise AssertionError(f"{self.name} never said {accept}; it said:\n" + "\n".join(self._lines))

	def has_ended(self, timeout=0):
		"""True when the process has ended within so many seconds."""
		if self.process.poll() is not None:
			return True
		poller = select.poll()
		poller.register(self._exit_fd, select.POLLIN)
		poller.poll(timeout * 1000)
		return self.process.poll() is not None

	def send_signal(self, number):
		self.process.send_signal(number)

	def stop(self, number=signal.SIGTERM, timeout=30):
		"""Ends the process, by force when it does not within the timeout. Returns its status, or
		None when force was needed."""
		if self._exit_fd < 0:
			return status_of(self.process.returncode)
		if not self.has_ended():
			self.send_signal(number)
		ended = self.has_ended(timeout)
		_kill_group(self.process)
		self.process.wait()
		reader = self._reader
		if reader is not None:
			reader.join(5)
		os.close(self._exit_fd)
		self._exit_fd = -1
		return status_of(self.process.returncode) if ended else None


def wait_listening(daemon, address, timeout=30):
	"""Waits until something accepts at address (host, port) or a unix path. For programs that have no
	other way to say that they are ready: the only place that looks again and again."""
	import socket
	family = socket.AF_UNIX if isinstance(address, str) else (
		socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
	deadline = time.monotonic() + timeout
	while True:
		with socket.socket(family) as probe:
			probe.settimeout(1)
			try:
				probe.connect(address)
				return
			except OSError as error:
				reason = error
		if daemon.has_ended(0.01):
			raise AssertionError(f"{daemon.name} ended: {daemon.output}")
		if time.monotonic() > deadline:
			raise AssertionError(f"{daemon.name} does not listen on {address}: {reason}\n{daemon.output}")
