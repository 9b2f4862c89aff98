# SPDX-License-Identifier: MIT
"""Runs one module of CPython's tests and writes what becomes of each case, as it comes:

	cases.py RESULTS MODULE [--only PATTERN]... [--skip CASE]... [--resource NAME]... [--limit SECONDS]

RESULTS gets a line of JSON when a case begins and one when it ends, so that a case that never ends is known by its
beginning. Stands alone: it runs with and without Airlock, in a process that has nothing else to do.
"""
import argparse
import collections
import faulthandler
import fnmatch
import json
import os
import random
import signal
import sys
import traceback
import unittest

from test import support
from test.libregrtest import setup

# AF_VSOCK: the world's filter refuses it; here nothing even asks. The others need kernels and devices that are not
# Airlock's concern.
NEVER = ["*VSOCK*", "*CAN*", "*RDS*", "*Bluetooth*", "*TIPC*", "*QIPCRTR*", "*LinuxKernelCryptoAPI*"]


class Result(unittest.TestResult):
	"""A case's worst outcome counts, that of its parts too (subTest)."""

	def __init__(self, out, limit):
		super().__init__()
		self._out, self._limit = out, limit
		self._seen = collections.Counter()
		self._outcome = self._text = None

	def _write(self, case, outcome, text=""):
		self._out.write(json.dumps({"case": case, "outcome": outcome, "text": text}) + "\n")
		self._out.flush()

	def startTest(self, test):
		super().startTest(test)
		name = test.id()
		self._seen[name] += 1
		self._case = name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"
		self._outcome, self._text = "passed", ""
		self._write(self._case, "begun")
		print("---", self._case, flush=True)
		faulthandler.dump_traceback_later(self._limit, exit=True)

	def stopTest(self, test):
		faulthandler.cancel_dump_traceback_later()
		self._write(self._case, self._outcome, self._text)
		self._outcome = None
		super().stopTest(test)

	def _note(self, test, outcome, text):
		if self._outcome is None:  # of a class or module, not of a case
			self._write(test.id(), outcome, text)
		elif self._outcome != "failed":
			self._outcome, self._text = outcome, text

	def _fail(self, test, error):
		traceback.print_exception(*error)
		self._note(test, "failed", "".join(traceback.format_exception_only(*error[:2])).strip())

	def addError(self, test, error):
		self._fail(test, error)

	def addFailure(self, test, error):
		self._fail(test, error)

	def addSubTest(self, test, subtest, error):
		if error is not None:
			self._fail(test, error)

	def addSkip(self, test, reason):
		self._note(test, "skipped", reason)

	def addExpectedFailure(self, test, error):
		self._note(test, "skipped", "fails as CPython expects")

	def addUnexpectedSuccess(self, test):
		self._note(test, "failed", "passes, which CPython does not expect")


def flatten(suite):
	for item in suite:
		if isinstance(item, unittest.TestSuite):
			yield from flatten(item)
		else:
			yield item


def is_wanted(case, options):
	name = case.id()
	return (not any(fnmatch.fnmatchcase(name, pattern) for pattern in NEVER) and name not in options.skip
		and (not options.only or any(fnmatch.fnmatchcase(name, pattern) for pattern in options.only)))


def prepare(resources):
	"""What CPython's own runner does before its first test."""
	support.use_resources = resources
	support.verbose = True
	random.seed(0)
	setup.setup_unraisable_hook()
	setup.setup_threading_excepthook()
	faulthandler.enable(all_threads=True)
	os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
	signal.signal(signal.SIGINT, signal.default_int_handler)  # not what a shell's & left


def main():
	parser = argparse.ArgumentParser()
	parser.add_argument("results")
	parser.add_argument("module")
	parser.add_argument("--only", action="append", default=[])
	parser.add_argument("--skip", action="append", default=[])
	parser.add_argument("--resource", action="append", default=[])
	parser.add_argument("--limit", type=float, default=60)
	options = parser.parse_args()
	prepare(options.resource)
	with open(options.results, "a") as out:
		result = Result(out, options.limit)
		try:
			suite = unittest.TestLoader().loadTestsFromName("test." + options.module)
		except unittest.SkipTest as reason:
			sys.exit(f"{options.module} is skipped as a whole: {reason}")
		cases = [case for case in flatten(suite) if is_wanted(case, options)]
		unittest.TestSuite(cases).run(result)
		out.write(json.dumps({"case": "", "outcome": "ended", "text": ""}) + "\n")
	# Threads that a failed case left behind must not keep this process.
	sys.stdout.flush()
	sys.stderr.flush()
	os._exit(0)


if __name__ == "__main__":
	main()
