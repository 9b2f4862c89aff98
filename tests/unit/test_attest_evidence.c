// SPDX-License-Identifier: MIT
// TLS between two sessions of one thread, over memory.
#include "attest/evidence.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "attest/files.h"
#include "attest/simulated_document.h"

static const uint8_t nonce[EXCHANGE_NONCE_SIZE] = {7, 7, 7}, other_nonce[EXCHANGE_NONCE_SIZE] = {8};

// --- user_data

Test(evidence, user_data_is_the_hash_of_all_parts)
{
	// Computed with Python's hashlib.
	static const struct {
		enum evidence_role prover;
		const char *hash;
	} rows[] = {
		{EVIDENCE_CLIENT, "d82e5567846d62d552e161b70ddbb8f3741b6f35d109148b00b0a506e594ecba"
				  "d9b95af35a15089add95a475f74778ef"},
		{EVIDENCE_SERVER, "ff2e22799bbb33da02e496f736209684eea4843dce90586e672ae5539358fdab"
				  "976f0e09c9cbe026e29ccee3cbb6926f"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct evidence_binding binding = {.prover = rows[i].prover};
		uint8_t hash[EVIDENCE_USER_DATA];
		char text[2 * EVIDENCE_USER_DATA + 1];

		for (unsigned at = 0; at < 32; at++) {
			binding.prover_key[at] = (uint8_t)at;
			binding.verifier_key[at] = (uint8_t)(32 + at);
			binding.exporter[at] = (uint8_t)(64 + at);
		}
		cr_assert(evidence_user_data(&binding, hash));
		cr_expect_str_eq(hex_encode(hash, sizeof(hash), text), rows[i].hash);
	}
}

// --- sessions

struct pipe {
	uint8_t data[65536];
	size_t start, end;
};

struct side {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	struct pipe *in, *out;
	gnutls_datum_t ticket;
};

struct connection {
	struct pipe up, down;
	struct side client, server;
};

struct wish {
	const char *priority;
	bool has_client_certificate, is_resumed, has_no_protocol;
};

static ssize_t on_pull(gnutls_transport_ptr_t pointer, void *data, size_t size)
{
	struct side *side = pointer;
	size_t length = side->in->end - side->in->start;

	if (length == 0) {
		gnutls_transport_set_errno(side->session, EAGAIN);
		return -1;
	}
	if (length > size)
		length = size;
	memcpy(data, side->in->data + side->in->start, length);
	side->in->start += length;
	return (ssize_t)length;
}

static ssize_t on_push(gnutls_transport_ptr_t pointer, const void *data, size_t size)
{
	struct side *side = pointer;

	cr_assert_leq(side->out->end + size, sizeof(side->out->data));
	memcpy(side->out->data + side->out->end, data, size);
	side->out->end += size;
	return (ssize_t)size;
}

static void give_certificate(gnutls_certificate_credentials_t credentials, unsigned char serial)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;

	cr_assert_eq(gnutls_x509_privkey_init(&key), 0);
	cr_assert_eq(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
			     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	cr_assert_eq(gnutls_x509_crt_init(&certificate), 0);
	gnutls_x509_crt_set_version(certificate, 3);
	gnutls_x509_crt_set_serial(certificate, &serial, 1);
	gnutls_x509_crt_set_activation_time(certificate, time(NULL) - 60);
	gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + 3600);
	gnutls_x509_crt_set_key(certificate, key);
	cr_assert_eq(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);
	cr_assert_eq(gnutls_certificate_set_x509_key(credentials, &certificate, 1, key), 0);
	gnutls_x509_crt_deinit(certificate);
	gnutls_x509_privkey_deinit(key);
}

static void set_up_side(struct side *side, unsigned flags, const struct wish *wish, struct pipe *in,
	struct pipe *out)
{
	gnutls_datum_t protocol = {
		(unsigned char *)(uintptr_t)EXCHANGE_PROTOCOL, strlen(EXCHANGE_PROTOCOL)};

	cr_assert_eq(gnutls_init(&side->session, flags | GNUTLS_NONBLOCK), 0);
	cr_assert_eq(gnutls_priority_set_direct(side->session, wish->priority, NULL), 0);
	cr_assert_eq(
		gnutls_credentials_set(side->session, GNUTLS_CRD_CERTIFICATE, side->credentials),
		0);
	if (!wish->has_no_protocol)
		cr_assert_eq(gnutls_alpn_set_protocols(side->session, &protocol, 1, 0), 0);
	side->in = in;
	side->out = out;
	in->start = in->end = 0;
	gnutls_transport_set_ptr(side->session, side);
	gnutls_transport_set_pull_function(side->session, on_pull);
	gnutls_transport_set_push_function(side->session, on_push);
}

static void shake_hands(struct connection *connection)
{
	int up = GNUTLS_E_AGAIN, down = GNUTLS_E_AGAIN;
	uint8_t byte;

	for (int turn = 0; turn < 20 && (up || down); turn++) {
		if (up)
			up = gnutls_handshake(connection->client.session);
		if (down)
			down = gnutls_handshake(connection->server.session);
	}
	cr_assert(up == 0 && down == 0, "%s, %s", gnutls_strerror(up), gnutls_strerror(down));
	cr_assert_eq(gnutls_record_recv(connection->client.session, &byte, 1), GNUTLS_E_AGAIN,
		"the ticket is read");
}

static const gnutls_datum_t ticket_key = {
	(unsigned char *)(uintptr_t) "0123456789012345678901234567890123456789012345678901234567890"
				     "123",
	64};

static void connect_sides(struct connection *connection, const struct wish *wish)
{
	set_up_side(&connection->client, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT, wish,
		&connection->down, &connection->up);
	set_up_side(&connection->server, GNUTLS_SERVER, wish, &connection->up, &connection->down);
	gnutls_session_ticket_enable_server(connection->server.session, &ticket_key);
	if (wish->has_client_certificate)
		gnutls_certificate_server_set_request(
			connection->server.session, GNUTLS_CERT_REQUEST);
	if (wish->is_resumed)
		cr_assert_eq(
			gnutls_session_set_data(connection->client.session,
				connection->client.ticket.data, connection->client.ticket.size),
			0);
	shake_hands(connection);
}

static void close_sides(struct connection *connection)
{
	gnutls_deinit(connection->client.session);
	gnutls_deinit(connection->server.session);
}

static void free_side(struct side *side)
{
	gnutls_free(side->ticket.data);
	gnutls_certificate_free_credentials(side->credentials);
}

#define TLS13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"

static struct connection one, two;

static void set_up(void)
{
	gnutls_certificate_allocate_credentials(&one.client.credentials);
	gnutls_certificate_allocate_credentials(&one.server.credentials);
	give_certificate(one.client.credentials, 1);
	give_certificate(one.server.credentials, 2);
}

static void tear_down(void)
{
	free_side(&one.client);
	free_side(&one.server);
}

TestSuite(evidence, .init = set_up, .fini = tear_down, .timeout = 30);

static struct evidence_binding bind_to(const struct connection *connection, enum evidence_role self,
	enum evidence_role prover, const uint8_t *about)
{
	struct evidence_binding binding;
	struct attest_error error = {0};
	bool is_bound = evidence_bind(
		self == EVIDENCE_CLIENT ? connection->client.session : connection->server.session,
		self, prover, about, &binding, &error);

	cr_assert(is_bound, "%s", error.message);
	return binding;
}

static void check_refused(const struct connection *connection, const char *reason)
{
	gnutls_session_t sessions[] = {connection->client.session, connection->server.session};

	for (size_t i = 0; i < 2; i++) {
		struct evidence_binding binding;
		struct attest_error error = {0};

		cr_expect_not(evidence_bind(sessions[i], EVIDENCE_CLIENT + i, EVIDENCE_CLIENT,
			nonce, &binding, &error));
		cr_expect_eq(error.fault, ATTEST_FAULT_REFUSED);
		cr_expect(strstr(error.message, reason), "%s", error.message);
	}
}

static void hash_key(gnutls_certificate_credentials_t credentials, uint8_t *hash)
{
	gnutls_datum_t der;
	gnutls_x509_crt_t certificate;
	gnutls_pubkey_t key;

	cr_assert_eq(gnutls_certificate_get_crt_raw(credentials, 0, 0, &der), 0);
	gnutls_x509_crt_init(&certificate);
	gnutls_pubkey_init(&key);
	cr_assert_eq(gnutls_x509_crt_import(certificate, &der, GNUTLS_X509_FMT_DER), 0);
	cr_assert_eq(gnutls_pubkey_import_x509(key, certificate, 0), 0);
	cr_assert_eq(gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der), 0);
	gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, hash);
	gnutls_free(der.data);
	gnutls_pubkey_deinit(key);
	gnutls_x509_crt_deinit(certificate);
}

Test(evidence, both_ends_compute_the_same_binding)
{
	for (unsigned i = 0; i < 4; i++) {
		struct wish wish = {.priority = TLS13, .has_client_certificate = i & 1};
		enum evidence_role prover = i & 2 ? EVIDENCE_CLIENT : EVIDENCE_SERVER;
		struct evidence_binding a, b;
		uint8_t client[EVIDENCE_HASH_SIZE] = {0}, server[EVIDENCE_HASH_SIZE];
		bool by_client = prover == EVIDENCE_CLIENT;

		connect_sides(&one, &wish);
		a = bind_to(&one, EVIDENCE_CLIENT, prover, nonce);
		b = bind_to(&one, EVIDENCE_SERVER, prover, nonce);
		cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0, "row %u", i);
		if (wish.has_client_certificate)
			hash_key(one.client.credentials, client);
		hash_key(one.server.credentials, server);
		cr_expect_eq(
			memcmp(by_client ? a.prover_key : a.verifier_key, client, sizeof(client)),
			0, "row %u: the client's key, zeros for none", i);
		cr_expect_eq(
			memcmp(by_client ? a.verifier_key : a.prover_key, server, sizeof(server)),
			0, "row %u: the server's key", i);
		close_sides(&one);
	}
}

// The same certificates and keys on both: only the exporter tells two connections apart.
Test(evidence, another_connection_nonce_or_role_gives_another_binding)
{
	struct wish wish = {.priority = TLS13, .has_client_certificate = true};
	struct evidence_binding first, second, third;
	uint8_t mine[EVIDENCE_USER_DATA], theirs[EVIDENCE_USER_DATA];

	two.client.credentials = one.client.credentials;
	two.server.credentials = one.server.credentials;
	connect_sides(&one, &wish);
	connect_sides(&two, &wish);
	first = bind_to(&one, EVIDENCE_CLIENT, EVIDENCE_CLIENT, nonce);
	second = bind_to(&two, EVIDENCE_CLIENT, EVIDENCE_CLIENT, nonce);
	third = bind_to(&one, EVIDENCE_CLIENT, EVIDENCE_CLIENT, other_nonce);
	cr_expect_eq(memcmp(first.prover_key, second.prover_key, EVIDENCE_HASH_SIZE), 0);
	cr_expect_eq(memcmp(first.verifier_key, second.verifier_key, EVIDENCE_HASH_SIZE), 0);
	cr_expect_neq(memcmp(first.exporter, second.exporter, EVIDENCE_EXPORTER_SIZE), 0);
	cr_expect_neq(memcmp(first.exporter, third.exporter, EVIDENCE_EXPORTER_SIZE), 0);
	second = first;
	second.prover = EVIDENCE_SERVER;
	cr_assert(evidence_user_data(&first, mine) && evidence_user_data(&second, theirs));
	cr_expect_neq(memcmp(mine, theirs, sizeof(mine)), 0);
	close_sides(&one);
	close_sides(&two);
}

Test(evidence, a_session_that_is_not_fresh_tls_13_for_the_protocol_is_refused)
{
	struct wish old = {
		.priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2", .has_client_certificate = true};
	struct wish other = {.priority = TLS13, .has_no_protocol = true};
	struct wish wish = {.priority = TLS13}, resumed = {.priority = TLS13, .is_resumed = true};

	connect_sides(&one, &old);
	check_refused(&one, "not of TLS 1.3");
	close_sides(&one);
	connect_sides(&one, &other);
	check_refused(&one, "not for airlock-attested-tls/1");
	close_sides(&one);
	connect_sides(&one, &wish);
	cr_assert_eq(gnutls_session_get_data2(one.client.session, &one.client.ticket), 0);
	close_sides(&one);
	connect_sides(&one, &resumed);
	cr_assert(gnutls_session_is_resumed(one.client.session));
	check_refused(&one, "resumed");
	close_sides(&one);
}

// --- checking

static struct simulated_pki *pki;
static struct simulated_bank bank;
static uint8_t document[DOCUMENT_MAX];

static struct bytes make_document(struct bytes user_data, struct bytes about)
{
	struct simulated_claims claims = {.bank = &bank,
		.timestamp = (uint64_t)time(NULL) * 1000,
		.user_data = user_data,
		.nonce = about};
	struct attest_error error;
	size_t length;

	cr_assert(
		simulated_document_make(pki, &claims, document, sizeof(document), &length, &error),
		"%s", error.message);
	return (struct bytes){document, length};
}

static bool check(struct bytes made, const uint8_t *user_data, const struct policy *policy,
	struct attest_error *error)
{
	struct verify_options trusted = {
		.root = simulated_pki_certificate(pki, 0), .policy = policy};
	struct attest_result *result;

	if (!evidence_check(made, &trusted, user_data, nonce, &result, error))
		return false;
	attest_result_free(result);
	return true;
}

static void set_up_nsm(void)
{
	struct attest_error error;

	simulated_bank_boot(&bank);
	pki = simulated_pki_open(NULL, &error);
	cr_assert_not_null(pki, "%s", error.message);
	cr_assert(simulated_pki_renew(pki, time(NULL), &error), "%s", error.message);
}

static void tear_down_nsm(void)
{
	simulated_pki_free(pki);
}

TestSuite(evidence_check, .init = set_up_nsm, .fini = tear_down_nsm, .timeout = 30);

static struct policy *make_policy(const uint8_t *pcr0)
{
	char text[16 + 2 * DOCUMENT_PCR_SIZE + 1] = "pcr0 ";
	struct conf_error error;
	struct policy *policy;

	hex_encode(pcr0, DOCUMENT_PCR_SIZE, text + strlen(text));
	policy = policy_parse(text, strlen(text), &error);
	cr_assert_not_null(policy, "%s", error.reason);
	return policy;
}

#define SIZED(array) ((struct bytes){array, sizeof(array)})

Test(evidence_check, accepts_only_the_policys_image_this_nonce_and_this_connection)
{
	static const uint8_t mine[EVIDENCE_USER_DATA] = {1}, theirs[EVIDENCE_USER_DATA] = {2};
	uint8_t longer[EVIDENCE_USER_DATA + 1] = {1};
	struct policy *good = make_policy(bank.values[0]), *bad = make_policy(bank.values[1]);
	const struct bytes none = {NULL, 0};
	const struct {
		struct bytes user_data, nonce;
		const struct policy *policy;
		const char *field; // NULL: accepted
	} rows[] = {
		{SIZED(mine), SIZED(nonce), good, NULL},
		{SIZED(mine), SIZED(nonce), bad, "pcrs[0]"},
		{SIZED(mine), SIZED(nonce), NULL, "policy"},
		{SIZED(mine), SIZED(other_nonce), good, "nonce"},
		{SIZED(mine), none, good, "nonce"},
		{SIZED(theirs), SIZED(nonce), good, "user_data"},
		{none, SIZED(nonce), good, "user_data"},
		{{mine, 0}, SIZED(nonce), good, "user_data"},
		{{mine, EVIDENCE_USER_DATA - 1}, SIZED(nonce), good, "user_data"},
		{SIZED(longer), SIZED(nonce), good, "user_data"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct attest_error error = {0};
		bool is_good = check(make_document(rows[i].user_data, rows[i].nonce), mine,
			rows[i].policy, &error);

		cr_expect_eq(is_good, !rows[i].field, "row %zu: %s", i, error.message);
		if (rows[i].field)
			cr_expect_str_eq(
				error.field, rows[i].field, "row %zu: %s", i, error.message);
	}
	policy_free(good);
	policy_free(bad);
}
