# SPDX-License-Identifier: MIT
"""fork, exec, spawn, clone and threads around a connected socket."""
import pytest

from support import peer

CASES = ["parent-connects", "child-connects", "exec", "vfork-exec", "spawn", "spawn-on-standard-input", "clone",
	"threads", "fork-among-threads"]


@pytest.mark.parametrize("case", CASES)
def test_processes(both, peers, probe, case):
	origin = peers.listen(peer.echo)
	both([probe("processes"), case, origin.host, origin.port], timeout=60).assert_same()


def test_multiprocessing_passes_work_and_sockets_between_processes(both, peers, directory):
	origin = peers.listen(peer.echo)
	program = """
import multiprocessing, socket, sys
def work(sock):
    sock.sendall(b"from the child\\n")
    return sock.recv(100), sock.getpeername()
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
                print(method, pool.apply(work, [sock]))
"""
	script = directory / "pool.py"
	script.write_text(program)
	both(["/usr/bin/python3", script, origin.host, origin.port], timeout=60).assert_same()
