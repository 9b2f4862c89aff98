# SPDX-License-Identifier: MIT
"""`airlock` as the first process: mounts, environment, modules, entropy, the report, and the end of all.

In PID, mount and network namespaces of its own, in a directory that holds nothing but Airlock and a shell.
What only a machine's PID 1 does, restarting it, is for tests/vm."""
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from support import airlock as airlock_module
from support import bare_root, process, serving, tls_route, world
from support.hostd import build_directory

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

pytestmark = pytest.mark.skipif(not world.is_real_root, reason="devtmpfs is mounted by root alone")


@pytest.fixture
def root(directory):
	if not process.which("busybox"):
		pytest.skip("busybox is not installed")
	return bare_root.BareRoot(directory / "root")


def boot_traced(root, call, **options):
	"""(result, strace's lines about one system call)."""
	if tls_route.is_sanitized():
		pytest.skip("LeakSanitizer does not work under strace, and finds its options in /proc alone")
	trace = root.path / "trace"
	result = root.boot(prefix=["strace", "-f", "-y", "-e", f"trace={call}", "-o", str(trace)], **options)
	return result, [line for line in trace.read_text().splitlines() if f"{call}(" in line]


def child_of(daemon):
	"""The PID 1 inside, as it is numbered here."""
	(child,) = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
	return int(child)


# --- mounts

def mounts(text):
	"""{path: type} of the lines of /proc/mounts."""
	lines = [line.split() for line in text.splitlines()]
	return {words[1]: words[2] for words in lines if len(words) == 6}


def test_what_is_missing_is_mounted(root):
	root.write_script("cat /proc/mounts")
	result = root.boot()
	found = mounts(result.stdout)
	assert (result.status, result.stderr) == (0, ""), result
	assert {path: found.get(path) for path in ("/dev", "/proc", "/sys", "/dev/pts", "/dev/shm")} == {
		"/dev": "devtmpfs", "/proc": "proc", "/sys": "sysfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs"}
	assert "/tmp" not in found and "/run" not in found, "in a container they are left alone where they can be written"


def test_run_as_pid_1_mounts_too(root):
	result = root.run("cat", "/proc/mounts")
	assert result.status == 0 and mounts(result.stdout).get("/dev") == "devtmpfs", result


@pytest.mark.parametrize("device,is_first", [("dev/nsm", True), ("dev/other", False)])
def test_the_first_program_of_another_init_mounts_too(root, device, is_first):
	result = root.run("cat", "/proc/mounts", prefix=["/bin/sh", "-c", '"$@"; exit $?', "sh"],
		before=f"mount -t tmpfs none dev && mknod dev/null c 1 3 && touch {device} && mount -t proc none proc")
	assert result.status == 0 and ("/dev/pts" in mounts(result.stdout)) == is_first, result


def test_nothing_is_mounted_twice(root):
	root.write_command("arg /bin/sh", "arg -c", "arg true")
	result, calls = boot_traced(root, "mount")
	assert result.status == 0, result
	targets = re.findall(r'mount\("(?:devtmpfs|proc|sysfs|devpts|tmpfs)", "([^"]+)"', "\n".join(calls))
	assert sorted(targets) == ["/dev", "/dev/pts", "/dev/shm", "/proc", "/sys"]


def test_run_and_tmp_get_a_tmpfs_where_nothing_can_be_written(root):
	root.configure("route * tls")
	root.write_script("cat /proc/mounts; touch /tmp/file /run/file; ls /run/airlock; stat -c %a /tmp")
	result = root.boot(mode="ro")
	found = mounts(result.stdout)
	assert (found.get("/tmp"), found.get("/run")) == ("tmpfs", "tmpfs"), result
	assert result.stdout.endswith("\ntls.sock\n1777\n"), "airlock-tls has the default's directory"
	assert result.status == 0 and "cannot" not in result.stderr


def test_a_mount_that_fails_is_said_and_stops_nothing(root):
	(root.path / "sys").rmdir()
	(root.path / "sys").write_text("a file")
	root.write_script("echo ran")
	result = root.boot()
	assert (result.status, result.stdout) == (0, "ran\n")
	assert result.stderr == "airlock: cannot mount sysfs on /sys: Not a directory\n"


def test_pid_1_of_a_container_without_rights_says_nothing(root):
	setpriv = process.which("setpriv")
	root.install(setpriv, "bin/setpriv")
	result = root.run("echo", "ran", before="mount -t proc none proc && ip link set lo up",
		prefix=["/bin/setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"])
	assert (result.status, result.stdout, result.stderr) == (0, "ran\n", "")


def test_the_links_of_dev_are_there(root):
	root.write_script("for name in fd stdin stdout stderr; do readlink /dev/$name; done; echo through >/dev/stderr")
	result = root.boot(before="mount -t tmpfs none dev && mknod dev/null c 1 3")
	assert result.stdout.split() == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"]
	assert result.stderr == "through\n"


def test_lo_is_raised(root):
	root.write_script("ip -o link show lo")
	assert "LOOPBACK,UP" in root.boot().stdout


def test_closed_standard_descriptors_become_the_console(root):
	root.write_script("set -- 0 1 2; ls -l /proc/$$/fd >/found")
	close = 'exec "$@" <&- >&- 2>&-'
	result = process.run(["sh", "-c", close, "sh", *root.command("/init")], env={"PATH": os.environ["PATH"]})
	assert result.status == 0, result
	found = dict(re.findall(r" (\d+) -> (\S+)", (root.path / "found").read_text()))
	assert found["0"] == found["2"] == "/dev/console", found


# --- the command file

def test_the_environment_is_what_the_file_says(root):
	root.write_command("# a comment", "", "env GREETING=two  words ", "env EMPTY=", "env HOME=/srv", "arg /bin/env")
	result = root.boot(env={"KERNEL": "argument"})
	lines = dict(line.split("=", 1) for line in result.stdout.splitlines())
	assert lines.pop("AIRLOCK_STATE").startswith("/dev/shm/airlock-run-0-")
	assert lines == {"PATH": PATH, "HOME": "/srv", "GREETING": "two  words ", "EMPTY": "",
		"LD_PRELOAD": "/usr/local/lib/libairlock.so"}, result


def test_arguments_are_taken_byte_for_byte(root):
	words = ["%s|", "", " leading", "trailing ", "# no comment", "tab\there", "ümlaut", '"quoted"', "a\\nb"]
	root.write_command("arg /bin/printf", *(f"arg {word}" for word in words))
	assert root.boot().stdout == "".join(f"{word}|" for word in words[1:])


def test_the_directory_and_the_user(root):
	os.chown(root.path / "srv", 1234, 1235)
	root.write_command("directory /srv", "user 1234:1235", "arg /bin/sh", "arg -c",
		'arg pwd; id -u; id -g; id -G; echo $HOME; stat -c "%u:%g" "$AIRLOCK_STATE"; touch file && echo made')
	result = root.boot(prefix=["setpriv", "--groups", "4,5"])
	assert result.stdout.split() == ["/srv", "1234", "1235", "1235", "/", "1234:1235", "made"], result


def test_the_configuration_can_be_named_by_a_variable(root):
	(root.path / "etc/other.conf").write_text("hostd unix:/elsewhere\nno-such-word\n")
	root.write_command("env AIRLOCK_CONF=/etc/other.conf", "arg /bin/env")
	result = root.boot()
	assert result.status == 2 and "/etc/other.conf:2:1: unknown directive: `no-such-word`" in result.stderr


ERRORS = [
	(["arg /bin/sh", "agr x"], "2:1: unknown directive: `agr`"),
	(["arg /bin/sh", "env VALUE"], "2:5: not of the form NAME=VALUE: `VALUE`"),
	(["env =x", "arg /bin/sh"], "1:5: not of the form NAME=VALUE: `=x`"),
	(["directory srv", "arg /bin/sh"], "1:11: path is not absolute: `srv`"),
	(["directory /srv", "directory /", "arg /bin/sh"], "2:1: directive given twice: `directory`"),
	(["user root", "arg /bin/sh"], "1:6: not of the form UID:GID: `root`"),
	(["user 0:4294967295", "arg /bin/sh"], "1:6: not of the form UID:GID: `0:4294967295`"),
	([" arg /bin/sh"], "1:1: unknown directive"),
	(["env A=b"], "1:1: no arg: there is nothing to run"),
]


@pytest.mark.parametrize("lines,said", ERRORS, ids=[said for _, said in ERRORS])
def test_errors_of_the_file_name_their_place(root, lines, said):
	root.write_command(*lines)
	result = root.boot()
	assert (result.status, result.stdout, result.stderr) == (2, "", f"airlock: /etc/airlock/command:{said}\n")


def test_what_is_not_there_is_said(root):
	result = root.boot()
	assert (result.status, result.stderr) == (2, "airlock: /etc/airlock/command: No such file or directory\n")
	root.write_command("directory /nowhere", "arg /bin/sh")
	assert root.boot().stderr == "airlock: /nowhere: No such file or directory\n"
	root.write_command("arg /bin/nothing")
	result = root.boot()
	assert (result.status, result.stderr) == (127, "airlock: /bin/nothing: No such file or directory\n")


def test_init_is_for_pid_1_only(directory):
	link = directory / "init"
	link.symlink_to(airlock_module.airlock_program().resolve())
	result = process.run([str(link)])
	assert (result.status, result.stderr) == (2, "airlock: init is only for PID 1\n")


@pytest.mark.parametrize("place", ["usr/local/lib/airlock", "usr/lib/airlock"])
def test_a_copy_of_the_program_can_be_init(root, place):
	(root.path / "init").unlink()
	(root.path / "usr/local/bin/airlock").rename(root.path / "init")
	(root.path / place).mkdir(parents=True)
	(root.path / "usr/local/lib/libairlock.so").rename(root.path / place / "libairlock.so")
	if "local" not in place:
		(root.path / "usr/local/bin").rename(root.path / "usr/bin")
	root.configure("tls-listen unix:/run/tls.sock", "route * tls")
	root.write_script('echo "$LD_PRELOAD"; test -S /run/tls.sock && echo listens')
	result = root.boot()
	assert result.stdout == f"/{place}/libairlock.so\nlistens\n", result
	assert "airlock-tls" not in result.stderr


# --- modules

def test_modules_are_loaded_in_the_order_of_the_list(root):
	"""They are none, so the kernel refuses each: that it was asked, and how, is seen by strace."""
	modules = root.path / "lib/modules/airlock"
	for name in ("b.ko", "a.ko.xz"):
		(modules / name).write_text("not a module")
	(modules / "order").write_text("# a comment\n\nb.ko\nabsent.ko\na.ko.xz\n")
	root.write_script("echo ran")
	result, lines = boot_traced(root, "finit_module")
	calls = re.findall(r'finit_module\(\d+<([^>]*)>, "", (\S+)\)', "\n".join(lines))
	assert [(pathlib.Path(path).name, re.sub(r" .*|MODULE_INIT_COMPRESSED_FILE", "0x4", flags)) for path, flags in calls
		] == [("b.ko", "0"), ("a.ko.xz", "0x4")], lines
	assert result.stdout == "ran\n"
	said = result.stderr.splitlines()
	assert [line.split(": ")[1] for line in said] == [f"cannot load /lib/modules/airlock/{name}"
		for name in ("b.ko", "absent.ko", "a.ko.xz")], said
	assert said[1].endswith("absent.ko: No such file or directory")


# --- entropy

@pytest.fixture
def nsm(root, background):
	"""A simulated NSM that listens inside the root directory."""
	path = root.path / "nsm.sock"
	simulated = background(process.Daemon([str(build_directory() / "bin/airlock-attest"), "simulate",
		"--listen", f"unix:{path}"]))
	simulated.wait_line("listening")
	return simulated


def test_the_kernel_is_seeded_from_the_nsm(root, nsm):
	root.configure("nsm unix:/nsm.sock", "log info")
	root.write_script("echo ran")
	result, lines = boot_traced(root, "ioctl")
	assert (result.status, result.stdout) == (0, "ran\n"), result
	assert "airlock: the kernel has 256 bytes of entropy from unix:/nsm.sock\n" in result.stderr
	calls = [line for line in lines if "RNDADDENTROPY" in line]
	assert len(calls) == 1 and calls[0].endswith("= 0"), calls


def test_no_nsm_is_said_at_info_alone(root):
	root.write_script("echo ran")
	assert root.boot().stderr == ""
	root.configure("log info")
	assert "airlock: no NSM at /dev/nsm to draw entropy from\n" in root.boot().stderr


def test_an_nsm_that_does_not_answer_is_given_up(root):
	root.configure("nsm unix:/nsm.sock")
	root.write_script("echo ran")
	with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
		listener.bind(f"{root.path}/nsm.sock")
		listener.listen()
		result = root.boot()
	assert (result.status, result.stdout) == (0, "ran\n")
	assert "airlock: no entropy from unix:/nsm.sock: " in result.stderr
	assert 4 < result.seconds < 20


# --- the report

class Parent:
	"""Who waits for the heartbeat: one thread for each connection that comes, and what was said on it."""

	def __init__(self, path, answer):
		self.heard, self._answer = [], answer
		self.stop = serving.Server(serving.listen_unix(path), self._serve).stop

	def _serve(self, connection):
		self.heard.append(connection.recv(16))
		if self._answer is not None:
			connection.sendall(self._answer)
			connection.recv(1)
		elif connection.recv(1):
			raise AssertionError("nothing was to come")


@pytest.fixture
def parent(root):
	started = []

	def start(answer):
		started.append(Parent(root.path / "report.sock", answer))
		root.configure("report unix:/report.sock", "log info")
		root.write_script("echo ran")
		return started[-1]

	yield start
	for each in started:
		each.stop()


def test_the_heartbeat_is_sent_once_and_its_answer_awaited(root, parent):
	there = parent(b"\xb7")
	result = root.boot()
	assert (result.status, result.stdout, there.heard) == (0, "ran\n", [b"\xb7"]), result
	assert "airlock: reported to unix:/report.sock\n" in result.stderr and result.seconds < 5


@pytest.mark.parametrize("answer,said", [(None, "Connection timed out"),
	(b"x", "the answer is not of this protocol")], ids=["none", "another"])
def test_a_heartbeat_without_its_answer_stops_nothing(root, parent, answer, said):
	there = parent(answer)
	result = root.boot()
	assert (result.status, result.stdout) == (0, "ran\n")
	assert f"airlock: report to unix:/report.sock: {said}\n" in result.stderr
	assert there.heard and set(there.heard) == {b"\xb7"} and 4 < result.seconds < 20


def test_nobody_to_report_to_stops_nothing(root):
	root.configure("report unix:/report.sock")
	root.write_script("echo ran")
	result = root.boot()
	assert (result.status, result.stdout) == (0, "ran\n")
	assert result.stderr == "airlock: report to unix:/report.sock: nobody listens there\n"
	assert 4 < result.seconds < 20


def test_a_second_program_in_the_enclave_does_not_report(airlock, directory):
	there = Parent(directory / "report.sock", b"\xb7")
	config = airlock.write(routes="", endpoint="unix:/nonexistent/hostd.sock", report=f"unix:{directory}/report.sock")
	assert airlock.run(["true"], enclave=False, config=config).status == 0
	assert there.heard == []
	command = airlock.command(["true"], enclave=False, config=config)
	command.insert(command.index("--"), "--init")
	result = process.run(["unshare", "--mount", "--", *command], env=airlock.environment())
	there.stop()
	assert result.status == 0 and there.heard == [b"\xb7"], result


# --- signals, status, and the end

@pytest.mark.parametrize("script,status", [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)])
def test_the_status_is_returned(root, script, status):
	root.write_script(script)
	result = root.boot()
	assert (result.status, result.stderr) == (status, "")


def test_orphans_are_reaped_while_the_program_runs(root):
	root.write_script("""
for i in 1 2 3; do (sleep 0.1 & exit 0); done
sleep 1
for status in /proc/[0-9]*/status; do
	while read -r key value; do [ "$key" = State: ] && echo "$value"; done <"$status" 2>/dev/null
done
exit 0
""")
	result = root.boot()
	assert result.status == 0 and "zombie" not in result.stdout and "running" in result.stdout, result


def test_what_the_program_leaves_behind_is_asked_to_end(root):
	"""One of them takes longer than another, and is waited for."""
	root.write_script("""
sleep 100 &
sh -c 'trap "sleep 0.5; echo asked; exit 0" TERM; echo waiting; touch /tmp/up; while :; do sleep 0.05; done' &
until [ -e /tmp/up ]; do sleep 0.05; done
exit 4
""")
	result = root.boot()
	assert (result.status, result.stdout) == (4, "waiting\nasked\n"), result
	assert result.seconds < 5


STUBBORN = """
trap "exit 5" TERM
sh -c 'trap "echo asked" TERM; echo ready; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done
"""


def test_what_does_not_end_is_killed(root, background):
	root.write_script(STUBBORN)
	root.configure("log info")
	init = background(root.boot_in_background())
	init.wait_line("ready")
	os.kill(child_of(init), signal.SIGTERM)
	init.wait_line("asked")
	init.wait_line("airlock: waiting for the other processes; another signal ends this")
	assert not init.has_ended(2) and init.has_ended(30)
	assert init.process.returncode == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_second_signal_kills_them_at_once(root, background, number):
	root.write_script(STUBBORN)
	init = background(root.boot_in_background())
	init.wait_line("ready")
	os.kill(child_of(init), signal.SIGTERM)
	init.wait_line("asked")
	os.kill(child_of(init), number)
	since = time.monotonic()
	assert init.has_ended(30) and time.monotonic() - since < 5
	assert init.process.returncode == 5 and "do not end" not in init.output


# --- airlock-tls ends last

@pytest.fixture
def tls_socket(root):
	"""Removed by airlock-tls when it ends in order, and not when it is killed."""
	root.configure("tls-listen unix:/run/tls.sock", "route * tls")
	return root.path / "run/tls.sock"


def test_the_other_processes_have_airlock_tls_up_to_their_end(root, tls_socket):
	root.write_script("""
sh -c 'trap "sleep 0.5; test -S /run/tls.sock && echo served; exit 0" TERM; touch /tmp/up; while :; do sleep 0.05; done' &
until [ -e /tmp/up ]; do sleep 0.05; done
exit 4
""")
	result = root.boot()
	assert (result.status, result.stdout) == (4, "served\n"), result
	assert result.seconds < 5 and "killed" not in result.stderr and not tls_socket.exists()


def test_airlock_tls_is_not_killed_with_the_others(root, tls_socket, background):
	root.write_script(STUBBORN)
	init = background(root.boot_in_background())
	init.wait_line("ready")
	os.kill(child_of(init), signal.SIGTERM)
	init.wait_line("asked")
	os.kill(child_of(init), signal.SIGTERM)
	assert init.has_ended(30) and init.process.returncode == 5
	assert "killed" not in init.output and not tls_socket.exists()
