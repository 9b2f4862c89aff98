# SPDX-License-Identifier: MIT
"""scripts/run-enclave against a stand-in for nitro-cli: what it asks of it, and that nothing is left."""
import json
import os
import pathlib

import pytest

from support import hostd as hostd_module
from support import process, wire

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = hostd_module.TOP / "scripts/run-enclave"


class Parent:
	"""An instance with nitro-cli, hostd and an image of 3 MiB."""

	def __init__(self, place):
		self.place = place
		tools = place / "tools"
		tools.mkdir()
		(tools / "nitro-cli").symlink_to(HERE / "nitro_cli.py")
		self.image = place / "enclave.eif"
		self.image.write_bytes(bytes(3 << 20))
		self.conf = hostd_module.write_config(place / "hostd.conf", place)
		self.environment = dict(os.environ, STAND_IN=str(place), PATH=f"{tools}:{os.environ['PATH']}",
			BUILD=str(hostd_module.hostd_program().parents[1]), ENCLAVE_ANSWERS="3")

	def command(self, *options):
		return [str(SCRIPT), "-c", str(self.conf), *options, str(self.image)]

	def run(self, *options):
		return process.run(self.command(*options), env=self.environment, timeout=60)

	def calls(self):
		return [json.loads(line) for line in (self.place / "calls").read_text().splitlines()]

	def called(self, word):
		return [words for words in self.calls() if words[0] == word]


@pytest.fixture
def parent(directory):
	return Parent(directory)


def nothing_is_left(parent):
	return not (parent.place / "running").exists() and not (parent.place / "hostd.sock").exists()


def test_it_runs_until_the_enclave_ends(parent, background):
	program = background(process.Daemon(parent.command(), env=parent.environment))
	program.wait_line("the enclave answers")
	(parent.place / "running").unlink()
	assert program.has_ended(30)
	assert "the enclave has ended" in program.output and program.stop() == 0
	assert nothing_is_left(parent)
	# Four times the image, which nitro-cli demands, and 256 more.
	assert parent.called("run-enclave") == [["run-enclave", "--eif-path", str(parent.image), "--cpu-count", "2", "--memory",
		"269", "--enclave-cid", "16"]]
	assert not parent.called("terminate-enclave")


def test_a_signal_terminates_the_enclave_and_then_hostd(parent, background):
	program = background(process.Daemon(parent.command("--memory", "512", "--cpus", "4"), env=parent.environment))
	program.wait_line("the enclave answers")
	assert program.stop() == 0
	assert nothing_is_left(parent)
	assert parent.called("terminate-enclave") == [["terminate-enclave", "--enclave-id", "i-0123456789abcdef0-enc0123456789abcdef"]]
	assert parent.called("run-enclave")[0][3:7] == ["--cpu-count", "4", "--memory", "512"]


def test_an_enclave_that_never_asks_is_told_and_terminated(parent):
	(parent.place / "silent").touch()
	result = parent.run()
	assert result.status == 1 and "has not answered" in result.stderr
	assert nothing_is_left(parent)


def test_no_word_from_hostd_is_no_answer_of_the_enclave(parent):
	(parent.place / "deaf").touch()
	result = parent.run()
	assert result.status == 1 and "has not answered" in result.stderr
	assert nothing_is_left(parent)


# What nitro-cli says instead of a list; "" is a failure.
NO_LISTS = ["", "surprise", "{}", "[1]"]


@pytest.mark.parametrize("text", NO_LISTS)
def test_an_enclave_of_which_nothing_is_known_for_a_moment_has_not_ended(parent, background, text):
	program = background(process.Daemon(parent.command(), env=parent.environment))
	program.wait_line("the enclave answers")
	asked = len(parent.called("describe-enclaves"))
	(parent.place / "untold").write_text(text)
	wire.wait_until(lambda: len(parent.called("describe-enclaves")) >= asked + 2, "nitro-cli is asked")
	(parent.place / "untold").unlink()
	assert not program.has_ended() and "has ended" not in program.output
	(parent.place / "running").unlink()
	assert program.has_ended(30)
	assert "the enclave has ended" in program.output and program.stop() == 0


def test_an_enclave_of_which_nothing_is_known_is_terminated(parent, background):
	program = background(process.Daemon(parent.command(), env=parent.environment))
	program.wait_line("the enclave answers")
	(parent.place / "untold").touch()
	assert program.has_ended(30)
	assert "does not tell whether" in program.output and program.stop() == 3
	assert nothing_is_left(parent)


@pytest.mark.parametrize("text", NO_LISTS)
def test_a_signal_terminates_an_enclave_of_which_nothing_is_known(parent, background, text):
	program = background(process.Daemon(parent.command(), env=parent.environment))
	program.wait_line("the enclave answers")
	(parent.place / "untold").write_text(text)
	assert program.stop() == 0
	assert nothing_is_left(parent)


def test_an_enclave_that_cannot_be_terminated_is_no_success(parent, background):
	program = background(process.Daemon(parent.command(), env=parent.environment))
	program.wait_line("the enclave answers")
	(parent.place / "immortal").touch()
	assert program.stop() == 3
	assert "could not terminate" in program.output


def test_an_enclave_without_a_name_is_told(parent):
	(parent.place / "nameless").touch()
	result = parent.run()
	assert result.status == 3 and "does not tell which enclave" in result.stderr


def test_a_refusal_of_nitro_cli_is_passed_on(parent):
	(parent.place / "refuse").touch()
	result = parent.run()
	assert result.status == 3 and "E26" in result.stderr
	assert nothing_is_left(parent)


def test_another_cid_than_the_rules_know_is_an_error(parent):
	(parent.place / "cid").write_text("17")
	result = parent.run()
	assert result.status == 3 and "CID 17" in result.stderr
	assert nothing_is_left(parent)


def test_a_configuration_that_hostd_refuses_ends_it_before_nitro_cli_is_asked(parent):
	parent.conf.write_text(parent.conf.read_text() + "surprise\n")
	result = parent.run()
	assert result.status == 3 and "surprise" in result.stderr
	assert not (parent.place / "calls").exists()
