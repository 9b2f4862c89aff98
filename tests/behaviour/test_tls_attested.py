# SPDX-License-Identifier: MIT
"""Attested TLS: what airlock-tls proves, what it demands, and everything that must not pass for a proof."""
import os
import re
import signal
import time

import pytest

from support import attested, peer, process, tls_origin, tls_route, wire, world
from support.attested import ACCEPTED, EVIDENCE, HELLO, OFFERS, WANTS, frame, hello, read_frame

NAME = "good.test"
SECRET = "a-secret-of-the-program"
NONCE = bytes(range(32))


@pytest.fixture(scope="session")
def server_binary():
	binary = attested.build_server()
	if not os.path.exists(binary):
		pytest.skip("needs a compiler")
	return binary


@pytest.fixture
def client(directory, background):
	"""The enclave that airlock-tls runs in."""
	return attested.Enclave(directory / "client", "client-image", background)


@pytest.fixture
def other(directory, background):
	"""The server's enclave."""
	return attested.Enclave(directory / "other", "server-image", background)


@pytest.fixture
def server(server_binary, background, dns, pki):
	"""server(**words): attested_server.c at NAME."""
	def start(certificate=None, **words):
		dns.add(NAME, world.PUBLIC)
		return background(attested.Server(server_binary, certificate or pki.root.issue(NAME), **words))
	return start


@pytest.fixture
def origin(peers, dns, pki):
	"""origin(script): a TLS server in Python that speaks the protocol as the script does."""
	def start(script, alpn=(attested.PROTOCOL,), **options):
		dns.add(NAME, world.PUBLIC)
		context = tls_origin.context(pki.root.issue(NAME), "1.3", alpn=alpn)
		return peers.listen(tls_origin.serve(context, script, **options))
	return start


def demand(enclave, image=None):
	"""The server's words: the client has to be that enclave's image."""
	return {"policy": enclave.write_policy(image) if image else enclave.policy, "root": enclave.root}


def configure(tls, client, keys="cert=attested", **settings):
	tls.configure(f"route * tls {keys}", nsm=client.endpoint, **settings)


def demand_keys(enclave, image=None):
	words = demand(enclave, image)
	return f"policy={words['policy']} root={words['root']}"


def check_echo(tls, server):
	assert tls.talk(NAME, server.port, f"say={SECRET}").startswith(f"got {len(SECRET) + 1} ")


def check_refused(tls, port, sentence):
	"""EPROTO, and the sentence by STATUS."""
	assert tls.talk(NAME, port, f"say={SECRET}") == "connect EPROTO"
	stage, kind, text = tls.refusal(NAME, port)
	assert (stage, kind) == ("tls", "tls-failed") and re.search(sentence, text), text


def check_nothing_arrived(server):
	assert server.said("application") == [], server.output


# --- accepted

@pytest.mark.parametrize("ask", [None, "yes"], ids=["server-alone", "both-show-certificates"])
def test_the_client_proves_itself(tls, client, server, ask):
	configure(tls, client)
	origin = server(**demand(client), ask=ask)
	check_echo(tls, origin)
	origin.wait_line("end")
	assert origin.said("session") == [f"session resumed=no client-certificate={'yes' if ask else 'no'}"]
	verified = origin.lines.index("verified client-image")
	assert verified < origin.lines.index(f"application {SECRET}")


@pytest.mark.parametrize("ask", [None, "yes"], ids=["server-alone", "both-show-certificates"])
def test_both_prove_themselves(tls, client, other, server, ask):
	configure(tls, client, f"cert=attested {demand_keys(other)}")
	origin = server(**demand(client), nsm=other.endpoint, ask=ask)
	check_echo(tls, origin)
	origin.wait_line("end")
	assert {"proved", "accepted", "verified client-image"} < set(origin.lines)


def test_the_server_alone_proves_itself(tls, client, other, server):
	"""Without cert=attested, and so without an NSM of the client's."""
	tls.configure(f"route * tls {demand_keys(other)}", nsm="unix:/nowhere")
	origin = server(nsm=other.endpoint)
	check_echo(tls, origin)
	origin.wait_line("end")
	assert origin.said("accepted") and not origin.said("verified")


def test_nobody_wants_a_proof(tls, client, server):
	configure(tls, client)
	origin = server()
	check_echo(tls, origin)
	origin.wait_line("end")
	assert not origin.said("verified") and not origin.said("proved")


def test_explain_tells_by_what_it_was_attested(tls, client, other, server):
	configure(tls, client, f"cert=attested {demand_keys(other)}")
	tls.keep()
	output = tls.explain(NAME, server(**demand(client), nsm=other.endpoint).port).stdout
	assert f"tls: attested: the server is release server-image by {other.policy}, " \
		"and it has accepted our evidence\n" in output, output
	assert f"tls: alpn {attested.PROTOCOL}\n" in output


def test_explain_tells_who_proved_nothing(tls, client, server):
	configure(tls, client)
	tls.keep()
	output = tls.explain(NAME, server(**demand(client)).port).stdout
	assert "tls: attested: it has accepted our evidence, and was not asked for its own\n" in output, output


def test_a_server_that_speaks_first(tls, client, server):
	"""Its bytes stand right behind its last frame."""
	configure(tls, client)
	for words in ({}, demand(client)):
		result = tls.run([tls_route.PYTHON, "-c", "import socket, sys; "
			"s = socket.create_connection((sys.argv[1], int(sys.argv[2]))); print(s.recv(100).decode())",
			NAME, server(greeting="220 welcome", **words).port])
		assert result.stdout == "220 welcome\n", result


def test_large_transfers_follow_the_exchange(tls, client, server):
	configure(tls, client)
	origin = server(**demand(client), whole="yes")
	result = tls.run([tls_route.PYTHON, "-c", """
import os, socket, sys, threading
data = os.urandom(3 << 20)
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
	def send():
		sock.sendall(data)
		sock.shutdown(socket.SHUT_WR)
	thread = threading.Thread(target=send)
	thread.start()
	got = b""
	while piece := sock.recv(65536):
		got += piece
	thread.join()
print(got == data)
""", NAME, origin.port])
	assert result.stdout == "True\n", result


def test_many_at_once(tls, client, other, server):
	configure(tls, client, f"cert=attested {demand_keys(other)}")
	port = server(**demand(client), nsm=other.endpoint).port
	result = tls.run([tls_route.PYTHON, "-c", """
import concurrent.futures, socket, sys
def talk(number):
	with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
		sock.sendall(b"%d" % number)
		sock.shutdown(socket.SHUT_WR)
		return sock.recv(100)
with concurrent.futures.ThreadPoolExecutor(30) as pool:
	print(list(pool.map(talk, range(60))) == [b"%d" % number for number in range(60)])
""", NAME, port], timeout=60)
	assert result.stdout == "True\n", result


def test_tickets_are_neither_kept_nor_offered(tls, client, server):
	configure(tls, client)
	origin = server(**demand(client))
	assert [line.split()[0] for line in tls.talk_to_all(NAME, [origin.port] * 3, "pause=0.1")] == ["got"] * 3
	assert origin.said("session") == ["session resumed=no client-certificate=no"] * 3
	assert len(origin.said("verified")) == 3


# --- refused by the server

def test_another_image_is_refused(tls, client, server):
	configure(tls, client)
	origin = server(**demand(client, image="another-image"))
	check_refused(tls, origin.port, "the server refuses our evidence")
	assert re.match(r"refused check 18 \(pcrs\[16\], offset \d+\)", origin.said("refused")[0])
	check_nothing_arrived(origin)


def test_another_root_is_refused(tls, client, other, server):
	configure(tls, client)
	origin = server(policy=client.policy, root=other.root)
	check_refused(tls, origin.port, "the server refuses our evidence")
	assert origin.said("refused")[0].startswith("refused check 10 ")
	check_nothing_arrived(origin)


def test_a_client_without_evidence_is_refused(tls, client, other, server):
	tls.configure(f"route * tls {demand_keys(other)}")
	origin = server(**demand(client), nsm=other.endpoint)
	check_refused(tls, origin.port, "the server refuses our evidence, or that there is none")
	check_nothing_arrived(origin)


def capture(session, nonce=NONCE):
	"""As a server that wants a proof: the client's frames up to its evidence."""
	session.send(hello(WANTS, nonce))
	assert read_frame(session.read)[0] == HELLO
	kind, document = read_frame(session.read)
	assert kind == EVIDENCE
	return document


def test_replayed_evidence_is_refused(tls, client, server, origin, pki):
	"""Evidence that a thief of a server has been given, shown to a real one."""
	captured = []
	configure(tls, client)
	thief = origin(lambda session: captured.append(capture(session)))
	tls.talk(NAME, thief.port)
	real = server(**demand(client))
	with attested.connect(real.address, pki.ca, NAME) as connection:
		connection.send(hello(OFFERS, NONCE))
		kind, content = read_frame(connection.recv)
		assert (kind, content[0]) == (HELLO, WANTS)
		connection.send(frame(EVIDENCE, captured[0]))
		real.wait_line("refused check 18 (nonce, offset ")
	check_nothing_arrived(real)


def serve_relay(target, certificate, pki):
	def serve(connection):
		attested.relay(attested.accept(connection.sock, certificate), attested.connect(target, pki.ca, NAME))
	return serve


@pytest.mark.parametrize("has_the_servers_key", [False, True], ids=["a-certificate-of-his-own", "a-copy-of-the-key"])
@pytest.mark.parametrize("prover", ["client", "server"])
def test_relayed_evidence_is_refused(tls, client, other, server, peers, pki, has_the_servers_key, prover):
	"""CVE-2026-33697: a man in the middle, between two TLS sessions, passes on genuine, fresh evidence."""
	certificate = pki.root.issue(NAME)
	if prover == "client":
		configure(tls, client)
		real = server(certificate, **demand(client))
	else:
		tls.configure(f"route * tls {demand_keys(other)}")
		real = server(certificate, nsm=other.endpoint)
	middle = peers.listen(serve_relay(real.address, certificate if has_the_servers_key else pki.root.issue(NAME), pki))
	if prover == "client":
		check_refused(tls, middle.port, "ended the connection|refuses our evidence")
		assert real.said("refused")[0].startswith("refused user_data: "), real.output
	else:
		check_refused(tls, middle.port, "the server's evidence is refused: user_data: ")
		real.wait_line("proved")
	check_nothing_arrived(real)
	check_echo(tls, real)  # without him it goes


# --- refused by airlock-tls

@pytest.mark.parametrize("lie, sentence", [
	("nonce", r"refused: check 18 \(nonce, offset \d+\)"),
	("role", "refused: user_data: the document is not about this connection"),
	("key", "refused: user_data: "),
	("exporter", "refused: user_data: "),
])
def test_a_server_whose_evidence_is_about_something_else(tls, client, other, server, lie, sentence):
	configure(tls, client, f"cert=attested {demand_keys(other)}")
	origin = server(nsm=other.endpoint, lie=lie)
	check_refused(tls, origin.port, sentence)
	check_nothing_arrived(origin)


def test_a_server_of_another_image(tls, client, other, server):
	configure(tls, client, f"cert=attested {demand_keys(other, 'another-image')}")
	origin = server(nsm=other.endpoint)
	check_refused(tls, origin.port, r"refused: check 18 \(pcrs\[16\], offset \d+\): not as expected of release another-image")
	check_nothing_arrived(origin)


def test_a_server_without_a_proof(tls, client, other, server):
	configure(tls, client, f"cert=attested {demand_keys(other)}")
	origin = server()
	check_refused(tls, origin.port, "the peer does not offer the proof that is wanted of it")
	check_nothing_arrived(origin)


def test_our_own_evidence_sent_back(tls, client, origin):
	"""The policy accepts our own image: role, nonce and keys must tell."""
	def script(session):
		kind, content = read_frame(session.read)
		assert kind == HELLO
		session.send(hello(OFFERS | WANTS, content[1:]))
		kind, document = read_frame(session.read)
		assert kind == EVIDENCE
		session.send(frame(EVIDENCE, document) + frame(ACCEPTED))
		session.read_all()

	configure(tls, client, f"cert=attested {demand_keys(client)}")
	check_refused(tls, origin(script).port, "refused: user_data: ")


FRAMES = {
	"an unknown type": (bytes([9, 0, 0]), "frame: of an unknown type"),
	"plain HTTP": (b"HTTP/1.1 200 OK\r\n\r\n", "frame: of an unknown type"),
	"too long a hello": (frame(HELLO, bytes(34)), "hello: of a length that it cannot have"),
	"too short a hello": (frame(HELLO, bytes(32)), "hello: of a length that it cannot have"),
	"unknown flags": (hello(0x80, NONCE), "hello: unknown flags"),
	"evidence first": (frame(EVIDENCE, b"x"), "evidence: out of turn"),
	"acceptance first": (frame(ACCEPTED), "accepted: out of turn"),
	"two hellos": (hello(OFFERS, NONCE) * 2, "hello: out of turn"),
	"evidence of 16513 bytes": (hello(OFFERS, NONCE) + b"\x02\x40\x81", "evidence: of a length that it cannot have"),
	"evidence of 65535 bytes": (hello(OFFERS, NONCE) + b"\x02\xff\xff", "evidence: of a length that it cannot have"),
	"no evidence": (hello(OFFERS, NONCE) + b"\x02\x00\x00", "evidence: of a length that it cannot have"),
	"evidence that is none": (hello(OFFERS, NONCE) + frame(EVIDENCE, b"x" * 5000), "evidence is refused: check 1 "),
	"accepted unasked": (hello(OFFERS, NONCE) + frame(ACCEPTED), "accepted: out of turn"),
	"accepted before our evidence": (hello(OFFERS | WANTS, NONCE) + frame(ACCEPTED), "accepted: out of turn"),
}


@pytest.mark.parametrize("what", FRAMES)
def test_frames_that_cannot_be(tls, client, origin, what):
	data, sentence = FRAMES[what]
	received = []

	def script(session):
		assert read_frame(session.read)[0] == HELLO
		session.connection.received = b""
		session.send(data)
		received.append(session.read_all())

	configure(tls, client, f"cert=attested {demand_keys(client)}")
	check_refused(tls, origin(script).port, re.escape(sentence))
	assert SECRET.encode() not in b"".join(received)


@pytest.mark.parametrize("data", [b"", hello(OFFERS, NONCE)[:20], hello(OFFERS, NONCE),
	hello(OFFERS, NONCE) + frame(EVIDENCE, bytes(5000))[:4000]], ids=len)
@pytest.mark.parametrize("is_orderly", [True, False])
def test_an_end_within_the_exchange(tls, client, origin, data, is_orderly):
	def script(session):
		if data:
			session.send(data)
		session.end() if is_orderly else session.connection.half_close()
		session.connection.sock.recv(65536)

	configure(tls, client, f"cert=attested {demand_keys(client)}")
	check_refused(tls, origin(script).port, "ended the connection during the attestation")


def test_frames_that_come_byte_by_byte(tls, client, origin):
	def script(session):
		for position in range(36):
			session.send(hello(WANTS, NONCE)[position:position + 1])
		assert read_frame(session.read)[0] == HELLO
		assert read_frame(session.read)[0] == EVIDENCE
		session.send(frame(ACCEPTED)[:1])
		time.sleep(0.1)
		session.send(frame(ACCEPTED)[1:])
		tls_origin.echo_line(session)

	configure(tls, client)
	assert tls.talk(NAME, origin(script, dribble=0.0001).port, "say=hello").startswith("got 6 hello end")


@pytest.mark.limit(60)
@pytest.mark.parametrize("data", [b"", hello(WANTS, NONCE)], ids=["no-hello", "no-acceptance"])
def test_a_server_that_goes_silent(tls, client, origin, data):
	configure(tls, client)
	port = origin(lambda session: (data and session.send(data), session.connection.hold())).port
	begun = time.monotonic()
	assert tls.talk(NAME, port) == "connect ETIMEDOUT"
	assert 9 < time.monotonic() - begun < 30


# --- require, prefer, off

@pytest.mark.parametrize("alpn", [(), ("http/1.1",)], ids=["no-alpn", "another-protocol"])
def test_a_server_that_does_not_speak_it(tls, client, origin, alpn):
	plain = origin(tls_origin.echo_line, alpn=alpn)
	configure(tls, client)
	check_refused(tls, plain.port, r"the server does not speak attested TLS|No supported application protocol")
	assert all(connection.received == b"" for connection in plain.connections)
	for keys in ("cert=attested attest=prefer", "cert=attested attest=off", "cert=attested attest=prefer alpn=http/1.1"):
		configure(tls, client, keys)
		assert tls.talk(NAME, plain.port, "say=hello").startswith("got 6 hello end"), keys
	configure(tls, client, "cert=attested attest=prefer")
	tls.keep()
	output = tls.explain(NAME, plain.port).stdout
	assert f"tls: not attested: the server does not speak {attested.PROTOCOL}\n" in output, output


def test_prefer_attests_where_it_can(tls, client, server):
	configure(tls, client, "cert=attested attest=prefer alpn=http/1.1")
	origin = server(**demand(client))
	check_echo(tls, origin)
	assert origin.said("verified")
	refusing = server(**demand(client, image="another-image"))
	check_refused(tls, refusing.port, "the server refuses our evidence")


def test_off_does_not_offer_it(tls, client, server):
	configure(tls, client, "cert=attested attest=off")
	origin = server(**demand(client), ask="yes")
	check_echo(tls, origin)
	assert not origin.said("verified")
	assert origin.said("session") == ["session resumed=no client-certificate=no"]


# --- the NSM

def test_an_nsm_that_is_not_there(tls, client, server):
	tls.configure("route * tls cert=attested", nsm="unix:/nowhere/nsm.sock")
	origin = server(**demand(client))
	check_refused(tls, origin.port, "the NSM cannot be opened: unix:/nowhere/nsm.sock: No such file")
	check_nothing_arrived(origin)


def test_an_nsm_that_dies_and_comes_back(tls, client, server, background):
	configure(tls, client)
	tls.keep()
	origin = server(**demand(client))
	check = lambda: tls.run_preloaded([tls_route.PYTHON, tls_route.TALK, NAME, origin.port]).stdout.split(" ", 1)[1]
	assert check().startswith("got 6 plain")
	client.simulator.stop()
	assert check() == "connect EPROTO\n"
	assert re.search("the NSM (does not give evidence|cannot be opened): ", tls.refusal(NAME, origin.port)[2])
	again = background(attested.nsm.Simulator(client.directory))
	again.ask({"ExtendPCR": {"index": attested.REGISTER, "data": client.image.encode()}})
	again.ask({"LockPCR": {"index": attested.REGISTER}})
	assert check().startswith("got 6 plain")


@pytest.mark.limit(60)
def test_an_nsm_that_hangs_holds_up_nobody_else(tls, client, other, server, origin):
	plain = origin(tls_origin.echo_line, alpn=())
	judged, held = server(nsm=other.endpoint), server(**demand(client))
	tls.configure(f"route *:{plain.port} tls\nroute *:{judged.port} tls {demand_keys(other)}\n"
		"route * tls cert=attested", nsm=client.endpoint)
	kept = tls.keep()
	client.simulator.send_signal(signal.SIGSTOP)
	try:
		waiting = tls.popen_preloaded([tls_route.PYTHON, tls_route.TALK, NAME, held.port, held.port])
		held.wait_line("session")
		talk = lambda port: tls.run_preloaded([tls_route.PYTHON, tls_route.TALK, NAME, port])
		for port in (plain.port, judged.port):
			result = talk(port)
			assert " got 6 plain" in result.stdout and result.seconds < 4, result  # and not the ten of the other
		waiting.wait_line("connect ETIMEDOUT")
	finally:
		client.simulator.send_signal(signal.SIGCONT)
	waiting.wait_line("got 6 plain")
	assert kept.processor_seconds() < 5


def test_it_ends_while_an_nsm_hangs(tls, client, server):
	configure(tls, client)
	held, kept = server(**demand(client)), tls.keep()
	client.simulator.send_signal(signal.SIGSTOP)
	try:
		program = tls.popen_preloaded([tls_route.PYTHON, tls_route.TALK, NAME, held.port])
		held.wait_line("session")
		time.sleep(0.2)
		assert kept.stop() == 0
		assert program.has_ended(30)
	finally:
		client.simulator.send_signal(signal.SIGCONT)


def test_programs_that_leave_meanwhile(tls, client, server):
	configure(tls, client)
	held, kept = server(**demand(client)), tls.keep()
	before = kept.descriptors()
	client.simulator.send_signal(signal.SIGSTOP)
	try:
		for number in range(3):
			program = tls.popen_preloaded([tls_route.PYTHON, tls_route.TALK, NAME, held.port])
			peer.wait_until(lambda: len(held.said("session")) > number, what="another session")
			program.stop(signal.SIGKILL)
	finally:
		client.simulator.send_signal(signal.SIGCONT)
	result = tls.run_preloaded([tls_route.PYTHON, tls_route.TALK, NAME, held.port])
	assert " got 6 plain" in result.stdout, result
	peer.wait_until(lambda: kept.descriptors() <= before, what="the end of their streams")


def test_a_proof_that_nobody_waits_for_any_more(tls, client, origin):
	"""The server has gone, and hostd is being asked why, when the NSM answers."""
	def ask_for_a_proof(session):
		session.send(hello(WANTS, NONCE))
		assert read_frame(session.read)[0] == HELLO
		session.connection.hold()
		session.connection.reset()

	configure(tls, client, log="debug")
	kept, hostd, left = tls.keep(), tls.airlock.hostd, origin(ask_for_a_proof)
	before = kept.descriptors()
	stopped = [client.simulator, kept, hostd]
	try:
		client.simulator.send_signal(signal.SIGSTOP)
		program = tls.popen_preloaded([tls_route.PYTHON, tls_route.TALK, NAME, left.port])
		kept.wait_line("to=attest")
		(connection,) = left.wait_connections()
		peer.wait_until(lambda: HELLO in connection.received[:1], what="our hello")
		kept.send_signal(signal.SIGSTOP)
		connection.release()
		hostd.wait_log(msg="stream ended", **{"class": "reset"})
		hostd.send_signal(signal.SIGSTOP)
		kept.send_signal(signal.SIGCONT)
		kept.wait_line("to=question")
		client.simulator.send_signal(signal.SIGCONT)
		program.wait_line("connect E")
	finally:
		for each in stopped:
			each.send_signal(signal.SIGCONT)
	assert len([line for line in kept.lines if "to=question" in line]) == 1, kept.output
	peer.wait_until(lambda: kept.descriptors() <= before, what="the end of its sockets")


# --- settings and confinement

def test_a_policy_that_cannot_be_used_refuses(tls, client, other, server, directory):
	bad = directory / "bad.policy"
	bad.write_text("release a\n  pcr77 00\n")
	origin = server(nsm=other.endpoint)
	configure(tls, client, f"policy={bad}")
	check_refused(tls, origin.port, re.escape(f"{bad}:2:3: "))
	configure(tls, client, "policy=/nowhere")
	check_refused(tls, origin.port, "policy: /nowhere: cannot be opened: No such file")
	configure(tls, client, f"policy={other.policy} root={bad}")
	check_refused(tls, origin.port, "not one certificate")


def filters(process_or_thread):
	with open(f"/proc/{process_or_thread}/status", encoding="ascii") as status:
		return int(re.search(r"^Seccomp_filters:\s+(\d+)", status.read(), re.MULTILINE)[1])


def test_the_threads_are_confined_too(tls, client):
	if tls_route.is_sanitized():
		pytest.skip("a sanitizer's runtime makes calls of its own, so there is no filter")
	configure(tls, client)
	pid = tls.keep().pid
	wire.ping(tls.path)  # it serves, so it is confined
	tasks = os.listdir(f"/proc/{pid}/task")
	assert len(tasks) == 3
	for task in tasks:
		assert filters(f"{pid}/task/{task}") == filters("self") + 1  # the tests have one of their own


def test_without_attested_routes_there_is_one_thread(tls):
	assert len(os.listdir(f"/proc/{tls.keep().pid}/task")) == 1


def test_check_prints_the_keys_and_names_what_is_wrong(airlock):
	config = airlock.configure("route a.test tls cert=attested policy=/p root=/r")
	assert "route a.test tls cert=attested attest=require policy=/p root=/r\n" in airlock.tool("check", config=config).stdout
	config = airlock.configure("route a.test tls cert=attested attest=sometimes")
	assert ":2:32: neither require, prefer nor off: `attest=sometimes`" in airlock.tool("check", config=config).stderr
