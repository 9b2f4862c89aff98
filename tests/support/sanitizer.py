# SPDX-License-Identifier: MIT
"""libairlock.so built with AddressSanitizer or ThreadSanitizer, in programs built without.

Undefined behaviour traps in such a library, and the runtime reports the SIGILL. Reports go to files, so
that one from any process fails the test, also when its stderr is thrown away or it has none.
"""
import functools
import pathlib
import re
import shutil
import tempfile

from support import probes
from support.hostd import TOP, build_directory

LIBRARY = "lib/libairlock.so"

# What cannot run with the library under AddressSanitizer: the beginning of a test's name, and why.
NOT_UNDER_ADDRESS = {
	"test_enclave_init.py": "the enclave has a root of its own, without the runtime",
	"test_hygiene.py::test_in_a_chroot": "the root has no runtime",
	"test_hygiene.py::test_with_another_allocator": "the runtime is an allocator itself",
	"test_hygiene.py::test_the_launcher_keeps_what": "the runtime is an allocator itself",
	"test_hygiene.py::test_a_program_with_a_sanitizer[address": "the program has a runtime of its own",
	"test_hygiene.py::test_the_environment_is_left": "the runtime and its options are in the environment",
	"test_hygiene.py::test_a_setuid_program": "the loader does not preload the runtime there",
	"test_local_traffic.py::test_unrouted_calls_make_no": "the runtime makes system calls of its own",
	"test_loaded_libraries.py::test_a_library_is_searched": "the runtime calls dlopen() in the program's place",
	"test_names.py::test_asynchronous_lookups_and_fork":
		"the child of a fork leaves behind what other threads had allocated, as it does with libc",
}


@functools.cache
def runtime():
	"""The sanitizer's own library, as libairlock.so names it; None when it needs none."""
	path = build_directory() / LIBRARY
	found = re.search(rb"lib[at]san\.so\.\d+", path.read_bytes()) if path.exists() else None
	return found and found[0].decode()


@functools.cache
def _directory():
	path = pathlib.Path(tempfile.mkdtemp(prefix="airlock-reports-", dir="/tmp"))
	path.chmod(0o1777)  # programs change their user
	return path


@functools.cache
def _preloaded():
	"""What stands behind libairlock.so in LD_PRELOAD."""
	first = build_directory() / "test/support/libfirst.so"
	probes.compile_probe(TOP / "tests/support/sanitizer_first.c", first, ["-shared", "-fPIC", "-Wl,-z,initfirst"])
	return f"{runtime()}:{first}"


def probe_flags():
	"""What a probe must be compiled with: ThreadSanitizer has to be in the program too."""
	return ["-fsanitize=thread"] if is_thread() else []


def why_not(test):
	"""Why a test, by its pytest name, cannot run with this library; None when it can."""
	exceptions = NOT_UNDER_ADDRESS.items() if is_address() else ()
	return next((why for start, why in exceptions if test.startswith(f"behaviour/{start}")), None)


def is_address():
	return bool(runtime()) and runtime().startswith("libasan")


def is_thread():
	return bool(runtime()) and runtime().startswith("libtsan")


def _is_probe(command):
	return bool(command) and str(command[0]).startswith(str(build_directory() / "test"))


def environment(env=None, command=()):
	"""env, with what a program that is to preload libairlock.so needs besides. The runtime stands behind
	libairlock.so and before libc: the program's calls come to the hooks, and the hooks' own calls to the
	runtime's interceptors, which check what the kernel is to write."""
	env = dict(env or {})
	common = f"log_path={_directory()}/report:log_exe_name=1:exitcode=99" if runtime() else ""
	if is_address():
		# Programs that are not the tests' own leave memory behind when they end.
		leaks = int(_is_probe(command))
		env.setdefault("ASAN_OPTIONS", f"{common}:handle_sigill=1:verify_asan_link_order=0:detect_leaks={leaks}")
		env["LD_PRELOAD"] = ":".join(filter(None, [str(env.get("LD_PRELOAD", "")), _preloaded()]))
	elif is_thread():
		env.setdefault("TSAN_OPTIONS", common)
	return env


def take_reports():
	"""What has been reported since the last time."""
	if not runtime():
		return []
	reports = sorted(_directory().iterdir())
	texts = [f"{path.name}:\n{path.read_text(errors='replace')}" for path in reports]
	for path in reports:
		path.unlink()
	return texts


def remove_directory():
	if runtime():
		shutil.rmtree(_directory(), ignore_errors=True)
