# SPDX-License-Identifier: MIT
"""make bench, its third part: what verifying an attestation document costs.

The peer is what nobody can save: the five signatures of a document and its chain, by the same library.
"""
import argparse
import json

from bench import TOOLS, Report, interleaved, run


def main():
	parser = argparse.ArgumentParser(description="attest_verify against its five signatures alone")
	parser.add_argument("--short", action="store_true", help="a tenth of the work: shows that it runs")
	count = 40 if parser.parse_args().short else 400
	report = Report()
	tool = TOOLS / "attest"
	report.table("Verify one attestation document", "microseconds of CPU", interleaved({
		"five signatures": lambda: run(tool, "signatures", count)[0],
		"attest_verify": lambda: run(tool, "verify", count)[0],
		"refuse 16 KiB": lambda: run(tool, "refuse", count)[0],
	}, 5), "five signatures", "less")
	(TOOLS / "attest.txt").write_text("\n".join(report.lines) + "\n")
	(TOOLS / "attest.json").write_text(json.dumps(report.values, indent=1) + "\n")


if __name__ == "__main__":
	main()
