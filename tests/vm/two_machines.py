# SPDX-License-Identifier: MIT
"""A guest with a vhost-user vsock device: the enclave's side of the tests runs there, hostd and all else here.

	with Machine(...) as machine:
		transport.far = machine

The guest's connections to port P of CID 2 arrive at the unix socket PATH_P, where hostd listens. Commands go to the
guest by tests/vm/in_guest, whose socket is served here, and on to tests/vm/agent.py through a virtio-serial port;
what they need of the files below /tmp/airlock-* goes with them.
"""
import asyncio
import io
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time

import agent
import frames
from support import transport

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
PROGRAM = "vhost-device-vsock"
MODULES = ["virtio_console", "vmw_vsock_virtio_transport"]
BOOT_SECONDS = 180
# The folders of the tests' own fixtures; a configuration names files in others of them.
FOLDER = re.compile(r"/tmp/airlock-[^/\s:\"']+")


class Broker:
	"""Between the clients' unix socket and the guest's port. Everything happens in a thread of its own."""

	def __init__(self, place, build):
		self.socket = place / "commands"
		self._port_path = str(place / "port")
		self._links = {str(TOP): "/airlock"}
		if not build.is_relative_to(TOP / "build"):
			self._links[str(build)] = "/airlock/build"
		self._sent = {}
		self._clients, self._numbers = {}, itertools.count(1)
		self._archives = {}
		self.is_ready = threading.Event()
		self._loop = asyncio.new_event_loop()
		self._port = None
		self._loop.run_until_complete(self._listen())
		threading.Thread(target=self._loop.run_forever, daemon=True).start()

	async def _listen(self):
		# QEMU connects to the one, each in_guest to the other.
		self._servers = [await asyncio.start_unix_server(self._serve_port, self._port_path),
			await asyncio.start_unix_server(self._serve_client, str(self.socket))]

	def stop(self):
		self._loop.call_soon_threadsafe(self._loop.stop)

	# --- the guest's side

	async def _serve_port(self, reader, writer):
		self._port, parser = writer, frames.Parser()
		while data := await reader.read(1 << 16):
			for number, kind, payload in parser.feed(data):
				self._take(number, kind, payload)
		for client in list(self._clients.values()):
			client.close()

	def _take(self, number, kind, payload):
		if kind == frames.READY:
			self.is_ready.set()
		elif kind == frames.FILES:
			self._archives.setdefault(number, bytearray()).extend(payload)
			return
		client, archive = self._clients.get(number), self._archives.pop(number, None)
		if client and archive:
			self._extract(archive)
		if client:
			client.write(frames.pack(0, kind, payload))

	def _extract(self, archive):
		"""Only where the tests' own folders still are."""
		with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
			tar.extractall("/", [each for each in tar if FOLDER.match(f"/{each.name}")
				and os.path.isdir(os.path.dirname(f"/{each.name}"))])

	# --- the clients' side

	async def _serve_client(self, reader, writer):
		number, parser = next(self._numbers), frames.Parser()
		self._clients[number] = writer
		try:
			while data := await reader.read(1 << 16):
				for _, kind, payload in parser.feed(data):
					if kind == frames.RUN:
						payload = self._prepare(number, json.loads(payload))
					self._port.write(frames.pack(number, kind, payload))
		except ConnectionError:
			pass
		self._port.write(frames.pack(number, frames.ABANDON))
		del self._clients[number]
		writer.close()

	def _prepare(self, number, request):
		roots = self._roots(request)
		files = {path: about for path, about in agent.files_below(roots).items() if self._sent.get(path) != about}
		archive = io.BytesIO()
		with tarfile.open(fileobj=archive, mode="w") as tar:
			for path in [*(folder for root in roots for folder, *_ in os.walk(root)), *files]:
				tar.add(path, recursive=False)  # what is a socket is left out
		self._sent.update(files)
		data = archive.getvalue()
		for begin in range(0, len(data), 1 << 20):
			self._port.write(frames.pack(number, frames.FILES, data[begin:begin + (1 << 20)]))
		return json.dumps({**request, "roots": roots, "links": self._links}).encode()

	def _roots(self, request):
		"""The folders that a command names, and those that configurations in them name."""
		waiting = FOLDER.findall("\n".join([*request["argv"], *request["env"].values(), request["cwd"]]))
		roots = []
		while waiting:
			root = waiting.pop()
			if root not in roots and os.path.isdir(root):
				roots.append(root)
				for path in pathlib.Path(root).glob("*.conf"):
					waiting += FOLDER.findall(path.read_text())
		return roots


class Machine:
	"""One boot, and what goes with it. transport.py asks it for endpoints, airlock.py for the prefix of a command."""

	def __init__(self, device, qemu, memory, build, console):
		"""device: the program of that name; qemu(options): the command that boots the guest with these more; memory:
		how many MiB that gives it; console: a file for what the guest says, device.txt beside it for the device."""
		# Not below /tmp/airlock-*, which goes to the guest.
		self._place = pathlib.Path(tempfile.mkdtemp(prefix="two-machines-", dir="/tmp"))
		self._paths = self._place / "host"
		self._ports = itertools.count(9000)
		self._processes, self._files = [], []
		self.prefix = [str(HERE / "in_guest"), str(self._place / "commands")]
		try:
			self._broker = Broker(self._place, build)
			self._boot(device, qemu, memory, console)
		except BaseException:
			self.stop()
			raise

	def _boot(self, device, qemu, memory, console):
		log = self._open(console.with_name("device.txt"))
		backend = self._start([device, "--guest-cid", str(transport.CID), "--socket", str(self._place / "vhost"), "--uds-path",
			str(self._paths)], stdout=log, stderr=log)
		self._wait(lambda: (self._place / "vhost").exists(), 20, backend, f"{PROGRAM} makes its socket")
		guest = self._start(qemu([
			"-chardev", f"socket,id=port,path={self._place}/port", "-device", "virtio-serial-pci",
			"-device", f"virtserialport,chardev=port,name={agent.PORT}",
			"-chardev", f"socket,id=vsock,path={self._place}/vhost", "-device", "vhost-user-vsock-pci,chardev=vsock",
			# The device maps the guest's memory.
			"-object", f"memory-backend-memfd,id=memory,size={memory}M,share=on", "-machine", "memory-backend=memory"]),
			stdout=self._open(console), stderr=subprocess.STDOUT)
		self._wait(self._broker.is_ready.is_set, BOOT_SECONDS, guest, "the guest's agent is there")

	def _open(self, path):
		file = open(path, "wb")
		self._files.append(file)
		return file

	def _start(self, command, **options):
		process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=subprocess.DEVNULL, **options)
		self._processes.append(process)
		return process

	def _wait(self, is_done, seconds, process, what):
		deadline = time.monotonic() + seconds
		while not is_done():
			if process.poll() is not None or time.monotonic() > deadline:
				raise RuntimeError(f"{what}: not within {seconds} s, {process.args[4]}'s status is {process.returncode}")
			time.sleep(0.05)

	def stop(self):
		for process in reversed(self._processes):
			process.kill()
			process.wait()
		for file in self._files:
			file.close()
		if hasattr(self, "_broker"):
			self._broker.stop()
		shutil.rmtree(self._place)

	# --- endpoints

	def new_endpoint(self):
		"""For hostd; no two are the same."""
		return f"unix:{self._paths}_{next(self._ports)}"

	def enclave_endpoint(self, endpoint):
		"""The same for the guest; any other stays what it is."""
		prefix = f"unix:{self._paths}_"
		return f"vsock:host:{endpoint.removeprefix(prefix)}" if endpoint.startswith(prefix) else endpoint
