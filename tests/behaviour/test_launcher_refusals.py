# SPDX-License-Identifier: MIT
"""Programs that cannot be preloaded are refused before they start, with the reason, and doctor says the same."""
import os
import pathlib
import shutil
import subprocess

import pytest

from support import process, world


def copy_of(program, directory, name="copy"):
	return pathlib.Path(shutil.copy(program, directory / name))


def static(probe, directory):
	return probe("status", "-static")


def static_pie(probe, directory):
	return probe("status", "-static-pie")


def go(probe, directory):
	"""Go's linker leaves its build id in a section of this name, in static and dynamic programs alike."""
	program = copy_of(probe("status"), directory)
	note = directory / "note"
	note.write_bytes(b"\4\0\0\0\4\0\0\0\4\0\0\0Go\0\0abcd")
	subprocess.run(["objcopy", f"--add-section=.note.go.buildid={note}", program], check=True)
	return program


def set_user_id(probe, directory):
	program = copy_of(probe("status"), directory)
	program.chmod(0o4755)
	return program


def set_group_id(probe, directory):
	program = copy_of(probe("status"), directory)
	program.chmod(0o2755)
	return program


def capable(probe, directory):
	if not process.which("setcap") or not world.is_real_root:
		pytest.skip("file capabilities need setcap and root")
	program = copy_of(probe("status"), directory)
	subprocess.run([process.which("setcap"), "cap_net_raw+ep", program], check=True)
	return program


def musl(probe, directory):
	return probe("status", "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1")


def foreign(probe, directory):
	"""e_machine (elf(5)) at offset 18; 243 is RISC-V."""
	program = copy_of(probe("status"), directory)
	image = bytearray(program.read_bytes())
	image[18:20] = (243).to_bytes(2, "little")
	program.write_bytes(image)
	return program


def io_uring(probe, directory):
	library = directory / "liburing.so.2"
	subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-Wl,-soname,liburing.so.2", "-o", library],
		check=True)
	program = directory / "with-uring"
	source = pathlib.Path(__file__).parent / "status.c"
	subprocess.run(["cc", source, "-Wl,--no-as-needed", library, "-o", program], check=True)
	return program


def script(directory, line):
	path = directory / "script"
	path.write_text(f"#!{line}\n")
	path.chmod(0o755)
	return path


def script_of_static(probe, directory):
	return script(directory, f"{static(probe, directory)} argument")


def script_of_script_of_static(probe, directory):
	inner = script(directory, static(probe, directory))
	return script(directory, inner.rename(directory / "inner"))


def script_by_env(probe, directory):
	return script(directory, f"/usr/bin/env -S LANG=C {static(probe, directory)} -u")


def script_that_clears_the_environment(probe, directory):
	return script(directory, f"/usr/bin/env -S -i {probe('status')}")


def truncated(probe, directory):
	program = copy_of(probe("status"), directory)
	program.write_bytes(program.read_bytes()[:100])
	program.chmod(0o755)
	return program


UNHOOKABLE = [
	(static, "statically linked"),
	(static_pie, "statically linked"),
	(go, "made by Go"),
	(set_user_id, "set-user-ID"),
	(set_group_id, "set-group-ID"),
	(capable, "file capabilities"),
	(musl, "musl"),
	(foreign, "another architecture"),
	(io_uring, "liburing"),
	(script_of_static, "statically linked"),
	(script_of_script_of_static, "statically linked"),
	(script_by_env, "statically linked"),
	(script_that_clears_the_environment, "clears the environment"),
	(truncated, "cannot be understood"),
]


@pytest.fixture
def quiet(airlock):
	"""A configuration without routes: hostd is not needed for anything here."""
	return airlock.write(routes="", endpoint="unix:/nonexistent/hostd.sock")


@pytest.mark.parametrize("make,reason", UNHOOKABLE, ids=lambda value: getattr(value, "__name__", ""))
def test_what_cannot_be_preloaded_is_refused_with_the_reason(airlock, quiet, probe, directory, make, reason):
	program = make(probe, directory)
	result = airlock.run([program], enclave=False, config=quiet)
	assert (result.status, result.stdout) == (1, ""), result
	assert reason in result.stderr and "--allow-unhooked" in result.stderr, result.stderr
	doctor = airlock.tool("doctor", program, config=quiet)
	assert any(line.startswith("fail  command") and reason in line
		for line in doctor.stdout.splitlines()), doctor.stdout
	assert doctor.status != 0


@pytest.mark.parametrize("make", [static, go, set_user_id, script_of_static], ids=lambda make: make.__name__)
def test_it_runs_all_the_same_when_told_to(airlock, quiet, probe, directory, make):
	command = airlock.command([make(probe, directory)], enclave=False, config=quiet)
	command.insert(command.index("--"), "--allow-unhooked")
	result = process.run(command, env=airlock.environment())
	assert (result.status, result.stdout) == (42, "ran\n"), result


def hookable_script(line):
	def make(probe, directory):
		return script(directory, line.format(program=probe("status")))
	make.__name__ = line.split()[-1].strip("/").replace("/", "-")
	return make


def plain(probe, directory):
	return probe("status")


def text_for_the_shell(probe, directory):
	path = directory / "text"
	path.write_text(f"exec {probe('status')}\n")
	path.chmod(0o755)
	return path


HOOKABLE = [plain, text_for_the_shell, hookable_script("{program}"),
	hookable_script("/usr/bin/env {program}"), hookable_script("/usr/bin/env -S LANG=C {program} -u")]


@pytest.mark.parametrize("make", HOOKABLE, ids=range(len(HOOKABLE)))
def test_what_can_be_preloaded_runs(airlock, quiet, probe, directory, make):
	result = airlock.run([make(probe, directory)], enclave=False, config=quiet)
	assert (result.status, result.stdout, result.stderr) == (42, "ran\n", ""), result


def test_a_command_is_looked_up_in_path_as_execvp_does(airlock, quiet, probe, directory):
	"""The first executable file of the name decides; one that may not be executed is passed over."""
	first, second = directory / "first", directory / "second"
	first.mkdir()
	second.mkdir()
	copy_of(probe("status"), first, "tool").chmod(0o644)
	copy_of(probe("status", "-static"), second, "tool").chmod(0o755)
	path = f"{first}:{second}:{os.environ['PATH']}"
	result = airlock.run(["tool"], enclave=False, config=quiet, env={"PATH": path})
	assert result.status == 1 and f"{second}/tool is statically linked" in result.stderr, result
	(second / "tool").chmod(0o644)
	assert airlock.run(["tool"], enclave=False, config=quiet, env={"PATH": path}).status == 126
