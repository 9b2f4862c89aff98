# SPDX-License-Identifier: MIT
"""A root directory as an initramfs has it: Airlock, a shell, and nothing mounted.

	root.write_command("arg /bin/sh", "arg -c", "arg exit 3")
	root.boot()                       # /init as PID 1 of new PID, mount and network namespaces
	root.run("sh", "-c", "exit 3")    # `airlock run` as that PID 1
"""
import os
import pathlib
import re
import shutil
import subprocess

from support import process
from support.hostd import build_directory

PROGRAM = "/usr/local/bin/airlock"
# The directory becomes a mount of its own, so that it can be made read-only.
ENTER = ('mount --bind "$0" "$0" && mount -o "remount,bind,$1" "$0" && cd "$0" && eval "$2" && shift 2 && '
	'exec chroot . "$@"')
NAMESPACES = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "--"]


def libraries_of(program):
	"""What the loader maps for it, itself included (ldd(1))."""
	text = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
	return re.findall(r"(/\S+)", text)


def _run(command, env, **options):
	"""A sanitizer complains that there is no /proc at its start."""
	result = process.run(command, env=env, **options)
	result.stderr = re.sub(r"^==\d+==WARNING: reading executable name failed.*\n", "", result.stderr, flags=re.MULTILINE)
	return result


class BareRoot:
	def __init__(self, path):
		self.path = pathlib.Path(path)
		for name in ("bin", "dev", "etc/airlock", "lib/modules/airlock", "proc", "root", "run", "srv", "sys", "tmp",
				"usr/local/bin", "usr/local/lib"):
			(self.path / name).mkdir(parents=True)
		built = build_directory()
		for name in ("airlock", "airlock-tls", "airlock-attest"):
			self.install(built / "bin" / name, f"usr/local/bin/{name}")
		self.install(built / "lib/libairlock.so", "usr/local/lib/libairlock.so")
		self.install(shutil.which("busybox"), "bin/busybox")
		for applet in ("sh", "cat", "echo", "env", "id", "ip", "kill", "ls", "mount", "printf", "readlink", "sleep", "stat",
				"touch"):
			(self.path / "bin" / applet).symlink_to("busybox")
		(self.path / "tmp").chmod(0o1777)
		(self.path / "init").symlink_to(PROGRAM)
		self.configure()

	def install(self, source, target):
		shutil.copy(source, self.path / target)
		for library in libraries_of(source):
			copy = self.path / library.lstrip("/")
			copy.parent.mkdir(parents=True, exist_ok=True)
			if not copy.exists():
				shutil.copy(library, copy)

	def configure(self, *lines):
		(self.path / "etc/airlock/enclave.conf").write_text(
			"\n".join(["hostd unix:/nonexistent/hostd.sock", *lines]) + "\n")

	def write_command(self, *lines):
		(self.path / "etc/airlock/command").write_text("\n".join(lines) + "\n")

	def write_script(self, text, *lines):
		"""The command file for a shell's script, with further lines before it."""
		(self.path / "script").write_text(text)
		self.write_command(*lines, "arg /bin/sh", "arg /script")

	def command(self, *words, mode="rw", before=":"):
		return [*NAMESPACES, "sh", "-c", ENTER, str(self.path), mode, before, *words]

	def boot(self, *, prefix=(), env=None, mode="rw", before=":", **options):
		"""`before` is a shell's, in the root directory and the namespaces."""
		# As a kernel would start it, whose command line becomes arguments and variables.
		return _run([*prefix, *self.command("/init", "quiet", mode=mode, before=before)],
			env={"PATH": os.environ["PATH"], "TERM": "linux", **(env or {})}, **options)

	def boot_in_background(self):
		return process.Daemon(self.command("/init"), env={"PATH": os.environ["PATH"]}, name="init")

	def run(self, *words, mode="rw", before=":", prefix=(), **options):
		"""`prefix` is a program inside that becomes `airlock run`."""
		command = self.command(*prefix, PROGRAM, "run", "--", *words, mode=mode, before=before)
		return _run(command, env={"PATH": os.environ["PATH"]}, **options)
