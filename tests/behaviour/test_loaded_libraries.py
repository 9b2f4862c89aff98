# SPDX-License-Identifier: MIT
"""Libraries that a program loads while it runs."""
import subprocess

from support import peer, world

# As PHP loads its extensions, libcurl among what they need.
CURL = """
import ctypes, os, sys
curl = ctypes.CDLL("libcurl.so.4", mode=os.RTLD_NOW | os.RTLD_GLOBAL | os.RTLD_DEEPBIND)
curl.curl_easy_init.restype = ctypes.c_void_p
handle = ctypes.c_void_p(curl.curl_easy_init())
CURLOPT_URL = 10002
curl.curl_easy_setopt(handle, CURLOPT_URL, sys.argv[1].encode())
sys.exit(curl.curl_easy_perform(handle))
"""

OUTER = """
#include <dlfcn.h>
#include <stddef.h>
int has_inner(void) { return dlopen("libinner.so", RTLD_NOW) != NULL; }
"""

LOAD = """
import ctypes, sys
print(ctypes.CDLL(sys.argv[1]).has_inner())
"""


def test_a_library_that_is_bound_to_its_own_first_is_routed_too(airlock, peers, dns):
	dns.add("deep.test", world.PUBLIC)
	origin = peers.listen(peer.http())
	result = airlock.run(["/usr/bin/python3", "-c", CURL, f"http://deep.test:{origin.port}/"])
	assert (result.status, result.stdout) == (0, "hello from the origin\n"), result


def _build(library, source, *options):
	subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library, *options], check=True, text=True, input=source)


def test_a_library_is_searched_where_its_loader_says(both, directory):
	"""Whose search path counts is told by who calls dlopen()."""
	inner = directory / "inner"
	inner.mkdir()
	_build(inner / "libinner.so", "")
	_build(directory / "libouter.so", OUTER, "-Wl,-rpath,$ORIGIN/inner")
	result = both(["/usr/bin/python3", "-c", LOAD, directory / "libouter.so"]).assert_same()
	assert result.airlock.stdout == "1\n"
