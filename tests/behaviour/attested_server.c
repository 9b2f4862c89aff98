// SPDX-License-Identifier: MIT
// The server's side of attested TLS, a process for each connection. It echoes, and says in a line
// each what happened:
//
//	listening PORT
//	session resumed=no client-certificate=yes
//	proved | accepted | verified RELEASE | refused REASON | left REASON
//	application BYTES            what was received behind the exchange, cut at a newline
//	end
//
// Words: address=ADDRESS cert=FILE key=FILE, and of
//	policy=FILE root=FILE   the client has to prove itself
//	nsm=unix:PATH           the server offers to
//	ask=yes                 ask for the client's certificate
//	protocol=NAME           of ALPN; none: no ALPN at all
//	whole=yes               echo everything, not one line, and say nothing of it
//	greeting=TEXT           the server speaks first, at once behind its last frame
//	lie=nonce|role|key|exporter    its evidence is about something else
#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attest/evidence.h"
#include "attest/trusted_files.h"

static const char *const names[] = {"address", "cert", "key", "policy", "root", "nsm", "ask",
	"protocol", "greeting", "whole", "lie"};
static const char *values[ARRAY_SIZE(names)];

static const char *value_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) == 0)
			return values[i];
	}
	abort();
}

static bool is_lie(const char *lie)
{
	return value_of("lie") && strcmp(value_of("lie"), lie) == 0;
}

struct peer {
	gnutls_session_t session;
	struct exchange exchange;
	struct nsm *nsm;
	uint8_t data[EXCHANGE_FRAME_MAX + 4096]; // received, not yet taken
	size_t length;
};

// A line by one write, so that processes do not mix.
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[1024];
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	length = strlen(line);
	line[length] = '\n';
	if (write(STDOUT_FILENO, line, length + 1) < 0)
		_exit(1);
}

__attribute__((noreturn)) static void leave(struct peer *peer, const char *what, const char *reason)
{
	say("%s %s", what, reason);
	gnutls_alert_send(peer->session, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
	_exit(0);
}

__attribute__((noreturn)) static void refuse(struct peer *peer, const struct attest_error *error)
{
	char text[512];

	leave(peer, "refused", attest_error_format(error, text, sizeof(text)));
}

static void send_all(struct peer *peer, const void *data, size_t length)
{
	const uint8_t *next = data;

	while (length > 0) {
		ssize_t sent =
			gnutls_record_send(peer->session, next, length < 16384 ? length : 16384);

		if (sent <= 0)
			leave(peer, "left", "it cannot be sent to");
		next += sent;
		length -= (size_t)sent;
	}
}

static bool receive_some(struct peer *peer)
{
	ssize_t length;

	do
		length = gnutls_record_recv(peer->session, peer->data + peer->length,
			sizeof(peer->data) - peer->length);
	while (length == GNUTLS_E_AGAIN || length == GNUTLS_E_INTERRUPTED);
	if (length > 0)
		peer->length += (size_t)length;
	return length > 0;
}

// --- the exchange

static void compute(struct peer *peer, enum evidence_role prover, const uint8_t *nonce,
	uint8_t user_data[static EVIDENCE_USER_DATA])
{
	struct evidence_binding binding;
	struct attest_error error;

	if (!evidence_bind(peer->session, EVIDENCE_SERVER, prover, nonce, &binding, &error))
		refuse(peer, &error);
	if (prover == EVIDENCE_SERVER) {
		binding.prover = is_lie("role") ? EVIDENCE_CLIENT : prover;
		binding.prover_key[0] ^= is_lie("key");
		binding.exporter[31] ^= is_lie("exporter");
	}
	if (!evidence_user_data(&binding, user_data))
		abort();
}

static void prove(struct peer *peer)
{
	uint8_t user_data[EVIDENCE_USER_DATA], nonce[EXCHANGE_NONCE_SIZE];
	uint8_t *frame = malloc(EXCHANGE_FRAME_MAX);
	struct attest_error error;
	struct bytes document;

	memcpy(nonce, peer->exchange.peer_nonce, sizeof(nonce));
	compute(peer, EVIDENCE_SERVER, nonce, user_data);
	nonce[0] ^= is_lie("nonce");
	if (!evidence_make(peer->nsm, user_data, nonce, &document, &error))
		refuse(peer, &error);
	send_all(peer, frame, exchange_prove(&peer->exchange, document, frame));
	free(frame);
	say("proved");
}

static void verify(struct peer *peer, struct bytes document)
{
	uint8_t user_data[EVIDENCE_USER_DATA], frame[EXCHANGE_ACCEPTED_SIZE];
	struct verify_options trusted = {0};
	struct attest_result *result;
	struct attest_error error;
	struct policy *policy;
	gnutls_datum_t root;
	char message[512];

	if (!trusted_read_policy(value_of("policy"), &policy, message, sizeof(message)) ||
		!trusted_read_root(value_of("root"), &root, message, sizeof(message)))
		leave(peer, "refused", message);
	trusted.policy = policy;
	trusted.root = (struct bytes){root.data, root.size};
	compute(peer, EVIDENCE_CLIENT, peer->exchange.nonce, user_data);
	if (!evidence_check(document, &trusted, user_data, peer->exchange.nonce, &result, &error))
		refuse(peer, &error);
	say("verified %s", attest_result_release(result) ? attest_result_release(result) : "-");
	exchange_accept(&peer->exchange, frame);
	send_all(peer, frame, sizeof(frame));
}

// False: more has to be received first.
static bool take_frame(struct peer *peer)
{
	struct attest_error error;
	struct bytes document;
	size_t taken;

	switch (exchange_take(
		&peer->exchange, peer->data, peer->length, &taken, &document, &error)) {
	case EXCHANGE_INCOMPLETE:
		return false;
	case EXCHANGE_HELLO:
		if (peer->exchange.must_prove)
			prove(peer);
		break;
	case EXCHANGE_EVIDENCE:
		verify(peer, document);
		break;
	case EXCHANGE_ACCEPTED:
		say("accepted");
		break;
	case EXCHANGE_REFUSED:
		refuse(peer, &error);
	}
	peer->length -= taken;
	memmove(peer->data, peer->data + taken, peer->length);
	return true;
}

static void run_exchange(struct peer *peer)
{
	uint8_t nonce[EXCHANGE_NONCE_SIZE], hello[EXCHANGE_HELLO_SIZE];

	gnutls_rnd(GNUTLS_RND_NONCE, nonce, sizeof(nonce));
	exchange_begin(
		&peer->exchange, value_of("nsm") != NULL, value_of("policy") != NULL, nonce, hello);
	send_all(peer, hello, sizeof(hello));
	while (exchange_expects_more(&peer->exchange)) {
		if (!take_frame(peer) && !receive_some(peer))
			leave(peer, "left", "it ended within the exchange");
	}
}

// Up to and with the first newline; with whole=yes to the end.
static void echo(struct peer *peer)
{
	const char *greeting = value_of("greeting");
	bool is_over = false;

	if (greeting)
		send_all(peer, greeting, strlen(greeting));
	while (!is_over && (peer->length > 0 || receive_some(peer))) {
		const uint8_t *newline = memchr(peer->data, '\n', peer->length);

		if (!value_of("whole"))
			say("application %.*s",
				(int)(newline ? (size_t)(newline - peer->data) : peer->length),
				(const char *)peer->data);
		is_over = newline && !value_of("whole");
		send_all(peer, peer->data, peer->length);
		peer->length = 0;
	}
	gnutls_bye(peer->session, GNUTLS_SHUT_WR);
	while (receive_some(peer)) // else unread bytes would make the end a reset
		peer->length = 0;
}

// --- connections

static gnutls_certificate_credentials_t credentials;
static gnutls_datum_t ticket_key;

static void open_nsm(struct peer *peer)
{
	struct attest_error error;

	if (!value_of("nsm"))
		return;
	peer->nsm = nsm_open(value_of("nsm"), &error);
	if (!peer->nsm)
		refuse(peer, &error);
}

static void shake_hands(struct peer *peer, int fd)
{
	const char *name = value_of("protocol") ? value_of("protocol") : EXCHANGE_PROTOCOL;
	gnutls_datum_t protocol = {(unsigned char *)(uintptr_t)name, (unsigned)strlen(name)};
	unsigned count = 0;
	int result, one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	gnutls_init(&peer->session, GNUTLS_SERVER);
	gnutls_set_default_priority(peer->session);
	gnutls_credentials_set(peer->session, GNUTLS_CRD_CERTIFICATE, credentials);
	gnutls_session_ticket_enable_server(peer->session, &ticket_key);
	gnutls_certificate_server_set_request(
		peer->session, value_of("ask") ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE);
	if (strcmp(name, "none") != 0)
		gnutls_alpn_set_protocols(peer->session, &protocol, 1, 0);
	gnutls_transport_set_int(peer->session, fd);
	do
		result = gnutls_handshake(peer->session);
	while (result < 0 && !gnutls_error_is_fatal(result));
	if (result < 0)
		leave(peer, "left", gnutls_strerror(result));
	say("session resumed=%s client-certificate=%s",
		gnutls_session_is_resumed(peer->session) ? "yes" : "no",
		gnutls_certificate_get_peers(peer->session, &count) ? "yes" : "no");
}

__attribute__((noreturn)) static void serve(int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	shake_hands(peer, fd);
	open_nsm(peer);
	if (evidence_is_agreed(peer->session))
		run_exchange(peer);
	echo(peer);
	say("end");
	_exit(0);
}

static int listen_at(const char *address)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t length = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, address, &name.sin_addr);
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(fd, 64) < 0 ||
		getsockname(fd, (struct sockaddr *)&name, &length) < 0) {
		perror("listen");
		exit(3);
	}
	say("listening %u", ntohs(name.sin_port));
	return fd;
}

static void read_words(int count, char **words)
{
	for (int i = 1; i < count; i++) {
		for (size_t name = 0; name < ARRAY_SIZE(names); name++) {
			size_t length = strlen(names[name]);

			if (strncmp(words[i], names[name], length) == 0 && words[i][length] == '=')
				values[name] = words[i] + length + 1;
		}
	}
}

int main(int count, char **words)
{
	int listener;

	read_words(count, words);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	gnutls_session_ticket_key_generate(&ticket_key);
	gnutls_certificate_allocate_credentials(&credentials);
	if (gnutls_certificate_set_x509_key_file(
		    credentials, value_of("cert"), value_of("key"), GNUTLS_X509_FMT_PEM) < 0)
		return 2;
	listener = listen_at(value_of("address"));
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && fork() == 0)
			serve(fd);
		if (fd >= 0)
			close(fd);
	}
}
