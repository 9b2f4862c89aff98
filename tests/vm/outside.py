#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Two machines: the tests, hostd and every server run here, and what runs in an enclave in a guest, which reaches hostd
through a vhost-user device, vhost-device-vsock. tests/vm/run --device starts this.

	tests/vm/outside.py [PYTEST ARGUMENTS]

AIRLOCK_BUILD and AIRLOCK_KERNELS are as for tests/vm/run. The last line is "N passed, N failed".
"""
import importlib.machinery
import importlib.util
import pathlib
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import choice  # noqa: E402
import device_limits  # noqa: E402
import guest_image  # noqa: E402
import inside  # noqa: E402
import two_machines  # noqa: E402
from support import process, transport, world  # noqa: E402
from support.hostd import build_directory  # noqa: E402

KERNEL = "6.12"


def load_run():
	"""tests/vm/run, which has no suffix."""
	loader = importlib.machinery.SourceFileLoader("run", str(HERE / "run"))
	module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
	loader.exec_module(module)
	return module


def main(arguments):
	device = process.which(two_machines.PROGRAM)
	if not device:
		sys.exit(f"tests/vm/outside.py: {two_machines.PROGRAM} is not installed")
	run, build = load_run(), build_directory()
	images = build / "vm"
	run.prepare(build, images)
	kernel = guest_image.fetch_kernel(KERNEL, images)
	guest_image.MODULES += two_machines.MODULES
	initrd = images / f"initrd-{KERNEL}-device.img"
	guest_image.make_initrd(initrd, kernel)

	signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
	world.enter()
	begun = time.monotonic()
	machine = two_machines.Machine(device, lambda more: run.qemu_command(kernel, images, initrd, ["agent"]) + more,
		run.MEMORY, build, images / "console-device.txt")
	try:
		print(f"== the guest is up after {time.monotonic() - begun:.0f} s", flush=True)
		transport.far = machine
		inside.run_tests(arguments or choice.OUTSIDE, device_limits.Limits())
	finally:
		machine.stop()


if __name__ == "__main__":
	main(sys.argv[1:])
