# SPDX-License-Identifier: MIT
"""make bench: ratios against peers, measured in one run on this machine.

Every comparison interleaves its contestants (a round of each, then the next round) and reports medians, so
that a slow moment of the machine hits all of them. Absolute figures are printed too, but only the ratios are
meant to be compared between machines. Results go to build/bench/ as text and as JSON.

Everything runs in a network namespace of its own, on loopback and unix sockets.
"""
import argparse
import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))
from support import process, world  # noqa: E402
from support.hostd import Hostd, write_config  # noqa: E402

BUILD = pathlib.Path(TOP, os.environ.get("AIRLOCK_BUILD", "build"))
TOOLS = BUILD / "bench"
PEER_LIBRARIES = {
	"socket_wrapper": "libsocket_wrapper.so",
	"proxychains4": "libproxychains.so.4",
	"torsocks": "torsocks/libtorsocks.so",
}
# A relay needs two descriptors for each stream, and may not raise its hard limit everywhere.
IDLE_STREAMS = min(10000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 300) // 2)


def run(*command, env=None):
	result = subprocess.run([str(word) for word in command], env=env, text=True, capture_output=True)
	if result.returncode != 0:
		raise SystemExit(f"{command} failed: {result.stderr or result.stdout}")
	return [float(word) for word in result.stdout.split()]


def interleaved(contestants, rounds):
	"""{name: function} -> {name: [results]}; one unrecorded round first."""
	results = {name: [] for name in contestants}
	for round_number in range(rounds + 1):
		for name, measure in contestants.items():
			value = measure()
			if round_number:
				results[name].append(value)
	return results


class Report:
	def __init__(self):
		self.lines, self.values = [], {}

	def say(self, line=""):
		print(line, flush=True)
		self.lines.append(line)

	def table(self, title, unit, results, baseline, better):
		"""results: {name: [values]}. better: 'less' or 'more'."""
		self.say(f"\n{title} (median of {len(next(iter(results.values())))} rounds, {unit}; {better} is better)")
		base = statistics.median(results[baseline])
		for name, values in results.items():
			middle = statistics.median(values)
			ratio = middle / base
			self.say(f"  {name:24} {middle:12.2f}   {ratio:6.2f} x {baseline}"
				f"   ({min(values):.2f} to {max(values):.2f})")
		self.values[title] = {name: statistics.median(values) for name, values in results.items()}

	def write(self, name):
		(TOOLS / f"{name}.txt").write_text("\n".join(self.lines) + "\n")
		(TOOLS / f"{name}.json").write_text(json.dumps(self.values, indent=1) + "\n")


@contextlib.contextmanager
def measurement(name, description):
	"""(how much of the work, a report, a directory, a list of what is to be stopped at the end). The report is
	written under this name when all went well."""
	parser = argparse.ArgumentParser(description=description)
	parser.add_argument("--short", action="store_true", help="a tenth of the work: shows that it runs")
	scale = 0.1 if parser.parse_args().short else 1.0
	world.enter()
	# Ended from outside, it still ends what it has started.
	for number in (signal.SIGHUP, signal.SIGTERM):
		signal.signal(number, lambda caught, _frame: sys.exit(128 + caught))
	directory = pathlib.Path(tempfile.mkdtemp(prefix="airlock-bench-", dir="/tmp"))
	report, running = Report(), []
	try:
		yield scale, report, directory, running
		report.write(name)
	finally:
		for each in reversed(running):
			each.stop()
		shutil.rmtree(directory, ignore_errors=True)


def find_library(name):
	for directory in pathlib.Path("/usr/lib").glob("*-linux-gnu"):
		if (directory / name).exists():
			return directory / name
	return None


def preload_environments(directory, hostd):
	"""What each peer needs in the environment to be loaded and configured, nothing more."""
	config = directory / "enclave.conf"
	config.write_text(f"hostd {hostd.endpoint}\nroute * direct\n")
	environments = {"nothing": [],
		"airlock": [f"LD_PRELOAD={BUILD}/lib/libairlock.so", f"AIRLOCK_CONF={config}"]}
	proxychains = directory / "proxychains.conf"
	proxychains.write_text("quiet_mode\nstrict_chain\n[ProxyList]\nsocks5 127.0.0.1 1080\n")
	for name, file in PEER_LIBRARIES.items():
		library = find_library(file)
		if library is None:
			continue
		environments[name] = [f"LD_PRELOAD={library}", f"SOCKET_WRAPPER_DIR={directory}",
			f"PROXYCHAINS_CONF_FILE={proxychains}", "PROXYCHAINS_QUIET_MODE=1"]
	return environments


def bench_exec(report, environments, scale):
	"""A round takes a millisecond each, and the machine's noise is larger than what is looked for: the 5th
	percentile is what it costs when nothing comes in between."""
	count = int(2700 * scale) + 300
	sets = {"nothing": [], "an empty library": [f"LD_PRELOAD={TOOLS}/empty.so"]}
	sets.update({name: words for name, words in environments.items() if words})
	numbers = run(TOOLS / "calls", "spawn", count, "/bin/true",
		*(",".join(words) or "NOTHING=" for words in sets.values()))
	report.say(f"\nSpawn, exec and end of /bin/true ({count} interleaved rounds, microseconds; less is better)")
	report.say(f"  {'':24} 5th percentile   more than without       median")
	for index, name in enumerate(sets):
		low, middle = numbers[2 * index:2 * index + 2]
		report.say(f"  {name:24} {low:14.1f} {low - numbers[0]:19.1f} {middle:12.1f}")
		report.values[f"exec us {name}"] = low


def bench_calls(report, environments, scale):
	count = int(1000000 * scale) + 100000
	pairs = interleaved({name: (lambda variables=variables: run(TOOLS / "calls", "io", count,
		env=dict(word.split("=", 1) for word in variables)))
		for name, variables in environments.items() if name != "torsocks"}, 7)
	for index, what in enumerate(("read() of /dev/zero", "recv() that finds nothing")):
		report.table(f"One {what} on a descriptor that is not routed", "nanoseconds",
			{name: [pair[index] for pair in values] for name, values in pairs.items()}, "nothing", "less")


HAPROXY = """
global
    maxconn {connections}
    nbthread {threads}
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    {options}
frontend in
    bind unix@{path} backlog 4096
    default_backend out
backend out
    server origin 127.0.0.1:{port}
"""


def start_haproxy(directory, port, name, options="", connections=IDLE_STREAMS + 50):
	config, path = directory / f"{name}.cfg", directory / f"{name}.sock"
	config.write_text(HAPROXY.format(path=path, port=port, options=options, threads=os.cpu_count(),
		connections=connections))
	daemon = process.Daemon([process.which("haproxy"), "-db", "-f", str(config)], name=name)
	process.wait_listening(daemon, str(path))
	return daemon, f"unix:{path}"


def bench_relay(report, ways, port, scale):
	amount = int(4 * 2**30 * scale) + 2**28
	for direction in ("download", "upload"):
		contestants = {name: (lambda via=via: amount / 1e9 / run(TOOLS / "pump", direction, via, "127.0.0.1",
			port, amount)[0]) for name, via in ways.items()}
		report.table(f"One stream, {direction}", "GB/s", interleaved(contestants, 5), "haproxy", "more")


def bench_connections(report, ways, port, scale):
	count = int(4000 * scale) + 500
	contestants = {name: (lambda via=via: count / run(TOOLS / "pump", "connect", via, "127.0.0.1", port,
		count)[0]) for name, via in ways.items()}
	report.table("Connections in turn, one byte each way", "per second", interleaved(contestants, 5),
		"haproxy", "more")


def own_memory(pid):
	"""Anonymous memory of a process in bytes: what it allocated, without the kernel's socket buffers."""
	text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
	return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:"))


def hold_idle(via, port, count):
	holder = subprocess.Popen([str(TOOLS / "pump"), "idle", via, "127.0.0.1", str(port), str(count)],
		stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
	if holder.stdout.readline().strip() != "open":
		raise SystemExit("the idle connections did not open")
	return holder


def bench_idle(report, ways, pids, port, count):
	report.say(f"\nOwn memory for each of {count} idle streams (bytes; less is better)")
	for name, pid in pids.items():
		before = own_memory(pid)
		holder = hold_idle(ways[name], port, count)
		each = (own_memory(pid) - before) / count
		holder.stdin.close()
		holder.wait()
		report.say(f"  {name:24} {each:12.0f}")
		report.values[f"idle bytes {name}"] = each


def main():
	port = "7100"
	with measurement("results", "ratios against peers, in one run") as (scale, report, directory, running):
		origin = process.Daemon([str(TOOLS / "pump"), "serve", "127.0.0.1", port], name="pump")
		running.append(origin)
		origin.wait_line("listening")
		hostd = Hostd(write_config(directory / "hostd.conf", directory, extra="log error\n"),
			f"unix:{directory}/hostd.sock", directory)
		running.append(hostd)
		ways = {"haproxy": None, "airlock-hostd": f"airlock:{directory}/hostd.sock"}
		haproxy, ways["haproxy"] = start_haproxy(directory, port, "haproxy")
		running.append(haproxy)
		splicing, ways["haproxy, splice"] = start_haproxy(directory, port, "haproxy-splice",
			"option splice-auto", 1000)  # it wants pipes as well
		running.append(splicing)
		pids = {"haproxy": haproxy.pid, "airlock-hostd": hostd.pid}

		environments = preload_environments(directory, hostd)
		bench_exec(report, environments, scale)
		bench_calls(report, environments, scale)
		bench_relay(report, {**ways, "no relay": "tcp"}, port, scale)
		bench_connections(report, {**ways, "no relay": "tcp"}, port, scale)
		bench_idle(report, ways, pids, port, int(IDLE_STREAMS * scale))


if __name__ == "__main__":
	main()
