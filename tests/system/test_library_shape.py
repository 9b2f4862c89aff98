# SPDX-License-Identifier: MIT
"""libairlock.so from the outside: what it needs, what it exports, how it is hardened."""
import re

from support import process
from support.airlock import library
from support.hostd import TOP


def output(*command):
	result = process.run([*map(str, command)])
	assert result.status == 0, result
	return result.stdout


def test_it_needs_libc_alone_and_exports_its_version_script():
	result = process.run([str(TOP / "scripts/check-library"), str(library())])
	assert result.status == 0, result.stdout


def test_the_check_itself_can_fail(tmp_path):
	"""A library with one more export and one more need is told apart."""
	(tmp_path / "more.c").write_text("int one_more(void); int one_more(void) { return 1; }\n")
	output("cc", "-shared", "-fPIC", "-o", tmp_path / "libmore.so", tmp_path / "more.c",
		"-Wl,--no-as-needed", "-lm")
	result = process.run([str(TOP / "scripts/check-library"), str(tmp_path / "libmore.so")])
	assert result.status == 1
	assert "one_more" in result.stdout and "libm.so.6" in result.stdout


def test_relocations_are_read_only_and_the_stack_is_not_executable():
	dynamic = output("readelf", "-d", library())
	assert "BIND_NOW" in dynamic or "NOW" in dynamic
	assert "TEXTREL" not in dynamic
	headers = output("readelf", "-lW", library())
	assert "GNU_RELRO" in headers
	stack = re.search(r"GNU_STACK.*", headers).group()
	assert "RWE" not in stack


def test_thread_local_storage_needs_no_lazy_allocation():
	"""Hooks run in signal handlers: __tls_get_addr may call malloc."""
	assert "__tls_get_addr" not in output("nm", "-D", "--undefined-only", library())


def test_it_cannot_print_by_stdio_or_end_the_process():
	undefined = set(re.findall(r"\w (\w+)", output("nm", "-D", "--undefined-only", library())))
	assert "connect" not in undefined and "socket" in undefined  # the pattern finds what is there
	assert not {"stdout", "stderr", "printf", "puts", "perror", "exit", "_exit", "abort"} & undefined
