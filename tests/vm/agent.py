# SPDX-License-Identifier: MIT
"""Runs the enclave's side of the tests in a guest: what tests/vm/in_guest asks for outside happens here.

Commands come as frames (frames.py) through a port of QEMU's virtio-serial device, many at a time. The files that
a command needs come first and stand at the same paths as outside; those that it has written go back when it ends.
"""
import io
import json
import os
import pathlib
import queue
import signal
import subprocess
import tarfile
import threading

import frames

PORT = "airlock.agent"


def open_port():
	"""Read from and written to by its descriptor: a port cannot seek."""
	for name in pathlib.Path("/sys/class/virtio-ports").glob("*/name"):
		if name.read_text().strip() == PORT:
			return os.open(f"/dev/{name.parent.name}", os.O_RDWR)
	raise SystemExit(f"no virtio port is named {PORT}")


def files_below(roots):
	"""{path: what changes when it is written}"""
	found = {}
	for root in roots:
		for folder, _, names in os.walk(root):
			for name in names:
				path = os.path.join(folder, name)
				about = os.lstat(path)
				found[path] = about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino
	return found


class Command:
	"""request: argv, env, cwd; roots, the folders whose new files go back; is_merged, when stderr is stdout;
	has_input, when stdin is not /dev/null."""

	def __init__(self, agent, number, request):
		self._agent, self._number, self._roots = agent, number, request["roots"]
		self._before = files_below(self._roots)
		self._input = queue.SimpleQueue()
		self.process = subprocess.Popen(request["argv"], env=request["env"], cwd=request["cwd"], start_new_session=True,
			stdin=subprocess.PIPE if request["has_input"] else subprocess.DEVNULL, stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT if request["is_merged"] else subprocess.PIPE)
		if request["has_input"]:
			threading.Thread(target=self._write_input, daemon=True).start()
		threading.Thread(target=self._finish, daemon=True).start()

	def give(self, data):
		self._input.put(data)

	def signal(self, number):
		self.process.send_signal(number)

	def kill_group(self):
		try:
			os.killpg(self.process.pid, signal.SIGKILL)
		except ProcessLookupError:
			pass

	def _write_input(self):
		with self.process.stdin as stdin:
			try:
				while data := self._input.get():
					stdin.write(data)
					stdin.flush()
			except BrokenPipeError:
				stdin.raw.close()

	def _copy(self, stream, kind):
		while data := os.read(stream.fileno(), frames.PIECE):
			self._agent.send(self._number, kind, data)

	def _finish(self):
		copies = [threading.Thread(target=self._copy, args=pair, daemon=True)
			for pair in ((self.process.stdout, frames.OUTPUT), (self.process.stderr, frames.ERRORS)) if pair[0]]
		for copy in copies:
			copy.start()
		for copy in copies:
			copy.join()
		status = self.process.wait()
		self.kill_group()
		self._agent.finish(self._number, status, [path for path, about in files_below(self._roots).items()
			if self._before.get(path) != about])


class Agent:
	def __init__(self, port):
		self._port, self._lock = port, threading.Lock()
		self._commands, self._archives = {}, {}

	def send(self, number, kind, payload=b""):
		data = memoryview(frames.pack(number, kind, payload))
		with self._lock:
			while data:
				data = data[os.write(self._port, data):]

	def finish(self, number, status, written):
		archive = io.BytesIO()
		with tarfile.open(fileobj=archive, mode="w") as tar:
			for path in written:
				tar.add(path, recursive=False)  # what is a socket is left out
		data = archive.getvalue() if written else b""
		for begin in range(0, len(data), frames.PIECE):
			self.send(number, frames.FILES, data[begin:begin + frames.PIECE])
		self.send(number, frames.ENDED, str(status).encode())
		self._commands.pop(number, None)

	def serve(self):
		parser = frames.Parser()
		while data := os.read(self._port, 1 << 16):
			for number, kind, payload in parser.feed(data):
				self._take(number, kind, payload)

	def _take(self, number, kind, payload):
		command = self._commands.get(number)
		if kind == frames.FILES:
			self._archives.setdefault(number, bytearray()).extend(payload)
		elif kind == frames.RUN:
			self._run(number, json.loads(payload))
		elif command is None:
			return  # it has just ended
		elif kind == frames.INPUT:
			command.give(payload)
		elif kind == frames.SIGNAL:
			command.signal(int(payload))
		elif kind == frames.ABANDON:
			command.kill_group()

	def _run(self, number, request):
		archive = self._archives.pop(number, b"")
		if archive:
			with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
				tar.extractall("/")
		for path, target in request["links"].items():
			if not os.path.lexists(path):
				os.makedirs(os.path.dirname(path), exist_ok=True)
				os.symlink(target, path)
		try:
			self._commands[number] = Command(self, number, request)
		except OSError as error:
			self.send(number, frames.ERRORS, f"agent: {error}\n".encode())
			self.finish(number, 127, [])


def main():
	agent = Agent(open_port())
	agent.send(0, frames.READY)
	agent.serve()


if __name__ == "__main__":
	main()
