# SPDX-License-Identifier: MIT
"""These tests need AF_VSOCK, so they run inside a guest that tests/vm/run has booted, and nowhere else."""
import pytest

from support import transport

if not transport.IS_VSOCK:
	raise pytest.UsageError("tests/vm runs inside a guest: see tests/README.md")
