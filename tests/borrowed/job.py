# SPDX-License-Identifier: MIT
"""One module of CPython's tests, run one way, in a world of its own:

	job.py DIRECTORY MODULE native|airlock [arguments of cases.py]

writes DIRECTORY/results (see cases.py) and DIRECTORY/output. A case that never ends, or ends the whole program, is
noted as such, and the rest are run by another program.
"""
import errno
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import urllib.request

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]
from support import airlock, dns_server, hostd, transport, world  # noqa: E402

ATTEMPTS = 8  # programs that one module may end or hang
METRICS = (world.PUBLIC, 9464)  # where no test binds
PYTHON = "/usr/bin/python3"


def hide_vsock():
	"""Three locks: test_socket finds no device and skips its cases, cases.py leaves them out, and the kernel refuses
	such sockets to everything that this process starts, which is seen here."""
	world.refuse_vsock()
	if os.path.exists("/dev/vsock"):
		subprocess.run(["mount", "--bind", "/dev/null", "/dev/vsock"], check=True)
	assert "\nSeccomp:\t2\n" in pathlib.Path("/proc/self/status").read_text(), "there is no filter"
	try:
		socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
	except OSError as error:
		assert error.errno == errno.EACCES, error
	else:
		raise AssertionError("the kernel gives AF_VSOCK sockets here")


def read_results(path):
	try:
		return [json.loads(line) for line in path.read_text().splitlines()]
	except FileNotFoundError:
		return []


def unfinished(results):
	"""The case that had begun last, when it did not end."""
	begun = None
	for result in results:
		begun = result["case"] if result["outcome"] == "begun" else None
	return begun


def run_cases(directory, module, prefix, arguments, environment):
	results = directory / "results"
	scratch = directory / "scratch"
	with open(directory / "output", "ab") as output:
		for _ in range(ATTEMPTS):
			done = {result["case"] for result in read_results(results)}
			skip = [word for case in done if case for word in ("--skip", case.partition("#")[0])]
			scratch.mkdir(exist_ok=True)
			status = subprocess.run([*prefix, PYTHON, str(HERE / "cases.py"), str(results), module, *arguments, *skip],
				cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode
			so_far = read_results(results)
			if any(result["outcome"] == "ended" for result in so_far):
				return
			case = unfinished(so_far)
			if case is None:
				break
			with open(results, "a") as more:
				more.write(json.dumps({"case": case, "outcome": "failed",
					"text": f"never ended, or ended the program with {status}"}) + "\n")
	sys.exit(f"{module} ended too early, with {status}")


def count_streams():
	"""How many connections hostd has made."""
	with urllib.request.urlopen("http://%s:%d/metrics" % METRICS, timeout=10) as page:
		return re.search(r"^airlock_streams_granted_total (\d+)$", page.read().decode(), re.MULTILINE).group(1)


def main(directory, module, way, *arguments):
	directory = pathlib.Path(directory)
	world.enter()
	hide_vsock()
	socket.sethostname("localhost")  # some cases look their own host up
	dns_server.DnsServer()  # knows no name
	environment = airlock.clean_environment(directory, TMPDIR=str(directory))
	if way == "native":
		run_cases(directory, module, [], arguments, environment)
		return
	# A short path: that of a unix socket has 107 bytes.
	place = tempfile.mkdtemp(dir="/run")
	endpoint = transport.new_endpoint(place)
	settings = hostd.write_config(pathlib.Path(place, "hostd.conf"), place, endpoint=endpoint,
		extra=f"metrics tcp:{METRICS[0]}:{METRICS[1]}\n")
	daemon = hostd.Hostd(settings, endpoint, place)
	config = pathlib.Path(place, "enclave.conf")
	config.write_text(f"hostd {endpoint}\nroute * direct\nhairpin on\n")
	run = [str(airlock.airlock_program().resolve()), "run", "-c", str(config), "--"]
	run_cases(directory, module, run, arguments, environment)
	(directory / "streams").write_text(count_streams())
	daemon.check_clean_end()


if __name__ == "__main__":
	main(*sys.argv[1:])
	sys.stdout.flush()
	os._exit(0)  # threads of the DNS server
