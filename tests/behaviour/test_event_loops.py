# SPDX-License-Identifier: MIT
"""A held dial does not hold the program: its event loop keeps ticking, its own timeouts fire.

The dial is held for HOLD seconds by an upstream proxy that answers only then. A connect that blocked would stop
the loop for as long; the largest gap between ticks is compared with that, not with a clock's figure.
"""
import json

import pytest

from support import upstream

HOLD = 5.0
SHARE = 4  # the largest gap is at most HOLD / SHARE; measured: about 12 ms, on a machine that is not busy

TICKER = """
import asyncio, json, select, selectors, sys, time
kind, host, port, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
largest = 0.0
async def tick():
    global largest
    last = time.monotonic()
    while True:
        await asyncio.sleep(0.01)
        now = time.monotonic()
        largest, last = max(largest, now - last), now
async def main():
    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.05)
    began = time.monotonic()
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), limit)
        result = "connected"
        writer.close()
    except Exception as error:
        result = type(error).__name__ + " " + str(getattr(error, "errno", None))
    print(json.dumps({"result": result, "seconds": time.monotonic() - began, "gap": largest}))
selector = {"poll": selectors.PollSelector, "select": selectors.SelectSelector,
    "epoll": selectors.EpollSelector}[kind]
loop = asyncio.SelectorEventLoop(selector())
loop.run_until_complete(main())
"""

EDGE_TRIGGERED = """
import errno, json, select, socket, sys, time
host, port = sys.argv[1], int(sys.argv[2])
sock = socket.socket()
sock.setblocking(False)
poller = select.epoll()
poller.register(sock, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
code, began, largest, ready = sock.connect_ex((host, port)), time.monotonic(), 0.0, 0
last = began
while not ready:
    ready = [event for fd, event in poller.poll(0.01) if event & select.EPOLLOUT]
    now = time.monotonic()
    largest, last = max(largest, now - last), now
print(json.dumps({"result": errno.errorcode.get(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "connected"),
    "first": errno.errorcode[code], "seconds": now - began, "gap": largest}))
"""

NODE = """
const net = require("net");
const [host, port] = process.argv.slice(2);
let largest = 0, last = performance.now();
setInterval(() => { const now = performance.now(); largest = Math.max(largest, now - last); last = now; }, 10);
const began = performance.now();
const done = result => { console.log(JSON.stringify({result, seconds: (performance.now() - began) / 1000,
	gap: largest / 1000})); process.exit(0); };
const socket = net.connect({host, port: Number(port)});
socket.on("connect", () => done("connected"));
socket.on("error", error => done(error.code));
"""

CURL_MULTI = """
import json, pycurl, sys, time
multi, easy = pycurl.CurlMulti(), pycurl.Curl()
easy.setopt(pycurl.URL, sys.argv[1])
easy.setopt(pycurl.WRITEFUNCTION, lambda data: None)
multi.add_handle(easy)
began = last = time.monotonic()
largest, active = 0.0, 1
while active:
    while True:
        code, active = multi.perform()
        now = time.monotonic()
        largest, last = max(largest, now - last), now
        if code != pycurl.E_CALL_MULTI_PERFORM:
            break
    multi.select(0.01)
queued, good, bad = multi.info_read()
print(json.dumps({"result": bad[0][1] if bad else "connected", "seconds": now - began, "gap": largest}))
"""


@pytest.fixture
def held(airlock, hostd, upstreams):
	"""held(reply) makes every dial last HOLD seconds, and answer so."""
	def hold(reply=upstream.GRANTED, seconds=HOLD, **options):
		proxy = upstreams.socks5(hold=seconds, reply=reply, **options)
		airlock.use(hostd(upstream=proxy.url, timeouts="header=5s dial=30s idle=1h drain=1s"))
	return hold


def script(directory, name, text):
	path = directory / name
	path.write_text(text)
	return path


def check_loop(result, expected):
	report = json.loads(result.stdout)
	print(f"largest gap between ticks: {report['gap'] * 1000:.1f} ms in {report['seconds']:.2f} s")
	assert report["result"] == expected, report
	assert report["seconds"] > HOLD * 0.9, "the dial was not held, so nothing was shown"
	assert report["gap"] * SHARE < HOLD, report


@pytest.mark.parametrize("selector", ["poll", "select", "epoll"])
def test_asyncio_keeps_ticking_while_a_dial_that_will_be_refused_is_held(airlock, held, directory, selector):
	held(upstream.REFUSED)
	program = script(directory, "ticker.py", TICKER)
	check_loop(airlock.run(["/usr/bin/python3", program, selector, "11.0.0.1", "80", "30"]),
		"ConnectionRefusedError 111")


def test_asyncio_keeps_ticking_while_a_dial_that_will_be_granted_is_held(airlock, held, directory, peers):
	origin = peers.listen()
	held(target=origin.address)
	program = script(directory, "ticker.py", TICKER)
	check_loop(airlock.run(["/usr/bin/python3", program, "epoll", origin.host, origin.port, "30"]), "connected")


def test_wait_for_one_second_times_out_after_one_second(airlock, held, directory):
	held()
	program = script(directory, "ticker.py", TICKER)
	result = airlock.run(["/usr/bin/python3", program, "epoll", "11.0.0.1", "80", "1"])
	report = json.loads(result.stdout)
	assert report["result"].startswith("TimeoutError"), report
	assert 0.9 < report["seconds"] < HOLD * 0.8, report


def test_an_edge_triggered_loop_keeps_ticking(airlock, held, directory):
	held(upstream.REFUSED)
	program = script(directory, "edge.py", EDGE_TRIGGERED)
	result = airlock.run(["/usr/bin/python3", program, "11.0.0.1", "80"])
	assert json.loads(result.stdout)["first"] == "EINPROGRESS"
	check_loop(result, "ECONNREFUSED")


def test_node_keeps_ticking(airlock, held, directory):
	held(upstream.REFUSED)
	program = script(directory, "ticker.js", NODE)
	check_loop(airlock.run(["node", program, "11.0.0.1", "80"]), "ECONNREFUSED")


def test_curls_multi_interface_keeps_ticking(airlock, held, directory):
	pytest.importorskip("pycurl")
	held(upstream.REFUSED)
	program = script(directory, "multi.py", CURL_MULTI)
	check_loop(airlock.run(["/usr/bin/python3", program, "http://11.0.0.1/"]), 7)
