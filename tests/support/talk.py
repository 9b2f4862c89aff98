# SPDX-License-Identifier: MIT
"""The plaintext program of the TLS tests, run inside an enclave.

	talk.py HOST PORT... [say=TEXT] [timeout=SECONDS] [pause=SECONDS]

For each port in turn: connects, sends TEXT and a newline, reads to the end, and prints one line:

	8443 connect EPROTO
	8443 got 21 hello end                  an orderly end
	8443 got 5 hello ECONNRESET            anything else than an orderly end
"""
import errno
import socket
import sys
import time


def name_of(error):
	if isinstance(error, TimeoutError) and error.errno is None:
		return "TIMEOUT"
	return errno.errorcode.get(error.errno, str(error))


def dial(host, port, timeout):
	"""timeout 0: a blocking connect."""
	if timeout:
		return socket.create_connection((host, port), timeout)
	return socket.create_connection((host, port))


def read_to_end(sock):
	got = b""
	try:
		while data := sock.recv(65536):
			got += data
		return got, "end"
	except OSError as error:
		return got, name_of(error)


def talk(host, port, text, timeout):
	try:
		sock = dial(host, port, timeout)
	except OSError as error:
		return f"connect {name_of(error)}"
	with sock:
		try:
			sock.sendall(text.encode() + b"\n")
		except OSError as error:
			return f"send {name_of(error)}"
		got, end = read_to_end(sock)
	return f"got {len(got)} {got[:20].decode('latin-1').split()[0] if got.strip() else '-'} {end}"


def main(host, *words):
	options = dict(word.split("=", 1) for word in words if "=" in word)
	for port in (word for word in words if "=" not in word):
		print(port, talk(host, int(port), options.get("say", "plain"), float(options.get("timeout", 0))),
			flush=True)
		time.sleep(float(options.get("pause", 0)))


if __name__ == "__main__":
	main(*sys.argv[1:])
