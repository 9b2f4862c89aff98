# SPDX-License-Identifier: MIT
"""Sockets that are registered in epoll before they are connected."""
import pytest

from support import peer

CASES = ["level", "edge", "one-shot", "modified-before", "deleted-before", "two-sets", "nested",
	"reused-set", "inherited", "bad-calls"]


@pytest.mark.parametrize("case", CASES)
def test_a_registration_made_before_connect(both, peers, probe, case):
	origin = peers.listen(peer.echo)
	both([probe("epolling"), case, origin.host, origin.port]).assert_same()


def test_a_registration_made_before_a_refused_connect(both, peers, probe):
	origin = peers.refuse()
	both([probe("epolling"), "refused", origin.host, origin.port]).assert_same()
