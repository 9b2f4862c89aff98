# SPDX-License-Identifier: MIT
"""scripts/install-deps with stand-ins for dpkg-query and apt-get: what becomes of services that come with packages."""
import os

import pytest

from support import hostd as hostd_module
from support import process, world

pytestmark = pytest.mark.skipif(world.is_guest(), reason="scripts/ is not in a guest")

# Packages that are there before, and what an installation of any adds; each with its files.
BEFORE = {"haproxy": ["/lib/systemd/system/haproxy.service", "/etc/init.d/haproxy"]}
ADDED = {
	"nginx-common": ["/lib/systemd/system/nginx.service", "/etc/init.d/nginx", "/etc/nginx"],
	"redis-server": ["/lib/systemd/system/redis-server.service", "/lib/systemd/system/redis-server@.service"],
	"openssh-server": ["/usr/lib/systemd/system/ssh.socket", "/lib/systemd/system/ssh.service.d/more.conf"],
	"systemd-timesyncd": ["/lib/systemd/system/systemd-timesyncd.service"],
	"dbus": ["/lib/systemd/system/dbus.service", "/etc/init.d/dbus"],
	"tree": ["/usr/bin/tree"],
}
DPKG_QUERY = """#!/bin/sh
cd "$STAND_IN"
case $1 in
-L) cat "files/$2" ;;
*) for package in $(cat packages); do printf 'installed:%s ' "$package"; done ;;
esac
"""
APT_GET = """#!/bin/sh
cd "$STAND_IN"
[ "$1" != install ] || cat added >>packages
[ "$1" != install ] || [ ! -e fail ]
"""
HELPER = """#!/bin/sh
[ "$DPKG_MAINTSCRIPT_PACKAGE" ] || exit 1 # as the genuine one does
echo "${0##*/} $*" >>"$STAND_IN/calls"
"""
RECORD = """#!/bin/sh
echo "${0##*/} $*" >>"$STAND_IN/calls"
"""
# The file that keeps services from being started is the machine's own: not in a test.
RM = """#!/bin/sh
case $* in */policy-rc.d) ;; *) exec /bin/rm "$@" ;; esac
"""


@pytest.fixture
def install(directory):
	"""Runs it; returns the result and what became of services."""
	tools = directory / "tools"
	tools.mkdir()
	for name, text in (("dpkg-query", DPKG_QUERY), ("apt-get", APT_GET), ("deb-systemd-helper", HELPER),
			("update-rc.d", RECORD), ("install", "#!/bin/sh\n"), ("rm", RM)):
		(tools / name).write_text(text)
		(tools / name).chmod(0o755)
	(directory / "files").mkdir()
	for name, files in {**BEFORE, **ADDED}.items():
		(directory / "files" / name).write_text("\n".join(files) + "\n")
	(directory / "packages").write_text("\n".join(BEFORE) + "\n")
	(directory / "added").write_text("\n".join(ADDED) + "\n")

	def run():
		result = process.run([str(hostd_module.TOP / "scripts/install-deps"), "demo"],
			env=dict(os.environ, STAND_IN=str(directory), PATH=f"{tools}:{os.environ['PATH']}"))
		calls = directory / "calls"
		return result, calls.read_text().splitlines() if calls.exists() else []
	return run


DISABLED = ["deb-systemd-helper disable nginx.service", "deb-systemd-helper disable redis-server.service",
	"deb-systemd-helper disable ssh.socket", "update-rc.d nginx disable"]


def test_services_that_come_with_packages_are_disabled_and_no_others(install):
	result, calls = install()
	assert result.status == 0, result.stderr
	assert calls == DISABLED


def test_services_are_disabled_after_an_installation_that_fails_half_way(install, directory):
	(directory / "fail").touch()
	result, calls = install()
	assert result.status == 1 and "install-deps: failed: apt-get install" in result.stderr
	assert calls == DISABLED
