// SPDX-License-Identifier: MIT
#include "preload/shared/settings_tls.h"

#include <string.h>

#define ATTESTED   "attested" // instead of a client certificate's file
#define PIN_PREFIX "sha256/"
#define PIN_DIGITS 44 // base64 of a SHA-256 digest: 43 digits and one '='

// What a key's reader gets: the whole word for messages, the part after '=' to read.
struct tls_value {
	const struct conf_line *line;
	const struct conf_word *word;
	struct conf_word text;
};

struct tls_key {
	const char *name;
	bool (*read)(
		const struct tls_value *value, struct route_tls *tls, struct conf_error *error);
	bool may_repeat;
};

static bool copy_text(const struct tls_value *value, const struct conf_word *text, char *out,
	size_t size, struct conf_error *error)
{
	if (text->length == 0)
		return conf_fail(error, value->line, value->word, "value is empty");
	if (text->length >= size)
		return conf_fail(error, value->line, value->word, "value is longer than %zu bytes",
			size - 1);
	memcpy(out, text->text, text->length);
	out[text->length] = '\0';
	return true;
}

bool settings_read_path(const struct conf_line *line, const struct conf_word *word,
	const struct conf_word *value, char *out, size_t size, struct conf_error *error)
{
	struct tls_value path = {.line = line, .word = word, .text = *value};

	if (value->length == 0 || value->text[0] != '/')
		return conf_fail(error, line, word, "file name is not absolute");
	return copy_text(&path, value, out, size, error);
}

static bool read_port(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	unsigned long port;

	if (!parse_number(value->text.text, value->text.length, UINT16_MAX, &port) || port == 0)
		return conf_fail(
			error, value->line, value->word, "port is not a number from 1 to 65535");
	tls->port = (uint16_t)port;
	return true;
}

static bool read_ca(const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	if (conf_word_is(&value->text, "system")) {
		strcpy(tls->ca, "system");
		return true;
	}
	return settings_read_path(
		value->line, value->word, &value->text, tls->ca, sizeof(tls->ca), error);
}

static bool read_certificate(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	if (conf_word_is(&value->text, ATTESTED)) {
		strcpy(tls->certificate, ATTESTED);
		return true;
	}
	return settings_read_path(value->line, value->word, &value->text, tls->certificate,
		sizeof(tls->certificate), error);
}

static bool read_key(const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	return settings_read_path(
		value->line, value->word, &value->text, tls->key, sizeof(tls->key), error);
}

static bool read_policy(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	return settings_read_path(
		value->line, value->word, &value->text, tls->policy, sizeof(tls->policy), error);
}

static bool read_root(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	return settings_read_path(
		value->line, value->word, &value->text, tls->root, sizeof(tls->root), error);
}

static const char *const attest_words[] = {
	[ROUTE_ATTEST_NONE] = "",
	[ROUTE_ATTEST_OFF] = "off",
	[ROUTE_ATTEST_PREFER] = "prefer",
	[ROUTE_ATTEST_REQUIRE] = "require",
};

static bool read_attest(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	for (size_t i = ROUTE_ATTEST_OFF; i < ARRAY_SIZE(attest_words); i++) {
		if (conf_word_is(&value->text, attest_words[i])) {
			tls->attest = (enum route_attest)i;
			return true;
		}
	}
	return conf_fail(error, value->line, value->word, "neither require, prefer nor off");
}

// The six bits of a base64 digit (RFC 4648, section 4), or -1.
static int base64_bits(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	if (digit == '+')
		return 62;
	return digit == '/' ? 63 : -1;
}

// 43 digits hold 258 bits, so the last one's two lowest must be zero for the form to be the only
// one.
static bool is_base64_digest(const char *text, size_t length)
{
	if (length != PIN_DIGITS || text[PIN_DIGITS - 1] != '=')
		return false;
	for (size_t i = 0; i < PIN_DIGITS - 1; i++) {
		if (base64_bits(text[i]) < 0)
			return false;
	}
	return (base64_bits(text[PIN_DIGITS - 2]) & 3) == 0;
}

static bool read_pin(const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	size_t prefix = strlen(PIN_PREFIX);

	if (tls->pin_count == ARRAY_SIZE(tls->pins))
		return conf_fail(error, value->line, value->word, "more than %zu pins",
			ARRAY_SIZE(tls->pins));
	if (value->text.length < prefix || memcmp(value->text.text, PIN_PREFIX, prefix) != 0)
		return conf_fail(error, value->line, value->word, "pin is not sha256/BASE64");
	if (!is_base64_digest(value->text.text + prefix, value->text.length - prefix))
		return conf_fail(
			error, value->line, value->word, "pin is not the base64 of 32 bytes");
	return copy_text(
		value, &value->text, tls->pins[tls->pin_count++], sizeof(tls->pins[0]), error);
}

static bool read_minimum(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	if (!conf_word_is(&value->text, "1.2") && !conf_word_is(&value->text, "1.3"))
		return conf_fail(
			error, value->line, value->word, "TLS version is neither 1.2 nor 1.3");
	return copy_text(value, &value->text, tls->minimum, sizeof(tls->minimum), error);
}

static bool read_server_name(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	struct parse_error inner;

	if (!name_from_text(value->text.text, value->text.length, tls->server_name, &inner))
		return conf_fail(error, value->line, value->word, "%s", inner.reason);
	return true;
}

// A comma list of protocol ids (RFC 7301); blanks and commas cannot be part of one here.
static bool read_alpn(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	const char *text = value->text.text;
	size_t length = value->text.length;

	for (size_t i = 0; i < length; i++) {
		bool is_at_edge = i == 0 || i == length - 1;

		if (text[i] == ',' && (is_at_edge || text[i - 1] == ','))
			return conf_fail(
				error, value->line, value->word, "empty protocol in the list");
		if (text[i] <= ' ' || text[i] > '~')
			return conf_fail(
				error, value->line, value->word, "protocol is not printable ASCII");
	}
	return copy_text(value, &value->text, tls->alpn, sizeof(tls->alpn), error);
}

// A key that has one word to say; leaving it out says the other.
static bool read_flag(
	const struct tls_value *value, const char *word, bool *flag, struct conf_error *error)
{
	if (!conf_word_is(&value->text, word))
		return conf_fail(error, value->line, value->word, "the only value is `%s`", word);
	*flag = true;
	return true;
}

static bool read_eof(const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	return read_flag(value, "lax", &tls->is_eof_lax, error);
}

static bool read_start(
	const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	return read_flag(value, "postgres", &tls->starts_postgres, error);
}

static bool read_tls(const struct tls_value *value, struct route_tls *tls, struct conf_error *error)
{
	return read_flag(value, "auto", &tls->is_auto, error);
}

static const struct tls_key keys[] = {
	{"port", read_port, false},
	{"ca", read_ca, false},
	{"pin", read_pin, true},
	{"min", read_minimum, false},
	{"sni", read_server_name, false},
	{"alpn", read_alpn, false},
	{"cert", read_certificate, false},
	{"key", read_key, false},
	{"attest", read_attest, false},
	{"policy", read_policy, false},
	{"root", read_root, false},
	{"eof", read_eof, false},
	{"start", read_start, false},
	{"tls", read_tls, false},
};

static const struct tls_key *find_key(const struct conf_word *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (conf_word_is(name, keys[i].name))
			return &keys[i];
	}
	return NULL;
}

static bool read_word(const struct conf_line *line, const struct conf_word *word, unsigned *seen,
	struct route_tls *tls, struct conf_error *error)
{
	struct tls_value value = {.line = line, .word = word};
	const struct tls_key *key;
	struct conf_word name;
	unsigned bit;

	if (!conf_word_split(word, &name, &value.text))
		return conf_fail(error, line, word, "not of the form key=value");
	key = find_key(&name);
	if (!key)
		return conf_fail(error, line, word, "unknown key of a tls route");
	bit = 1u << (key - keys);
	if ((*seen & bit) && !key->may_repeat)
		return conf_fail(error, line, word, "key given twice");
	*seen |= bit;
	return key->read(&value, tls, error);
}

static bool is_attested(const struct route_tls *tls)
{
	return strcmp(tls->certificate, ATTESTED) == 0;
}

bool settings_offers_attestation(const struct route_tls *tls)
{
	return tls->attest >= ROUTE_ATTEST_PREFER;
}

bool settings_proves(const struct route_tls *tls)
{
	return settings_offers_attestation(tls) && is_attested(tls);
}

// The first rule that the keys break, or NULL.
static const char *find_conflict(const struct route_tls *tls)
{
	bool has_key = tls->key[0] != '\0';

	if (is_attested(tls) && has_key)
		return "cert=attested has a key of its own: no key= beside it";
	if (!is_attested(tls) && (tls->certificate[0] != '\0') != has_key)
		return "cert= and key= belong together";
	if (tls->root[0] != '\0' && tls->policy[0] == '\0')
		return "root= needs policy=";
	if (tls->attest != ROUTE_ATTEST_NONE && !is_attested(tls) && tls->policy[0] == '\0')
		return "attest= needs cert=attested or policy=";
	return NULL;
}

// What cannot be kept together with attestation.
static const char *find_attest_conflict(const struct route_tls *tls)
{
	if (strcmp(tls->minimum, "1.2") == 0)
		return "attestation needs TLS 1.3: no min=1.2 beside it";
	if (tls->is_auto)
		return "TLS of the program's own cannot be attested: no tls=auto beside it";
	if (tls->alpn[0] != '\0' && tls->attest == ROUTE_ATTEST_REQUIRE)
		return "attested TLS is itself a protocol of ALPN: alpn= needs attest=prefer";
	return NULL;
}

static bool check_together(
	const struct conf_line *line, struct route_tls *tls, struct conf_error *error)
{
	const char *conflict = find_conflict(tls);

	if (tls->attest == ROUTE_ATTEST_NONE && (is_attested(tls) || tls->policy[0] != '\0'))
		tls->attest = ROUTE_ATTEST_REQUIRE;
	if (!conflict && settings_offers_attestation(tls))
		conflict = find_attest_conflict(tls);
	return !conflict || conf_fail(error, line, &line->words[0], "%s", conflict);
}

bool settings_tls_parse(
	const struct conf_line *line, size_t first, struct route_tls *tls, struct conf_error *error)
{
	unsigned seen = 0;

	for (size_t i = first; i < line->count; i++) {
		if (!read_word(line, &line->words[i], &seen, tls, error))
			return false;
	}
	return check_together(line, tls, error);
}

void settings_tls_print(const struct route_tls *tls, FILE *out)
{
	const struct {
		const char *name;
		const char *value;
	} texts[] = {
		{"ca", tls->ca},
		{"min", tls->minimum},
		{"sni", tls->server_name},
		{"alpn", tls->alpn},
		{"cert", tls->certificate},
		{"key", tls->key},
		{"attest", attest_words[tls->attest]},
		{"policy", tls->policy},
		{"root", tls->root},
		{"eof", tls->is_eof_lax ? "lax" : ""},
		{"start", tls->starts_postgres ? "postgres" : ""},
		{"tls", tls->is_auto ? "auto" : ""},
	};

	if (tls->port != 0)
		fprintf(out, " port=%u", tls->port);
	for (size_t i = 0; i < tls->pin_count; i++)
		fprintf(out, " pin=%s", tls->pins[i]);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].value[0] != '\0')
			fprintf(out, " %s=%s", texts[i].name, texts[i].value);
	}
}
