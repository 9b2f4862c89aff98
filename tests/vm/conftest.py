# SPDX-License-Identifier: MIT
"""These tests need AF_VSOCK, so they run inside a guest that tests/vm/run has booted, and nowhere else; those of
test_device.py half inside, half outside."""
import pytest

from support import transport

if not transport.IS_VSOCK and not transport.far:
	raise pytest.UsageError("tests/vm runs inside a guest: see tests/README.md")
collect_ignore = [] if transport.far else ["test_device.py"]
