# SPDX-License-Identifier: MIT
"""Runs pytest in the guest; the last line is "N passed, N failed".

pytest's arguments stand on the kernel's command line: airlock.guest=ARGUMENT,..., with + for a space; or the name of
one of choice.py's lists.
"""
import collections
import fnmatch
import os
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import world  # noqa: E402
import choice  # noqa: E402


class Count:
	"""A test passed when its call did and nothing about it failed; setup and teardown fail too."""

	def __init__(self):
		self.passed, self.failed, self.skipped, self.seconds = set(), set(), {}, {}

	def pytest_runtest_logreport(self, report):
		self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
		if report.failed:
			self.failed.add(report.nodeid)
			# At once: should the guest hang later, its console has told.
			print(f"\nFAILED {report.nodeid} ({report.when})\n{report.longreprtext}", flush=True)
		elif report.skipped:
			reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
			self.skipped[report.nodeid] = getattr(report, "wasxfail", reason)
		elif report.when == "call":
			self.passed.add(report.nodeid)

	def pytest_collectreport(self, report):
		if report.failed:
			self.failed.add(report.nodeid)


class Lacking:
	"""Skips what a guest cannot run, and says what it lacks."""

	def pytest_collection_modifyitems(self, items):
		for item in items:
			reasons = [reason for pattern, reason in choice.LACKING if fnmatch.fnmatch(item.nodeid, pattern)]
			reasons += [reason for name, reason in choice.STAND_INS.items() if name in item.fixturenames]
			if reasons:
				item.add_marker(pytest.mark.skip(reason=reasons[0]))

	@pytest.hookimpl(hookwrapper=True)
	def pytest_runtest_makereport(self, item, call):
		report = (yield).get_result()
		error = call.excinfo and call.excinfo.value
		if isinstance(error, FileNotFoundError) and error.filename in choice.PROGRAMS:
			report.outcome, report.longrepr = "skipped", (str(item.path), None, f"there is no {error.filename}")


def arguments_of(command_line):
	value = next(word for word in command_line.split() if word.startswith(world.GUEST_WORD))
	return [word.replace("+", " ") for word in value.removeprefix(world.GUEST_WORD).split(",") if word]


def run_tests(arguments, *plugins):
	os.environ["AIRLOCK_BIG"] = str(256 << 20)
	count = Count()
	begun = time.monotonic()
	status = pytest.main(["-c", "tests/pytest.ini", "--rootdir", "tests", "-q", "--tb=short", "--no-summary", *arguments], plugins=[count, *plugins])
	if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
		count.failed.add(f"pytest ended with {status}")
	for test, seconds in sorted(count.seconds.items(), key=lambda item: -item[1])[:15]:
		print(f"{seconds:6.1f} s  {test}")
	for reason, tests in collections.Counter(count.skipped.values()).most_common():
		print(f"{tests} skipped: {reason}")
	print(f"{time.monotonic() - begun:.0f} s, {len(count.skipped)} skipped")
	print(f"{len(count.passed - count.failed)} passed, {len(count.failed)} failed", flush=True)


if __name__ == "__main__":
	os.environ["AIRLOCK_BUILD"] = "build"
	arguments = arguments_of(pathlib.Path("/proc/cmdline").read_text())
	run_tests(choice.BY_NAME.get(arguments[0], arguments), Lacking())
