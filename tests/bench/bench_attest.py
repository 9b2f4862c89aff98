# SPDX-License-Identifier: MIT
"""make bench, its third part: what verifying an attestation document costs.

The peer is what nobody can save: the five signatures of a document and its chain, by the same library.
"""
from bench import TOOLS, interleaved, measurement, run


def main():
	with measurement("attest", "attest_verify against its five signatures alone") as (scale, report, *_):
		tool, count = TOOLS / "attest", int(400 * scale)
		report.table("Verify one attestation document", "microseconds of CPU", interleaved({
			"five signatures": lambda: run(tool, "signatures", count)[0],
			"attest_verify": lambda: run(tool, "verify", count)[0],
			"refuse 16 KiB": lambda: run(tool, "refuse", count)[0],
		}, 5), "five signatures", "less")


if __name__ == "__main__":
	main()
