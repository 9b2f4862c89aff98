# SPDX-License-Identifier: MIT
"""`airlock-attest verify` as tests run it."""
import json
import subprocess

from support.hostd import SANITIZER_REPORT, build_directory

# Of what `verify --json` prints, in order.
KEYS = ("verified", "check", "field", "offset", "reason", "platform", "partition", "debug", "clock", "time",
	"timestamp_ms", "age_ms", "module_id", "policy", "release", "revocation_checked", "pcrs", "user_data", "nonce",
	"public_key")


def run(*arguments, stdin=b"", timeout=30):
	"""airlock-attest: the completed process; standard output and error as text."""
	done = subprocess.run([build_directory() / "bin/airlock-attest", *map(str, arguments)], input=stdin,
		capture_output=True, timeout=timeout)
	done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
	assert not SANITIZER_REPORT.search(done.stderr), done.stderr
	assert done.returncode >= 0, f"ended by signal {-done.returncode}: {done.stderr}"
	return done


def verify(document, *arguments):
	"""(status, the JSON object or None, standard error) of verifying these bytes."""
	done = run("verify", "-", "--json", *arguments, stdin=document)
	return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr
