# SPDX-License-Identifier: MIT
"""Servers that airlock-tls must not talk to: the program's connect() fails with EPROTO, STATUS says why in
a sentence of its own, and not one application byte reaches the server."""
import os
import pathlib
import re
import shutil
import textwrap
import time

import pytest

from support import process, tls_gnutls, tls_origin, tls_route, world

NAME = "good.test"
SECRET = "a-secret-of-the-program"


@pytest.fixture
def server(peers, dns):
	"""server(certificate, version=..., host=...) listens with that certificate; NAME leads there."""
	def start(certificate, script=tls_origin.echo_line, version=None, host=None, **options):
		dns.add(NAME, host or world.PUBLIC)
		return peers.listen(tls_origin.serve(tls_origin.context(certificate, version, **options), script),
			host=host)
	return start


def check_nothing_arrived(origin):
	for connection in origin.connections:
		connection.wait_end()
		session = getattr(connection, "session", None)
		assert connection.received == b"", connection.received
		assert session is None or SECRET.encode() not in session.raw


def check_refused(tls, origin, sentence, name=NAME):
	"""EPROTO and the sentence, with a blocking connect, one with a time limit, and by `airlock explain`."""
	assert tls.talk(name, origin.port, f"say={SECRET}") == "connect EPROTO"
	assert tls.talk(name, origin.port, f"say={SECRET}", "timeout=20") == "connect EPROTO"
	stage, kind, text = tls.refusal(name, origin.port)
	assert (stage, kind) == ("tls", "tls-failed") and re.search(sentence, text, re.IGNORECASE), text
	origin.wait_connections(3)
	check_nothing_arrived(origin)


def check_accepted(tls, origin, name=NAME):
	assert tls.talk(name, origin.port, "say=hello").startswith("got 6 hello end")


CERTIFICATES = {
	"wrong name": (lambda pki: pki.root.issue("other.test"), r"name"),
	"name in the common name only": (lambda pki: pki.root.issue(subject=NAME), r"name"),
	"wildcard of another domain": (lambda pki: pki.root.issue("*.other.test"), r"name"),
	"the name as a wildcard's suffix": (lambda pki: pki.root.issue("*.good.test"), r"name"),
	"expired": (lambda pki: pki.root.issue(NAME, begin=-20, end=-10), r"expired"),
	"not yet valid": (lambda pki: pki.root.issue(NAME, begin=5, end=10), r"not yet"),
	"unknown issuer": (lambda pki: pki.stranger.issue(NAME), r"issuer|authority|unknown|anchor"),
	"self-signed": (lambda pki: pki.self_signed(NAME), r"issuer|authority|self-signed|anchor"),
	"missing intermediate": (lambda pki: pki.intermediate.issue(NAME), r"issuer|authority|unknown|anchor"),
	"RSA of 1024 bits": (lambda pki: pki.root.issue(NAME, key="rsa:1024"), r"weak|insecure|algorithm|key|short"),
	"signed with SHA-1": (lambda pki: pki.root.issue(NAME, digest="sha1"), r"weak|insecure|algorithm"),
	"for clients only": (lambda pki: pki.root.issue(NAME, usage="clientAuth"), r"purpose|usage|server"),
}


@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_bad_certificate(tls, server, pki, kind):
	make, sentence = CERTIFICATES[kind]
	check_refused(tls, server(make(pki)), sentence)


GOOD = {
	"name": lambda pki: pki.root.issue(NAME),
	"one name of several": lambda pki: pki.root.issue("first.test", NAME, "11.0.0.99"),
	"wildcard": lambda pki: pki.root.issue("*.wild.test"),
	"RSA of 2048 bits": lambda pki: pki.root.issue(NAME, key="rsa:2048"),
	"intermediate sent along": lambda pki: pki.intermediate.issue(NAME, send_along=[pki.intermediate]),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_certificate_is_accepted(tls, server, pki, dns, kind):
	"""What the refusals above are measured against."""
	name = "host.wild.test" if kind == "wildcard" else NAME
	origin = server(GOOD[kind](pki))
	dns.add(name, world.PUBLIC)
	check_accepted(tls, origin, name)


def test_a_trailing_dot_of_the_program_is_not_part_of_the_name(tls, server, pki):
	origin = server(pki.root.issue(NAME))
	check_accepted(tls, origin, NAME + ".")


def test_a_wildcard_is_a_whole_label(tls, server, pki, dns):
	"""RFC 9525, 6.3. GnuTLS takes `*t` for the end of a label."""
	dns.add("host.wild.test", world.PUBLIC)
	check_refused(tls, server(pki.root.issue("*t.wild.test")), r"wrong name.*DNS:\*t\.wild\.test", name="host.wild.test")


def test_the_kinds_of_wrong_name_are_told_apart(tls, server, pki):
	"""Only a common name, another name, an address instead; a weak key that is not the server's own."""
	refusals = {
		r"no subjectAltName.* common name": pki.root.issue(subject=NAME),
		r"DNS:other\.test, DNS:third\.test$": pki.root.issue("other.test", "third.test"),
		r"DNS:a\.test, DNS:b\.test, DNS:c\.test, \.\.\.$": pki.root.issue("a.test", "b.test", "c.test", "d.test"),
		r"but for IP:11\.0\.0\.9$": pki.root.issue("11.0.0.9", subject=NAME),
		r"EC/ECDSA of 256 bits, signed with ECDSA-SHA1$": pki.root.issue(NAME, digest="sha1"),
	}
	for sentence, certificate in refusals.items():
		assert re.search(sentence, tls.refusal(NAME, server(certificate).port)[2]), sentence
	said = tls.refusal(world.PUBLIC, server(pki.root.issue(NAME)).port)[2]
	assert re.search(r"not for the address \(iPAddress\) 11\.0\.0\.1 but for DNS:good\.test$", said), said


def test_the_two_kinds_of_wrong_time_are_told_apart(tls, server, pki):
	old, young = (server(pki.root.issue(NAME, begin=begin, end=begin + 5)) for begin in (-10, 3))
	assert tls.refusal(NAME, old.port) != tls.refusal(NAME, young.port)


# --- addresses

def test_an_address_needs_an_address_in_the_certificate(tls, server, pki):
	"""A DNS name that looks like the address, or a common name, is not one (RFC 9110, 4.3.5)."""
	for certificate in (pki.root.issue(NAME), pki.root.issue(NAME, subject=world.PUBLIC), pki.root.issue("11.0.0.2")):
		check_refused(tls, server(certificate), r"address|name", name=world.PUBLIC)


def test_an_address_in_the_certificate_is_enough(tls, server, pki):
	origin = server(pki.root.issue(NAME, world.PUBLIC))
	check_accepted(tls, origin, world.PUBLIC)
	assert origin.connections[0].session.server_name is None, "RFC 6066, 3: no literal addresses as server name"
	for form in (world.PUBLIC, f"[::ffff:{world.PUBLIC}]"):
		assert f"verified as {world.PUBLIC} " in tls.explain(form, origin.port).stdout, form


def test_an_ipv6_address(tls, peers, pki):
	if not world.has_ipv6:
		pytest.skip("no IPv6 here")
	listen = lambda *names: peers.listen_6(tls_origin.serve(tls_origin.context(pki.root.issue(*names)), tls_origin.echo_line))
	check_accepted(tls, listen(world.PUBLIC_6), world.PUBLIC_6)
	assert tls.talk(world.PUBLIC_6, listen("2600:11::2").port, f"say={SECRET}") == "connect EPROTO"


# --- pins

def test_a_pin_that_does_not_match(tls, server, pki):
	origin, other = server(pki.root.issue(NAME)), pki.root.issue(NAME)
	tls.configure(f"route * tls pin={other.pin}")
	check_refused(tls, origin, r"\bpin|public key")


def test_a_pin_that_matches(tls, server, pki):
	certificate, other = pki.root.issue(NAME), pki.root.issue(NAME)
	tls.configure(f"route * tls pin={other.pin} pin={certificate.pin}")
	check_accepted(tls, server(certificate))


def test_a_pin_does_not_replace_the_name_or_the_issuer(tls, server, pki):
	for certificate in (pki.root.issue("other.test"), pki.stranger.issue(NAME), pki.self_signed(NAME)):
		tls.configure(f"route * tls pin={certificate.pin}")
		check_refused(tls, server(certificate), r"name|issuer|authority|unknown|self-signed|anchor")


# --- versions

def test_tls_1_1_only(tls, server, pki):
	origin = server(pki.root.issue(NAME), version="1.1")
	check_refused(tls, origin, r"version|protocol")
	tls.configure("route * tls min=1.2")
	assert tls.talk(NAME, origin.port, f"say={SECRET}") == "connect EPROTO"
	check_nothing_arrived(origin)


def test_tls_1_2_only(tls, server, pki):
	origin = server(pki.root.issue(NAME), version="1.2")
	check_refused(tls, origin, r"version|protocol")
	tls.configure("route * tls min=1.2")
	check_accepted(tls, origin)


def test_tls_1_2_without_forward_secrecy_or_aead(tls, peers, dns, pki):
	"""min=1.2 does not mean everything that 1.2 allows."""
	dns.add(NAME, world.PUBLIC)
	tls.configure("route * tls min=1.2")
	for key, suites in (("rsa:2048", "AES256-GCM-SHA384"), ("ec", "ECDHE-ECDSA-AES256-SHA"),
			("rsa:2048", "DHE-RSA-AES256-GCM-SHA384")):
		context = tls_origin.context(pki.root.issue(NAME, key=key), "1.2")
		context.set_ciphers(f"{suites}:@SECLEVEL=0")
		origin = peers.listen(tls_origin.serve(context, tls_origin.echo_line))
		assert tls.talk(NAME, origin.port, f"say={SECRET}") == "connect EPROTO", suites
		check_nothing_arrived(origin)


# --- not TLS at all

@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n",
	b"\x16\x03\x03\xff\xff" + b"\0" * 70000, b"\x15\x03\x03\x00\x02\x02\x28", b"\0" * 100],
	ids=["ssh", "http", "a record too long", "a fatal alert", "zeros"])
def test_a_server_that_does_not_speak_tls(tls, peers, dns, greeting):
	def serve(connection):
		connection.send(greeting)
		connection.read_all()
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(serve)
	assert tls.talk(NAME, origin.port, f"say={SECRET}") == "connect EPROTO"
	assert tls.refusal(NAME, origin.port)[:2] == ("tls", "tls-failed")
	assert all(SECRET.encode() not in connection.received for connection in origin.connections)


def test_a_server_that_never_answers_the_handshake(tls, server, peers, dns):
	"""The handshake has a deadline of its own; the program is not left waiting for ever."""
	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(lambda connection: connection.read_all())
	begun = time.monotonic()
	said = tls.talk(NAME, origin.port, f"say={SECRET}", timeout=100)
	assert said in ("connect EPROTO", "connect ETIMEDOUT") and time.monotonic() - begun < 60, said


# --- resumed sessions

def ask(session):
	"""Says whether this session was resumed."""
	session.read_until(b"\n")
	session.send(b"resumed" if session.tls.session_reused else b"full")
	session.end()
	session.read_all()


TALK_TO_NAMES = """
import sys; sys.path.insert(0, {support!r})
import talk
for name in {names!r}:
	print(talk.talk(name, {port}, "hello", 0))
"""


def talk_to_names(tls, port, *names):
	"""In turn, through one airlock-tls."""
	program = TALK_TO_NAMES.format(support=os.path.dirname(tls.talk_program), names=names, port=port)
	result = tls.run(["/usr/bin/python3", "-c", program])
	assert result.status == 0, result
	return [line.split(" ")[2] if line.startswith("got") else line for line in result.stdout.splitlines()]


def test_a_ticket_of_one_name_does_not_open_another(tls, server, pki, dns):
	origin = server(pki.root.issue(NAME), ask)
	dns.add("other.test", world.PUBLIC)
	said = talk_to_names(tls, origin.port, NAME, "other.test", NAME, "other.test")
	assert said == ["full", "connect EPROTO", "resumed", "connect EPROTO"]


def test_a_ticket_is_only_used_for_the_name_that_it_came_with(tls, server, pki, dns):
	"""Both names are in the certificate, so each is granted; but with a session of its own."""
	origin = server(pki.root.issue(NAME, "other.test"), ask)
	dns.add("other.test", world.PUBLIC)
	assert talk_to_names(tls, origin.port, NAME, "other.test", NAME, "other.test") == ["full", "full", "resumed", "resumed"]


def test_tickets_of_tls_1_3_are_used_once(tls, peers, dns, pki):
	"""A server that gives one ticket, and none when it is used, is resumed once (RFC 8446, C.4)."""
	connections = []

	def ask_with_one_ticket(session):
		connections.append(session)
		if len(connections) == 1:
			session.tickets(1)
		session.read()
		session.send(b"resumed" if session.is_resumed else b"full")
		session.end()

	dns.add(NAME, world.PUBLIC)
	origin = peers.listen(tls_gnutls.serve(pki.root.issue(NAME), ask_with_one_ticket))
	assert talk_to_names(tls, origin.port, *[NAME] * 4) == ["full", "resumed", "full", "full"]


def test_a_certificate_that_changed_for_the_worse_is_noticed(tls, server, pki):
	"""A resumed session brings no certificate: what is checked is the one that was seen then, so a full
	handshake with a bad one must fail even though there is a ticket."""
	good, bad = tls_origin.context(pki.root.issue(NAME)), tls_origin.context(pki.stranger.issue(NAME))
	turn = []

	def serve(connection):
		turn.append(connection)
		tls_origin.serve(good if len(turn) == 1 else bad, ask)(connection)

	origin = server(pki.root.issue(NAME), ask)
	origin._serve = serve
	assert talk_to_names(tls, origin.port, NAME, NAME) == ["full", "connect EPROTO"]


def test_a_certificate_that_ends_between_two_connections(tls, server, pki):
	"""That it was found good before does not count any more, with a ticket or without."""
	seconds = 15  # for the four connections before it
	origins = [server(pki.root.issue(NAME, end=seconds / 86400), ask, tickets=tickets) for tickets in (2, 0)]
	end = time.time() + seconds
	ports = [origin.port for origin in origins]
	program = f"""
		import sys, time; sys.path.insert(0, {os.path.dirname(tls.talk_program)!r})
		import talk
		for moment in (0, 0, {end + 1}):
			time.sleep(max(0, moment - time.time()))
			print([talk.talk("{NAME}", port, "hello", 0) for port in {ports}])
		"""
	result = tls.run(["/usr/bin/python3", "-c", textwrap.dedent(program)])
	assert result.status == 0, result
	said = [re.findall("full|resumed|connect E[A-Z]+", line) for line in result.stdout.splitlines()]
	assert said == [["full", "full"], ["resumed", "full"], ["connect EPROTO", "connect EPROTO"]]


def test_a_stapled_answer_is_heard_even_about_a_certificate_that_was_good(tls, peers, dns, pki):
	"""The same chain, for the same name: without an answer, with a good one, with "revoked"."""
	def answer(session):
		session.read()
		session.send(b"full")
		session.end()

	dns.add(NAME, world.PUBLIC)
	certificate = pki.root.issue(NAME)
	staples = [None, pki.root.answer_about(certificate), pki.root.answer_about(certificate, revoked=True), None]
	ports = [peers.listen(tls_gnutls.serve(certificate, answer, staple=staple)).port for staple in staples]
	said = [line.rsplit(" ", 1)[0] for line in tls.talk_to_all(NAME, ports, "say=hello")]
	assert said == ["got 4 full", "got 4 full", "connect", "got 4 full"]
	assert "revoked" in tls.refusal(NAME, ports[2])[2]


# --- what is missing in the enclave

def test_no_trust_anchors(tls, server, pki):
	"""An empty file is not "no opinion": airlock-tls does not start, or nothing gets through."""
	origin = server(pki.root.issue(NAME))
	for routes, settings in (("route * tls", {"ca": pki.empty}), (f"route * tls ca={pki.empty}", {})):
		tls.configure(routes, **settings)
		result = tls.run(["/usr/bin/python3", tls.talk_program, NAME, origin.port, f"say={SECRET}"])
		assert "got" not in result.stdout and (result.status != 0 or "connect E" in result.stdout), result
		assert re.search("anchor|certificate|trust", result.stderr, re.IGNORECASE), result
	check_nothing_arrived(origin)


def test_a_file_of_anchors_that_does_not_exist(tls, server, pki):
	origin = server(pki.root.issue(NAME))
	tls.configure("route * tls ca=/nonexistent/ca.pem")
	result = tls.run(["/usr/bin/python3", tls.talk_program, NAME, origin.port, f"say={SECRET}"])
	assert "got" not in result.stdout and "/nonexistent/ca.pem" in result.stderr, result
	check_nothing_arrived(origin)


def test_a_route_that_cannot_work_leaves_others_alone(tls, server, pki, dns):
	"""Routes with the same files share what was loaded of them, not each other's mistakes."""
	dns.add("other.test", world.PUBLIC)
	origin, own = server(pki.root.issue(NAME)), pki.root.issue("own.test", usage="clientAuth")
	tls.configure("route other.test tls policy=/nonexistent\nroute * tls")
	check_accepted(tls, origin)
	assert re.search("attestation.*/nonexistent", tls.refusal("other.test", origin.port)[2])
	tls.configure(f"route other.test tls cert={own.chain} key=/nonexistent\nroute * tls")
	check_accepted(tls, origin)
	assert re.search("client certificate .*: its key cannot be read", tls.refusal("other.test", origin.port)[2])


def test_the_anchors_of_the_system_are_not_those_of_the_route(tls, server, pki):
	origin = server(pki.root.issue(NAME))
	tls.configure("route * tls", ca="system")
	assert tls.talk(NAME, origin.port, f"say={SECRET}") == "connect EPROTO"
	tls.configure(f"route * tls ca={pki.ca}", ca="system")
	check_accepted(tls, origin)


def test_a_clock_before_the_build(tls, directory):
	"""Certificates need a clock: an airlock-tls whose clock says 2001 does not start. It drops LD_PRELOAD, so
	libfaketime comes by an /etc of its own."""
	library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
	if library is None or tls_route.is_sanitized():
		pytest.skip("faketime is not installed, or a sanitizer wants to be the first library")
	etc = directory / "etc"
	etc.mkdir()
	shutil.copy("/etc/ld.so.cache", etc)
	(etc / "faketimerc").write_text("2001-01-01 00:00:00\n")
	run = lambda *command: process.run(["unshare", "--mount", "/bin/sh", "-c",
		f'mount --bind {etc} /etc && exec "$@"', "sh", *command], env=tls.airlock.environment())
	assert "2001" not in run("date").stdout, "the clock is changed too early"
	(etc / "ld.so.preload").write_text(f"{library}\n")
	assert "2001" in run("date").stdout, "the clock is not changed"
	result = run(str(tls_route.tls_program()), "-c", str(tls.config))
	assert result.status == 1 and "clock" in result.stderr, result


def test_the_environment_does_not_weaken_it(tls, server, pki, directory):
	"""GnuTLS would write the keys of every session where SSLKEYLOGFILE says, and do without TLS 1.3."""
	origin = server(pki.root.issue(NAME))
	keys, priorities = directory / "keys", directory / "priorities"
	priorities.write_text("[overrides]\ndisabled-version = tls1.3\n")
	tls.keep(prefix=["env", f"SSLKEYLOGFILE={keys}", f"GNUTLS_SYSTEM_PRIORITY_FILE={priorities}"])
	check_accepted(tls, origin)
	assert not keys.exists()
