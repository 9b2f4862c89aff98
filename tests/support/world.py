# SPDX-License-Identifier: MIT
"""The private world that every test runs in.

enter() moves this very process into a network and a mount namespace of its own, before the
first test and before any thread exists. Inside there is nothing but `lo`, and on it:

  11.0.0.0/16, 2600:11::/64   every address is local, and public in IANA's eyes, so that
                              hostd's policy for public addresses is what is exercised
  10.11.0.0/24                local too, but private
  169.254.169.254             local too, link-local: where clouds serve metadata
  PROHIBITED, UNREACHABLE,    connect() gives EACCES, EHOSTUNREACH and EINVAL
  BLACKHOLE
  NO_ROUTE                    connect() gives ENETUNREACH

A SYN that is not answered gives up after TIMED_OUT_SECONDS instead of two minutes. The resolver
configuration is replaced, so that programs run without Airlock ask the tests' own DNS server.
Nothing that a test sends can leave: there is no device to leave by. AF_VSOCK knows no network
namespaces, so a seccomp filter refuses such sockets to this process and to all that it starts;
only not inside a virtual machine that tests/vm has booted, whose AF_VSOCK is its own.
"""
import atexit
import contextlib
import ctypes
import errno
import os
import pathlib
import socket
import struct
import subprocess
import tempfile

PUBLIC = "11.0.0.1"
PUBLIC_6 = "2600:11::1"
PRIVATE = "10.11.0.1"
METADATA = "169.254.169.254"
PROHIBITED = "11.1.0.1"
UNREACHABLE = "11.1.0.2"
BLACKHOLE = "11.1.0.3"
NO_ROUTE = "11.2.0.1"
DNS_ADDRESS = "127.0.0.1"
SYN_RETRIES = pathlib.Path("/proc/sys/net/ipv4/tcp_syn_retries")
TIMED_OUT_SECONDS = 3.0  # tcp_syn_retries = 1: one second, then two more

# What tests/vm/run writes on a guest's command line, and what its init then starts as process 1.
GUEST_WORD, GUEST_PROGRAM = "airlock.guest=", "/airlock/tests/vm/guest"

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000

MNT_DETACH = 2
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
AT_NUMBER, AT_ARCHITECTURE, AT_FIRST_ARGUMENT = 0, 4, 16  # struct seccomp_data, little endian
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h: of 32-bit words, with constants
# (AUDIT_ARCH, socket(2)'s number there). 32-bit x86 programs could also use socketcall(2), whose
# arguments a filter cannot see: none of the tests is such a program.
SOCKET_CALLS = [
	(0xC000003E, 41),  # x86_64
	(0xC000003E, 0x40000000 + 41),  # x32 on x86_64
	(0x40000003, 359),  # i386
	(0xC00000B7, 198),  # aarch64
]

HOSTS = """127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
11.0.0.9 in-hosts-file.test
"""

_entered = False
has_ipv6 = False
is_real_root = os.geteuid() == 0


def _call(name, *arguments):
	function = getattr(ctypes.CDLL(None, use_errno=True), name)
	if function(*arguments) != 0:
		error = ctypes.get_errno()
		raise OSError(error, f"{name}: {os.strerror(error)}")


def _mount(source, target, kind, flags):
	_call("mount", os.fsencode(source), os.fsencode(target),
		kind.encode() if kind else None, ctypes.c_ulong(flags), None)


def _become_namespace_root():
	uid, gid = os.geteuid(), os.getegid()
	_call("unshare", CLONE_NEWUSER)
	pathlib.Path("/proc/self/setgroups").write_text("deny")
	pathlib.Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
	pathlib.Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _ip(command):
	subprocess.run(["ip"] + command.split(), check=True, capture_output=True, text=True)


def _build_network():
	global has_ipv6
	_ip("link set lo up")
	for block in ("11.0.0.1/16", "10.11.0.1/24", "169.254.169.254/32"):
		_ip(f"addr add {block} dev lo")
	_ip(f"route add prohibit {PROHIBITED}")
	_ip(f"route add unreachable {UNREACHABLE}")
	_ip(f"route add blackhole {BLACKHOLE}")
	SYN_RETRIES.write_text("1")
	if os.path.exists("/proc/sys/net/ipv6"):
		_ip("-6 addr add 2600:11::1/128 dev lo")
		_ip("-6 route add local 2600:11::/64 dev lo")
		has_ipv6 = True


_patient = 0


@contextlib.contextmanager
def patient():
	"""A SYN is sent again for more than half a minute, so that a dial ends by somebody else's decision or is
	answered late. The kernel reads the setting whenever it sends one again."""
	global _patient
	_patient += 1
	SYN_RETRIES.write_text("6")
	try:
		yield
	finally:
		_patient -= 1
		if not _patient:
			SYN_RETRIES.write_text("1")


def _remove_made(path, maker):
	"""What had to be made in the machine's own /etc only to be covered."""
	if os.getpid() == maker:
		_call("umount2", os.fsencode(path), MNT_DETACH)
		if os.path.getsize(path) == 0:
			os.unlink(path)


def _replace_file(path, text, directory):
	"""Covers an existing file of /etc. One that is a link into /run is written there: /run is ours."""
	real = os.path.realpath(path)
	if real.startswith("/run/"):
		os.makedirs(os.path.dirname(real), exist_ok=True)
		pathlib.Path(real).write_text(text)
		return
	if not os.path.exists(real):
		pathlib.Path(real).touch()
		atexit.register(_remove_made, real, os.getpid())
	cover = pathlib.Path(directory, os.path.basename(path))
	cover.write_text(text)
	_mount(str(cover), real, None, MS_BIND)


def _build_files():
	_mount("none", "/", None, MS_REC | MS_PRIVATE)
	_mount("tmpfs", "/run", "tmpfs", 0)
	# Programs that are preloaded by hand leave their state here; it goes when the tests do.
	if os.path.isdir("/dev/shm"):
		_mount("tmpfs", "/dev/shm", "tmpfs", 0)
	os.makedirs("/run/sshd", mode=0o755)
	directory = tempfile.mkdtemp(prefix="world-", dir="/run")
	_replace_file("/etc/resolv.conf",
		f"nameserver {DNS_ADDRESS}\noptions timeout:2 attempts:2\n", directory)
	_replace_file("/etc/hosts", HOSTS, directory)
	_replace_file("/etc/nsswitch.conf",
		"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n", directory)
	pathlib.Path(directory, "empty").touch()
	os.chmod(directory, 0o755)


def _vsock_filter(error):
	"""The program of a filter (seccomp(2)) with which socket(AF_VSOCK, ...) fails."""
	program = []
	for architecture, number in SOCKET_CALLS:
		program += [
			(LOAD, 0, 0, AT_ARCHITECTURE), (JUMP_IF_EQUAL, 0, 5, architecture),
			(LOAD, 0, 0, AT_NUMBER), (JUMP_IF_EQUAL, 0, 3, number),
			(LOAD, 0, 0, AT_FIRST_ARGUMENT), (JUMP_IF_EQUAL, 0, 1, socket.AF_VSOCK),
			(RETURN, 0, 0, SECCOMP_RET_ERRNO | error),
		]
	program.append((RETURN, 0, 0, SECCOMP_RET_ALLOW))
	return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def refuse_vsock(error=errno.EACCES):
	"""For good, also in children; the last one's error counts. Whoever has CAP_SYS_ADMIN in its user
	namespace needs no PR_SET_NO_NEW_PRIVS for this, under which setuid programs would not be such."""
	program = _vsock_filter(error)
	instructions = ctypes.create_string_buffer(program, len(program))
	# struct sock_fprog, padded by native alignment
	header = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
	_call("prctl", PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER),
		ctypes.create_string_buffer(header, len(header)))


def is_guest():
	"""True in a virtual machine that tests/vm has booted, where AF_VSOCK reaches nothing but the guest itself. Asked of
	the kernel: its command line, its first process and the processor cannot be set by a test's environment."""
	first = pathlib.Path("/proc/1/cmdline").read_bytes().split(b"\0")
	words = pathlib.Path("/proc/cmdline").read_text().split()
	return (any(word.startswith(GUEST_WORD) for word in words) and GUEST_PROGRAM.encode() in first
		and " hypervisor " in pathlib.Path("/proc/cpuinfo").read_text())


def enter():
	"""Idempotent. Raises OSError or CalledProcessError when namespaces cannot be had."""
	global _entered
	if _entered:
		return
	if not is_real_root:
		_become_namespace_root()
	_call("unshare", CLONE_NEWNET | CLONE_NEWNS)
	_build_files()
	_build_network()
	if not is_guest():
		refuse_vsock()
	_entered = True


# A network namespace with not even lo up, no resolver and no hosts file: what nitro-cli's init
# leaves. Files and unix sockets that have a path are shared with the world.
ENCLAVE_PREFIX = ["unshare", "--net", "--mount", "--", "/bin/sh", "-c",
	'mount --bind /dev/null /etc/resolv.conf && mount --bind /dev/null /etc/hosts && exec "$@"',
	"enclave"]
