# SPDX-License-Identifier: MIT
"""`airlock run` as a parent: status, environment, signals, the terminal, and being PID 1."""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import time

import pytest

from support import airlock as airlock_module
from support import process

PYTHON = "/usr/bin/python3"


@pytest.fixture
def quiet(airlock):
	"""A configuration without routes: hostd is not needed for anything here."""
	return airlock.write(routes="", endpoint="unix:/nonexistent/hostd.sock")


@pytest.fixture
def run(airlock, quiet):
	return lambda *command, **options: airlock.run(command, enclave=False, config=quiet, **options)


def state_files():
	return set(pathlib.Path("/dev/shm").glob("airlock-run-*"))


# --- status

@pytest.mark.parametrize("script,status", [("exit 0", 0), ("exit 7", 7), ("exit 255", 255),
	("kill -KILL $$", 137), ("kill -TERM $$", 143), ("kill -SEGV $$", 139)])
def test_the_status_is_the_programs_own(run, script, status):
	result = run("sh", "-c", script)
	assert (result.status, result.stderr) == (status, "")


def test_what_cannot_be_found_or_executed_gives_a_shells_status(run, directory):
	plain = directory / "plain"
	plain.write_text("text")
	assert run("no-such-command-here").status == 127
	assert run(directory / "nothing").status == 127
	assert run("").status == 127
	assert run(plain).status == 126
	assert run(directory).status == 126
	assert "No such file" in run("no-such-command-here").stderr


def test_an_interpreter_that_is_missing_is_said(run, directory):
	missing = directory / "script"
	missing.write_text("#!/nonexistent/interpreter\n")
	missing.chmod(0o755)
	result = run(missing)
	assert (result.status, result.stderr) == (127, "airlock: /nonexistent/interpreter: No such file or directory\n")


def test_usage_errors_are_status_2(airlock, quiet):
	program = str(airlock_module.airlock_program())
	for words in ([], ["run"], ["run", "-c"], ["run", "--no-such-option", "true"], ["no-such-subcommand"],
			["check", "surplus"], ["check", "--allow-unhooked"], ["explain"]):
		result = process.run([program, *words], env=airlock.environment())
		assert result.status == 2 and result.stderr and not result.stdout, words
	for word in ("help", "--help", "-h", "--version"):
		result = process.run([program, word], env=airlock.environment())
		assert result.status == 0 and result.stdout and not result.stderr


def test_a_configuration_error_stops_it_before_the_program(airlock, directory):
	config = directory / "bad.conf"
	config.write_text("gate on\nroute * direct port=1\n")
	result = airlock.run(["echo", "ran"], enclave=False, config=config)
	assert (result.status, result.stdout) == (2, "")
	assert result.stderr == f"airlock: {config}:2:16: only a tls route takes keys: `port=1`\n"


def test_a_configuration_that_cannot_be_read_twice_is_refused(airlock, directory):
	fifo = directory / "fifo"
	os.mkfifo(fifo)
	keeper = os.open(fifo, os.O_RDWR)
	writer = os.open(fifo, os.O_WRONLY)
	os.write(writer, b"gate on\n")
	os.close(writer)
	os.close(keeper)
	command = ["sh", "-c", 'printf "gate on\n" > "$1" & shift; exec "$@"', "writer", str(fifo),
		*airlock.command(["echo", "ran"], enclave=False, config=fifo)]
	result = process.run(command, env=airlock.environment())
	assert (result.status, result.stdout) == (2, "") and "not a regular file" in result.stderr


# --- environment

def test_the_program_gets_the_library_the_configuration_and_the_state(run, quiet):
	lines = dict(line.split("=", 1) for line in run("env").stdout.splitlines())
	assert lines["LD_PRELOAD"] == str(airlock_module.library().resolve())
	assert lines["AIRLOCK_CONF"] == str(quiet)
	assert re.fullmatch(r"/dev/shm/airlock-run-\d+-[0-9a-f]{16}", lines["AIRLOCK_STATE"])


def test_what_is_preloaded_already_stays_behind_ours(run):
	library = str(airlock_module.library().resolve())

	def preloaded(before):
		# A sanitized launcher would insist on being preloaded first itself.
		env = {"LD_PRELOAD": before, "ASAN_OPTIONS": "verify_asan_link_order=0"}
		return run("sh", "-c", 'echo "$LD_PRELOAD"', env=env).stdout

	assert preloaded("libm.so.6") == f"{library}:libm.so.6\n"
	assert preloaded(library) == f"{library}\n"
	assert preloaded(f"{library}:libm.so.6") == f"{library}:libm.so.6\n"


def test_a_relative_configuration_still_names_the_file_elsewhere(airlock, quiet):
	show = ["sh", "-c", 'cd / && echo "$AIRLOCK_CONF"']
	result = airlock.run(show, enclave=False, config=quiet.name, cwd=quiet.parent)
	assert result.stdout == f"{quiet}\n"


def test_the_state_file_is_there_while_the_program_runs_and_gone_after(run):
	before = state_files()
	result = run("sh", "-c", 'stat -c "%a %u" "$AIRLOCK_STATE"; kill -KILL $$')
	assert result.stdout == f"600 {os.geteuid()}\n"
	assert state_files() <= before


def test_no_descriptor_of_ours_reaches_the_program(run):
	result = run(PYTHON, "-c", "import os; print(sorted(os.listdir('/proc/self/fd'), key=int))")
	assert result.stdout == "['0', '1', '2', '3']\n"  # 3 is listdir's own


def test_inherited_signal_settings_reach_the_program(airlock, quiet):
	show = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
	inherit = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM])
os.execvp(sys.argv[1], sys.argv[1:])
"""
	plain = airlock.native([PYTHON, "-c", inherit, *show])
	through = airlock.native([PYTHON, "-c", inherit, *airlock.command(show, False, quiet)])
	assert through.status == 0 and through.stdout == plain.stdout


def test_lo_is_raised_where_it_is_down(airlock, quiet):
	result = airlock.run(["ip", "-o", "link", "show", "lo"], config=quiet)
	assert "LOOPBACK,UP" in result.stdout, result


# --- what is said about the parts that are away

def test_a_hostd_that_is_away_is_said_and_stops_nothing(airlock):
	config = airlock.write(endpoint="unix:/nonexistent/hostd.sock")
	result = airlock.run(["echo", "ran"], enclave=False, config=config)
	assert (result.status, result.stdout) == (0, "ran\n")
	assert "unix:/nonexistent/hostd.sock: nobody listens there" in result.stderr


def test_with_hostd_there_nothing_is_said(airlock):
	result = airlock.run(["echo", "ran"])
	assert (result.status, result.stdout, result.stderr) == (0, "ran\n", "")


def test_a_tls_route_without_airlock_tls_is_said_and_fails_closed(airlock, peers, directory):
	origin = peers.listen(lambda connection: connection.recv(1))
	config = airlock.write(routes=f"route {origin.host}:{origin.port} tls", tls_listen=f"unix:{directory}/tls.sock")
	connect = ("import socket, sys\n"
		"s = socket.socket()\n"
		f"print(s.connect_ex(('{origin.host}', {origin.port})) != 0)\n")
	# An installation without airlock-tls.
	for place, file in (("bin", airlock_module.airlock_program()), ("lib", airlock_module.library())):
		(directory / place).mkdir()
		shutil.copy(file, directory / place)
	result = process.run([str(directory / "bin/airlock"), "run", "-c", str(config), "--", PYTHON, "-c", connect],
		env=airlock.environment())
	assert (result.status, result.stdout) == (0, "True\n"), result
	assert f"connections to {origin.host}" in result.stderr and "will be refused" in result.stderr
	assert not airlock.hostd.log(verb="connect")


@pytest.mark.parametrize("command", [["env", "-i"], ["env", "-u", "LD_PRELOAD"]], ids=" ".join)
def test_children_that_lose_the_preload_fail_loudly(airlock, peers, command):
	"""Without the library there is no way out of the enclave, and the kernel says so at once."""
	origin = peers.listen(lambda connection: connection.recv(1))
	connect = ("import errno, socket\n"
		"s = socket.socket()\n"
		f"print(errno.errorcode[s.connect_ex(('{origin.host}', {origin.port}))])\n")
	result = airlock.run([*command, PYTHON, "-c", connect])
	assert (result.status, result.stdout) == (0, "ENETUNREACH\n"), result


# --- signals

TELL = """
import os, signal, sys, time
def tell(number, frame):  # may interrupt the print below, so it does not use the same buffer
    os.write(1, b"signal %d\\n" % number)
    os._exit(3)
for number in map(int, sys.argv[1:]):
    signal.signal(number, tell)
print("ready", flush=True)
while True:
    time.sleep(0.02)  # pause() could miss a signal that came just before it
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
	signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGALRM, signal.SIGRTMIN + 3],
	ids=lambda number: str(int(number)))
def test_a_signal_reaches_the_program(airlock, quiet, background, number):
	daemon = background(airlock.popen([PYTHON, "-c", TELL, str(int(number))], enclave=False, config=quiet))
	daemon.wait_line("ready")
	daemon.send_signal(number)
	assert daemon.has_ended(30)
	assert daemon.process.returncode == 3


def test_a_program_killed_by_the_signal_gives_128_and_its_number(airlock, quiet, background):
	daemon = background(airlock.popen(["sh", "-c", "echo ready; exec sleep 100"], enclave=False, config=quiet))
	daemon.wait_line("ready")
	daemon.send_signal(signal.SIGTERM)
	assert daemon.has_ended(30)
	assert daemon.process.returncode == 143


# --- the terminal

# A shell of few words: runs its arguments as a foreground job, says what becomes of it, continues it once.
SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    os.tcsetpgrp(0, os.getpgrp())
    print("job stopped", flush=True)
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
print("job ended with", os.waitstatus_to_exitcode(status), flush=True)
"""

# SIGCONT may come twice, to the group from the shell and once more passed on: it only has to come.
COUNT = """
import os, signal, sys, time
caught = []
signal.signal(signal.SIGINT, lambda *_: caught.append(1))
signal.signal(signal.SIGCONT, lambda *_: os.write(1, b"continued\\n"))
print("ready", flush=True)
while not caught:
    time.sleep(0.01)
time.sleep(0.3)
print("interrupts:", len(caught), flush=True)
"""


class Terminal:
	def __init__(self, command, env):
		self.text = ""
		self.pid, self.master = pty.fork()
		if self.pid == 0:
			os.execvpe(command[0], command, env)

	def type(self, text):
		os.write(self.master, text)

	def wait(self, text, timeout=30):
		deadline = time.monotonic() + timeout
		while text not in self.text:
			left = deadline - time.monotonic()
			assert left > 0 and select.select([self.master], [], [], left)[0], self.text
			try:
				self.text += os.read(self.master, 4096).decode()
			except OSError:  # the other side is closed
				assert text in self.text, self.text

	def close(self):
		os.close(self.master)
		try:
			os.kill(self.pid, signal.SIGKILL)
		except ProcessLookupError:
			pass
		os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(airlock, quiet):
	opened = []

	def start(program):
		command = [PYTHON, "-c", SHELL, *airlock.command([PYTHON, "-c", program], False, quiet)]
		opened.append(Terminal(command, airlock.environment()))
		return opened[-1]

	yield start
	for each in opened:
		each.close()


def test_control_c_interrupts_the_program_once(terminal):
	screen = terminal(COUNT)
	screen.wait("ready")
	screen.type(b"\x03")
	screen.wait("job ended with 0")
	assert "interrupts: 1\r\n" in screen.text


def test_control_c_reaches_a_program_that_has_left_the_group(terminal):
	"""timeout(1) and others make a group of their own, which the terminal does not know."""
	screen = terminal("import os; os.setpgid(0, 0)" + COUNT)
	screen.wait("ready")
	screen.type(b"\x03")
	screen.wait("job ended with 0")
	assert "interrupts: 1\r\n" in screen.text


def test_control_z_stops_the_whole_job_and_the_shell_continues_it(terminal):
	screen = terminal(COUNT)
	screen.wait("ready")
	screen.type(b"\x1a")
	screen.wait("job stopped")
	screen.wait("continued")
	screen.type(b"\x03")
	screen.wait("job ended with 0")
	assert "interrupts: 1\r\n" in screen.text


def test_an_interactive_program_reads_the_terminal(terminal):
	screen = terminal("print('name?', flush=True); print('hello', input())")
	screen.wait("name?")
	screen.type(b"world\n")
	screen.wait("hello world")
	screen.wait("job ended with 0")


# --- PID 1

INIT = ["unshare", "--pid", "--fork", "--mount-proc"]

ORPHANS = """
import os, sys, time
for _ in range(20):
    if os.fork() == 0:      # a child whose own child outlives it: an orphan of PID 1
        if os.fork() == 0:
            time.sleep(0.1)
        os._exit(0)
    os.wait()
deadline = time.monotonic() + 30
def others():
    return [pid for pid in os.listdir('/proc') if pid.isdigit() and int(pid) not in (1, os.getpid())]
while others() and time.monotonic() < deadline:
    time.sleep(0.02)
print('PID of the launcher', os.getppid(), 'left', len(others()))
sys.exit(5)
"""


def test_as_pid_1_orphans_are_reaped(airlock, quiet):
	result = airlock.native(INIT + airlock.command([PYTHON, "-c", ORPHANS], False, quiet))
	assert (result.status, result.stdout) == (5, "PID of the launcher 1 left 0\n"), result


def test_as_pid_1_signals_pass_and_the_end_is_the_programs(airlock, quiet, background):
	"""PID 1 gets no signal that it does not ask for (kill(2)); the namespace is entered to send one."""
	command = INIT + airlock.command([PYTHON, "-c", TELL, str(int(signal.SIGTERM))], False, quiet)
	daemon = background(process.Daemon(command, env=airlock.environment()))
	daemon.wait_line("ready")
	(child,) = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
	os.kill(int(child), signal.SIGTERM)
	assert daemon.has_ended(30)
	assert daemon.process.returncode == 3
	daemon.wait_line("signal 15")
