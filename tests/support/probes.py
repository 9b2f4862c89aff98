# SPDX-License-Identifier: MIT
"""Small C programs, tests/behaviour/NAME.c and the like, compiled once a session."""
import os
import pathlib
import subprocess

from support import world
from support.hostd import TOP, build_directory


def compile_probe(source, binary, flags=()):
	binary.parent.mkdir(parents=True, exist_ok=True)
	subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra",
		"-Werror", f"-I{TOP}", "-o", str(binary), str(source), "-pthread", *flags], check=True)


class Probes:
	def __init__(self):
		self._built = {}

	def build(self, source, flags=()):
		source = pathlib.Path(source)
		key = (source, tuple(flags))
		if key not in self._built:
			suffix = "".join(flag.replace("/", "_") for flag in flags)
			binary = build_directory() / "test" / source.parent.name / (source.stem + suffix)
			# A guest has no compiler: what it needs comes with the build.
			if not world.is_guest():
				compile_probe(source, binary, flags)
			self._built[key] = str(binary)
		return self._built[key]
