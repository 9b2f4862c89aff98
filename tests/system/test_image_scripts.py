# SPDX-License-Identifier: MIT
"""The parts of scripts/ that an enclave image is made with, each by itself; `make test-image` runs them all."""
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from support import hostd as hostd_module
from support import process

SCRIPTS = hostd_module.TOP / "scripts"


def script(name, *words, input=None, **environment):
	return process.run([str(SCRIPTS / name), *map(str, words)], env=dict(os.environ, **environment), input=input)


def stand_ins(directory, programs):
	"""{name: text} before all others on the PATH; STAND_IN names the folder that they write to."""
	tools = directory / "tools"
	tools.mkdir()
	for name, text in programs.items():
		(tools / name).write_text(text)
		(tools / name).chmod(0o755)
	return {"STAND_IN": str(directory), "PATH": f"{tools}:{os.environ['PATH']}"}


# --- tar-to-cpio

def make_tar(*members, owner=(7, 8)):
	"""(name, type, contents or target) of each."""
	out = io.BytesIO()
	with tarfile.open(fileobj=out, mode="w:", format=tarfile.GNU_FORMAT) as archive:
		for name, kind, content in members:
			member = tarfile.TarInfo(name)
			member.type, member.mode, member.mtime, (member.uid, member.gid) = kind, 0o4750, 1234567, owner
			if kind == tarfile.REGTYPE:
				member.size = len(content)
				archive.addfile(member, io.BytesIO(content))
			elif kind == tarfile.CHRTYPE:
				member.devmajor, member.devminor = content
				archive.addfile(member)
			else:
				member.linkname = content
				archive.addfile(member)
	return out.getvalue()


def read_cpio(data):
	"""{name: (fields, contents)}, by the kernel's buffer-format.rst."""
	found, at = {}, 0
	names = "inode mode uid gid links time size major minor rmajor rminor name_size check".split()
	while True:
		assert data[at:at + 6] == b"070701" and at % 4 == 0
		fields = dict(zip(names, (int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13))))
		name = data[at + 110:at + 110 + fields["name_size"] - 1].decode()
		begin = (at + 110 + fields["name_size"] + 3) // 4 * 4
		if name == "TRAILER!!!":
			return found
		found[name] = fields, data[begin:begin + fields["size"]]
		at = (begin + fields["size"] + 3) // 4 * 4


MEMBERS = [("./", tarfile.DIRTYPE, ""), ("./usr", tarfile.DIRTYPE, ""), ("./usr/one", tarfile.REGTYPE, b"12345"),
	("./usr/two", tarfile.LNKTYPE, "./usr/one"), ("./lib", tarfile.SYMTYPE, "usr/lib"),
	("./null", tarfile.CHRTYPE, (1, 3)), ("./" + 120 * "x", tarfile.REGTYPE, b"")]


def test_a_ramdisk_has_what_the_archive_has():
	result = script("tar-to-cpio", input=make_tar(*MEMBERS))
	assert result.status == 0, result.stderr
	found = read_cpio(result.raw)
	assert list(found) == ["usr", "usr/one", "usr/two", "lib", "null", 120 * "x"]
	modes = [f"{fields['mode']:o}" for fields, _ in found.values()]
	assert modes == ["44750", "104750", "104750", "124750", "24750", "104750"]
	one, two = found["usr/one"][0], found["usr/two"][0]
	# Two names of one file: the second adds a link to what the first brought.
	assert one["inode"] == two["inode"] and one["links"] == two["links"] == 2
	assert found["usr/one"][1] == b"12345" and found["usr/two"][1] == b"" and found["lib"][1] == b"usr/lib"
	assert len({fields["inode"] for fields, _ in found.values()}) == 5
	assert (found["null"][0]["rmajor"], found["null"][0]["rminor"]) == (1, 3)
	assert {(fields["uid"], fields["gid"], fields["time"]) for fields, _ in found.values()} == {(7, 8, 1234567)}


def test_archives_can_stand_one_behind_the_other():
	first = script("tar-to-cpio", input=make_tar(*MEMBERS)).raw
	assert len(first) % 4 == 0


# --- normalised-tar

def test_an_archive_does_not_depend_on_when_and_in_what_order_files_were_made(directory):
	archives = []
	for number, names in enumerate([("a", "b"), ("b", "a")]):
		root = directory / str(number)
		root.mkdir()
		for name in names:
			(root / name).write_text(name)
			os.utime(root / name, (2_000_000_000 + number, 2_000_000_000 + number))
		archives.append(script("normalised-tar", root, SOURCE_DATE_EPOCH="1700000000").raw)
	assert archives[0] and archives[0] == archives[1]
	with tarfile.open(fileobj=io.BytesIO(archives[0])) as archive:
		assert max(member.mtime for member in archive.getmembers()) == 1_700_000_000


# --- build-eif

@pytest.mark.parametrize("config, problem", [
	({"Cmd": ["/bin/sh", "-c", "x"]}, "command is not airlock run"),
	({"Cmd": ["airlock", "run", "x"]}, "command is not airlock run"),
	({"Entrypoint": ["airlock", "run", "--"], "Cmd": ["x"]}, "ENTRYPOINT and CMD"),
	({"Cmd": ["airlock", "run", "--", "a\nb"]}, "line break in arg"),
	({"Entrypoint": ["airlock", "run", "--", "x"], "User": "nobody"}, "USER is not UID:GID"),
])
@pytest.mark.parametrize("options", [["--own"], []], ids=["own", "nitro-cli"])
def test_what_an_enclave_cannot_run_as_told_is_an_error(directory, config, problem, options):
	tools = stand_ins(directory, {"nitro-cli": "#!/bin/sh\ntouch \"$STAND_IN/asked\"\necho '{}'\n"})
	(directory / "rootfs.tar").write_bytes(make_tar())
	(directory / "config.json").write_text(json.dumps(config))
	result = script("build-eif", *options, directory, **tools)
	assert result.status != 0 and problem in result.stderr
	assert not (directory / "enclave.eif").exists() and not (directory / "asked").exists()


@pytest.mark.parametrize("name", ["Cmd", "Entrypoint"])
def test_an_image_with_one_command_is_for_nitro_cli_to_build(directory, name):
	tools = stand_ins(directory, {"nitro-cli": "#!/bin/sh\necho \"$*\" >\"$STAND_IN/asked\"\necho '{}'\n"})
	(directory / "rootfs.tar").write_bytes(make_tar())
	(directory / "config.json").write_text(json.dumps({name: ["airlock", "run", "--", "x"]}))
	result = script("build-eif", directory, **tools)
	assert result.status == 0, result.stderr
	assert (directory / "asked").read_text().startswith("build-enclave --docker-uri airlock-enclave:latest ")
	assert (directory / "measurements.json").read_text() == "{}\n"


# --- build-image, in a repository of its own, with stand-ins for make-base and for what builds

MAKE_BASE = """#!/bin/sh
umask >>"$STAND_IN/umask"
cat "$IMAGE_LOCK" >>"$STAND_IN/locks"
echo WHOSE >"$2"
"""
BUILDAH = """#!/bin/sh
while :; do
	case $1 in --root | --runroot | --storage-driver) shift 2 ;; *) break ;; esac
done
case $1 in
add) cat "$3" >>"$STAND_IN/bases" ;;
bud) cp "$3" "$STAND_IN/dockerfile" ;;
inspect) echo '{"OCIv1": {"config": {"Cmd": ["x"]}}}' ;;
mount) mkdir "$STAND_IN/mounted" && echo "$STAND_IN/mounted" ;;
esac
"""
DOCKER = """#!/bin/sh
printf '%s\\n' "$*" >>"$STAND_IN/calls"
case $1 in
image) exit 1 ;;
build) cp "$3" "$STAND_IN/dockerfile" ;;
inspect) cat "$STAND_IN/inspected" ;;
create) echo container-1 ;;
export) [ ! -e "$STAND_IN/fail" ] && cat "$STAND_IN/exported" ;;
import) shift $(($# - 2)) && cp "$1" "$STAND_IN/imported" ;;
esac
"""


@pytest.fixture
def repository(directory):
	"""A function that builds: make-base, the lock file and Dockerfile.enclave of the commit are "committed", those of
	the working tree "changed"."""
	top = directory / "repository"
	(top / "scripts").mkdir(parents=True)
	for name in ("build-image", "normalised-tar", "image-apt.sh"):
		shutil.copy(SCRIPTS / name, top / "scripts")

	def write(whose):
		(top / "scripts/make-base").write_text(MAKE_BASE.replace("WHOSE", whose))
		(top / "scripts/make-base").chmod(0o755)
		for name in ("scripts/image-packages.lock", "Dockerfile.enclave"):
			(top / name).write_text(whose + "\n")

	def git(*words):
		subprocess.run(["git", "-C", top, "-c", "user.name=x", "-c", "user.email=x@x.test", *words], check=True)

	write("committed")
	git("init", "--quiet")
	git("add", ".")
	git("commit", "--quiet", "--message", "All")
	write("changed")

	def build(**environment):
		return process.run(["sh", "-c", 'umask 077; exec "$@"', "sh", str(top / "scripts/build-image"), str(directory / "out")],
			env=dict(os.environ, **environment))
	return build


def test_what_is_built_is_the_commit_and_not_the_working_tree(repository, directory):
	result = repository(**stand_ins(directory, {"buildah": BUILDAH}))
	assert result.status == 0, result.stderr
	assert "not committed" in result.stderr
	for name, text in (("locks", 2 * "committed\n"), ("bases", 2 * "committed\n"), ("dockerfile", "committed\n"),
			("umask", 2 * "0022\n")):
		assert (directory / name).read_text() == text, name


def test_a_lock_file_can_be_named(repository, directory):
	(directory / "lock").write_text("named\n")
	result = repository(IMAGE_LOCK=str(directory / "lock"), **stand_ins(directory, {"buildah": BUILDAH}))
	assert result.status == 0, result.stderr
	assert (directory / "locks").read_text() == 2 * "named\n"


@pytest.fixture
def docker(directory):
	"""A stand-in that has built an image of one file."""
	(directory / "inspected").write_text(json.dumps([{"Config": {"Cmd": ["airlock", "run", "--", "a b"],
		"Env": ["PATH=/bin", 'ODD=a "b" $c=d']}}]))
	folders = [(f"./{name}/", tarfile.DIRTYPE, "") for name in ("", "dev", "proc", "sys", "etc")]
	(directory / "exported").write_bytes(make_tar(*folders, ("./.dockerenv", tarfile.REGTYPE, b""),
		("./etc/kept", tarfile.REGTYPE, b"1"), owner=(0, 0)))
	return stand_ins(directory, {"docker": DOCKER, "nitro-cli": "#!/bin/sh\n"})


def test_with_docker_the_image_is_made_of_the_archive_whose_digest_is_told(repository, directory, docker):
	result = repository(**docker)
	assert result.status == 0, result.stderr
	archive = (directory / "imported").read_bytes()
	assert hashlib.sha256(archive).hexdigest() in result.stdout
	with tarfile.open(fileobj=io.BytesIO(archive)) as members:
		assert [name for name in members.getnames() if name.count("/") != 1] == [".", "./etc/kept"]
	calls = (directory / "calls").read_text().splitlines()
	assert calls[-1] == (r'import --change=CMD ["airlock","run","--","a b"] --change=ENV PATH="/bin"'
		rf' --change=ENV ODD="a \"b\" \$c=d" {directory}/out/rootfs.tar airlock-enclave')
	assert (directory / "dockerfile").read_text() == "committed\n"
	assert calls.count("rm container-1") == 1
	assert [" --force-rm " in call for call in calls if call.startswith("build ")] == [True]


def test_a_container_is_removed_when_its_export_fails(repository, directory, docker):
	(directory / "fail").touch()
	result = repository(**docker)
	assert result.status != 0
	calls = (directory / "calls").read_text().splitlines()
	assert calls[-2:] == ["export container-1", "rm container-1"]
	assert not list((directory / "out").glob("scratch.*"))


# --- vsock-seccomp

def test_a_profile_gets_one_rule_for_vsock_and_keeps_the_others(directory):
	profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_ALLOW",
		"args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]}]}
	path = directory / "profile.json"
	path.write_text(json.dumps(profile))
	result = script("vsock-seccomp", path)
	assert result.status == 0, result.stderr
	made = json.loads(result.stdout)
	rule = made["syscalls"].pop()
	assert made == profile
	assert rule["names"] == ["socket"] and rule["action"] == "SCMP_ACT_ALLOW"
	assert [(one["index"], one["value"], one["op"]) for one in rule["args"]] == [(0, 40, "SCMP_CMP_EQ")]


def test_what_is_no_profile_is_refused(directory):
	path = directory / "profile.json"
	path.write_text("{}")
	result = script("vsock-seccomp", path)
	assert result.status != 0 and "not a seccomp profile" in result.stderr


# --- run-vm, with a stand-in for QEMU that writes down its arguments and says what a guest says at its end

QEMU = """#!/bin/sh
printf '%s\\n' "$@" >"$STAND_IN/arguments"
for word; do
	case $word in file:*) console=${word#file:} ;; esac
done
printf 'airlock: the command ended with status 7\\r\\n' >"$console"
"""
DEVICE = """#!/usr/bin/python3
import os, signal, socket, sys
option = dict(zip(sys.argv[1::2], sys.argv[2::2]))
listener = socket.socket(socket.AF_UNIX)
listener.bind(option["--socket"])
open(os.environ["STAND_IN"] + "/device", "w").write(option["--guest-cid"] + " " + option["--uds-path"])
signal.pause()
"""


@pytest.fixture
def machine(directory):
	environment = stand_ins(directory, {"qemu-system-x86_64": QEMU, "vhost-device-vsock": DEVICE})
	(directory / "image/kernel").mkdir(parents=True)
	for name in ("kernel/vmlinuz", "boot.cpio.gz", "image.cpio.gz", "cmdline", "command"):
		(directory / "image" / name).write_text("")
	environment.update(TMPDIR=str(directory), BUILD=str(hostd_module.hostd_program().parents[1]))
	return lambda *options: script("run-vm", *options, directory / "image", **environment)


def test_a_guest_is_given_a_vsock_device_whose_other_side_is_hostd(machine, directory):
	result = machine("--device")
	assert result.status == 7, result.stderr
	arguments = (directory / "arguments").read_text().splitlines()
	assert "vhost-user-vsock-pci,chardev=vsock" in arguments
	cid, path = (directory / "device").read_text().split()
	assert cid == "16" and path.endswith("/host")
	assert "hostd: " in result.stderr and "ended" in result.stderr
	assert not list(directory.glob("airlock-vm.*"))


def test_a_vm_without_an_image_is_told_what_to_do_first(machine, directory):
	(directory / "image/command").unlink()
	result = machine("--device")
	assert result.status == 2 and "build-eif --own first" in result.stderr
