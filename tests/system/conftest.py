# SPDX-License-Identifier: MIT
"""Fixtures of hostd's system tests: each starts what it names and ends it."""

import pytest

from support.daemon import Host
from support.origin import Origin


@pytest.fixture
def start(directory):
	"""start(rules, timeouts=..., more=..., prefix=...) gives a running Host; all must end cleanly."""
	started = []

	def begin(rules="allow 127.0.0.0/8\nallow ::1", **settings):
		place = directory / f"hostd-{len(started)}"
		place.mkdir()
		started.append(Host(place, rules, **settings))
		return started[-1]

	yield begin
	for host in started:
		host.check_clean_end()


@pytest.fixture
def host(start):
	"""A Host with the rules that most tests want: loopback and nothing else."""
	return start()


@pytest.fixture
def origin():
	with Origin() as listener:
		yield listener
