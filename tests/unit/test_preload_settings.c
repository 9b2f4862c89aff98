// SPDX-License-Identifier: MIT
#include "preload/shared/settings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define GOOD_PIN "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static struct settings parse(const char *text)
{
	struct settings settings;
	struct conf_error error;

	cr_assert(settings_parse(text, strlen(text), &settings, &error), "%s: %s", text,
		error.reason);
	return settings;
}

static char *print(const struct settings *settings)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	settings_print(settings, out);
	fclose(out);
	return text;
}

static const struct route *find(
	const struct settings *settings, const char *name, const char *address, uint16_t port)
{
	struct address parsed = {0};

	if (address)
		cr_assert(address_parse(address, strlen(address), &parsed, NULL));
	return settings_find_route(settings, name, &parsed, port);
}

static unsigned line_of(const struct route *route)
{
	cr_assert_not_null(route);
	return route->line;
}

Test(settings, an_empty_text_gives_the_documented_defaults)
{
	struct settings settings = parse("");
	char *text = print(&settings);

	cr_assert_str_eq(text, "hostd vsock:3:9001-9016\n"
			       "names pool\n"
			       "pool 198.18.0.0/15 fd61:6972:6c6f::/96\n"
			       "gate auto\n"
			       "hairpin off\n"
			       "tls-listen unix:/run/airlock/tls.sock\n"
			       "ca system\n"
			       "nsm /dev/nsm\n");
	cr_assert_eq(settings.log_level, SETTINGS_LOG_NONE);
	cr_assert_eq(settings.route_count, 0);
	free(text);
}

static const char every_form[] =
	"# a comment\n"
	"hostd unix:@somewhere\n"
	"  route *.example.com:80 tls port=443 pin=" GOOD_PIN " pin=" GOOD_PIN
	" ca=/etc/a.pem min=1.2 sni=other.example alpn=h2,http/1.1 cert=/c.pem key=/k.pem"
	" eof=lax start=postgres tls=auto\n"
	"route cache.internal:6379,7000-7005 tls\n"
	"route 10.0.0.0/8 deny\n"
	"route 127.0.0.0/8 local # trailing\n"
	"route [2001:db8::1]:443 direct\n"
	"route * direct\n"
	"names resolve\npool 10.64.0.0/10 fd00::/64\ngate off\nhairpin on\n"
	"tls-listen unix:/tmp/t.sock\nca /etc/roots.pem\nnsm unix:/tmp/nsm.sock\n"
	"report vsock:parent:9000\nlog debug\n";

Test(settings, every_form_is_read)
{
	struct settings settings = parse(every_form);
	const struct route *route = &settings.routes[0];

	cr_assert_eq(settings.hostd.transport, ENDPOINT_UNIX);
	cr_assert_eq(settings.route_count, 6);
	cr_assert_eq(route->action, ROUTE_TLS);
	cr_assert_eq(route->line, 3);
	cr_assert_eq(route->tls.port, 443);
	cr_assert_eq(route->tls.pin_count, 2);
	cr_assert_str_eq(route->tls.pins[1], GOOD_PIN);
	cr_assert_str_eq(route->tls.ca, "/etc/a.pem");
	cr_assert_str_eq(route->tls.minimum, "1.2");
	cr_assert_str_eq(route->tls.server_name, "other.example");
	cr_assert_str_eq(route->tls.alpn, "h2,http/1.1");
	cr_assert_str_eq(route->tls.certificate, "/c.pem");
	cr_assert_str_eq(route->tls.key, "/k.pem");
	cr_assert(route->tls.is_eof_lax && route->tls.starts_postgres && route->tls.is_auto);
	cr_assert_eq(settings.routes[1].tls.port, 0);
	cr_assert_eq(settings.routes[2].action, ROUTE_DENY);
	cr_assert_eq(settings.routes[3].action, ROUTE_LOCAL);
	cr_assert_eq(settings.routes[5].action, ROUTE_DIRECT);
	cr_assert_eq(settings.names, NAMES_RESOLVE);
	cr_assert_eq(settings.pool_ipv4.prefix_length, 10);
	cr_assert_eq(settings.pool_ipv6.prefix_length, 64);
	cr_assert_eq(settings.gate, GATE_OFF);
	cr_assert(settings.is_hairpin);
	cr_assert_str_eq(settings.ca, "/etc/roots.pem");
	cr_assert_eq(settings.nsm.transport, ENDPOINT_UNIX);
	cr_assert_str_eq(settings.nsm.path, "/tmp/nsm.sock");
	cr_assert_eq(settings.report.transport, ENDPOINT_VSOCK);
	cr_assert_eq(settings.report.cid, 3);
	cr_assert_eq(settings.report.port_first, 9000);
	cr_assert_eq(settings.log_level, SETTINGS_LOG_DEBUG);
	settings_clear(&settings);
	cr_assert_null(settings.routes);
}

Test(settings, what_is_printed_reads_back_as_the_same)
{
	struct settings settings = parse(every_form);
	char *first = print(&settings);
	struct settings again = parse(first);
	char *second = print(&again);

	cr_assert_str_eq(first, second);
	cr_assert_eq(again.route_count, settings.route_count);
	free(first);
	free(second);
}

Test(settings, a_pool_of_one_family_leaves_the_other_alone)
{
	struct settings settings = parse("pool 10.64.0.0/10");

	cr_assert_eq(settings.pool_ipv4.prefix_length, 10);
	cr_assert_eq(settings.pool_ipv6.prefix_length, 96);
}

struct refusal {
	const char *text;
	unsigned line;
	unsigned column;
	const char *token;
};

static const struct refusal refusals[] = {
	{"bogus", 1, 1, "bogus"},
	{"\n\n  Route * direct", 3, 3, "Route"},
	{"gate on\ngate on", 2, 1, "gate"},
	{"hostd unix:/a\nnames pool\nhostd unix:/b", 3, 1, "hostd"},
	{"hostd", 1, 1, "hostd"},
	{"route", 1, 1, "route"},
	{"route *", 1, 7, "*"},
	{"gate on off", 1, 9, "off"},
	{"names  both", 1, 8, "both"},
	{"gate maybe", 1, 6, "maybe"},
	{"hairpin yes", 1, 9, "yes"},
	{"log loud", 1, 5, "loud"},
	{"log none", 1, 5, "none"},
	{"hostd vsock:any:9000", 1, 13, "vsock:any:9000"},
	{"hostd tcp:1.2.3.4:5", 1, 7, "tcp:1.2.3.4:5"},
	{"tls-listen vsock:3:9000", 1, 12, "vsock:3:9000"},
	{"report", 1, 1, "report"},
	{"report 9000", 1, 8, "9000"},
	{"report vsock:any:9000", 1, 14, "vsock:any:9000"},
	{"report vsock:parent:9000-9001", 1, 8, "vsock:parent:9000-9001"},
	{"report unix:/a\nreport unix:/a", 2, 1, "report"},
	{"nsm", 1, 1, "nsm"},
	{"nsm /dev/other", 1, 5, "/dev/other"},
	{"nsm vsock:3:9000", 1, 5, "vsock:3:9000"},
	{"nsm /dev/nsm\nnsm unix:/a", 2, 1, "nsm"},
	{"ca roots.pem", 1, 4, "roots.pem"},
	{"pool 10.0.0.0/8 11.0.0.0/8", 1, 17, "11.0.0.0/8"},
	{"pool fd00::/96 fd01::/96", 1, 16, "fd01::/96"},
	{"pool 10.0.0.0/29", 1, 6, "10.0.0.0/29"},
	{"pool 127.0.0.0/16", 1, 6, "127.0.0.0/16"},
	{"pool 10.0.0.0/8 fd00::/64 11.0.0.0/8", 1, 27, "11.0.0.0/8"},
	{"pool pool", 1, 6, "pool"},
	{"route a..b direct", 1, 9, "a..b"},
	{"route *:0 direct", 1, 9, "*:0"},
	{"route * allow", 1, 9, "allow"},
	{"route * direct port=443", 1, 16, "port=443"},
	{"route * deny tls=auto", 1, 14, "tls=auto"},
	{"route * local x", 1, 15, "x"},
	{"route * tls port", 1, 13, "port"},
	{"route * tls port=0", 1, 13, "port=0"},
	{"route * tls port=65536", 1, 13, "port=65536"},
	{"route * tls port=1 port=1", 1, 20, "port=1"},
	{"route * tls insecure=yes", 1, 13, "insecure=yes"},
	{"route * tls ca=roots.pem", 1, 13, "ca=roots.pem"},
	{"route * tls ca=", 1, 13, "ca="},
	{"route * tls min=1.1", 1, 13, "min=1.1"},
	{"route * tls min=", 1, 13, "min="},
	{"route * tls sni=a..b", 1, 13, "sni=a..b"},
	{"route * tls sni=10.0.0.1", 1, 13, "sni=10.0.0.1"},
	{"route * tls alpn=h2,,x", 1, 13, "alpn=h2,,x"},
	{"route * tls alpn=,h2", 1, 13, "alpn=,h2"},
	{"route * tls alpn=h2,", 1, 13, "alpn=h2,"},
	{"route * tls alpn=", 1, 13, "alpn="},
	{"route * tls eof=strict", 1, 13, "eof=strict"},
	{"route * tls start=mysql", 1, 13, "start=mysql"},
	{"route * tls tls=on", 1, 13, "tls=on"},
	{"route * tls cert=/c.pem", 1, 1, "route"},
	{"route * tls key=/k.pem", 1, 1, "route"},
	{"route * tls cert=attested key=/k.pem", 1, 1, "route"},
	{"route * tls cert=Attested", 1, 13, "cert=Attested"},
	{"route * tls attest=require", 1, 1, "route"},
	{"route * tls attest=off", 1, 1, "route"},
	{"route * tls cert=attested attest=maybe", 1, 27, "attest=maybe"},
	{"route * tls cert=attested attest=", 1, 27, "attest="},
	{"route * tls cert=attested policy=p", 1, 27, "policy=p"},
	{"route * tls cert=attested root=/r.pem", 1, 1, "route"},
	{"route * tls policy=/p root=r", 1, 23, "root=r"},
	{"route * tls cert=attested min=1.2", 1, 1, "route"},
	{"route * tls policy=/p tls=auto", 1, 1, "route"},
	{"route * tls cert=attested alpn=h2", 1, 1, "route"},
	// 31 bytes, 33 bytes, no padding, another hash, spare bits set, a stray character
	{"route * tls pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", 1, 13, NULL},
	{"route * tls pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1, 13, NULL},
	{"route * tls pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1, 13, NULL},
	{"route * tls pin=sha1/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1, 13, NULL},
	{"route * tls pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC=", 1, 13, NULL},
	{"route * tls pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", 1, 13, NULL},
	{"route * tls pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAA-AAAAAAAAAAAAAAAAAA=", 1, 13, NULL},
};

Test(settings, errors_name_the_line_the_column_and_the_token)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *refusal = &refusals[i];
		struct conf_error error = {0};
		struct settings settings;

		cr_assert_not(
			settings_parse(refusal->text, strlen(refusal->text), &settings, &error),
			"%s", refusal->text);
		cr_expect_eq(error.line, refusal->line, "%s: line %u", refusal->text, error.line);
		cr_expect_eq(error.column, refusal->column, "%s: column %u", refusal->text,
			error.column);
		if (refusal->token)
			cr_expect_str_eq(error.token, refusal->token, "%s", refusal->text);
		cr_expect_neq(error.reason[0], '\0', "%s", refusal->text);
		cr_expect_null(settings.routes, "%s", refusal->text);
		cr_expect_eq(settings.route_count, 0, "%s", refusal->text);
	}
}

// What the route offers and proves, and the words that it is printed with.
static const struct {
	const char *words, *printed;
	bool offers, proves;
} attested[] = {
	{"", "", false, false},
	{" cert=/c.pem key=/k.pem", " cert=/c.pem key=/k.pem", false, false},
	{" cert=attested", " cert=attested attest=require", true, true},
	{" policy=/p", " attest=require policy=/p", true, false},
	{" root=/r policy=/p cert=attested", " cert=attested attest=require policy=/p root=/r",
		true, true},
	{" cert=/c.pem key=/k.pem policy=/p", " cert=/c.pem key=/k.pem attest=require policy=/p",
		true, false},
	{" cert=attested alpn=h2 attest=prefer", " alpn=h2 cert=attested attest=prefer", true,
		true},
	{" cert=attested min=1.2 tls=auto alpn=h2 attest=off",
		" min=1.2 alpn=h2 cert=attested attest=off tls=auto", false, false},
};

Test(settings, attestation_is_required_where_it_is_named_unless_said_otherwise)
{
	for (size_t i = 0; i < ARRAY_SIZE(attested); i++) {
		char text[200], expected[200];
		struct settings settings;
		char *printed;

		snprintf(text, sizeof(text), "route * tls%s", attested[i].words);
		snprintf(expected, sizeof(expected), "tls%s\n", attested[i].printed);
		settings = parse(text);
		cr_expect_eq(settings_offers_attestation(&settings.routes[0].tls),
			attested[i].offers, "%s", text);
		cr_expect_eq(
			settings_proves(&settings.routes[0].tls), attested[i].proves, "%s", text);
		printed = print(&settings);
		cr_expect(strstr(printed, expected), "%s: %s", text, printed);
		free(printed);
		settings_clear(&settings);
	}
}

Test(settings, a_fifth_pin_is_one_too_many)
{
	static const char text[] = "route * tls pin=" GOOD_PIN " pin=" GOOD_PIN " pin=" GOOD_PIN
				   " pin=" GOOD_PIN " pin=" GOOD_PIN;
	struct settings settings;
	struct conf_error error;

	cr_assert_not(settings_parse(text, strlen(text), &settings, &error));
	cr_assert_eq(error.column, strlen(text) - strlen("pin=" GOOD_PIN) + 1);
}

Test(settings, more_routes_than_there_is_room_for_are_refused)
{
	static const char route[] = "route * direct\n";
	size_t size = sizeof(route) - 1;
	char *text = malloc((SETTINGS_MAX_ROUTES + 1) * size);
	struct settings settings;
	struct conf_error error;

	for (size_t i = 0; i <= SETTINGS_MAX_ROUTES; i++)
		memcpy(text + i * size, route, size);
	cr_assert(settings_parse(text, SETTINGS_MAX_ROUTES * size, &settings, &error));
	cr_assert_eq(settings.route_count, SETTINGS_MAX_ROUTES);
	settings_clear(&settings);
	cr_assert_not(settings_parse(text, (SETTINGS_MAX_ROUTES + 1) * size, &settings, &error));
	cr_assert_eq(error.line, SETTINGS_MAX_ROUTES + 1);
	free(text);
}

Test(settings, the_first_route_that_matches_decides)
{
	struct settings settings = parse("route db.test:5432 tls\n"
					 "route *.secret.test deny\n"
					 "route 10.0.0.0/8:22 local\n"
					 "route *:443 direct\n");

	cr_assert_eq(line_of(find(&settings, "db.test", NULL, 5432)), 1);
	cr_assert_eq(line_of(find(&settings, "db.test", NULL, 443)), 4);
	cr_assert_null(find(&settings, "db.test", NULL, 80));
	cr_assert_eq(line_of(find(&settings, "a.b.secret.test", NULL, 443)), 2);
	cr_assert_eq(line_of(find(&settings, "secret.test", NULL, 443)), 4);
	cr_assert_eq(line_of(find(&settings, NULL, "10.1.2.3", 22)), 3);
	cr_assert_eq(line_of(find(&settings, NULL, "::ffff:10.1.2.3", 22)), 3);
	cr_assert_eq(line_of(find(&settings, NULL, "2001:db8::1", 443)), 4);
	cr_assert_null(find(&settings, NULL, "10.1.2.3", 23));
}

static const char *const loopbacks[] = {"127.0.0.1", "127.255.255.255", "0.0.0.0", "::1",
	"::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"};

Test(settings, loopback_stands_before_every_route)
{
	struct settings settings = parse("route * deny");

	for (size_t i = 0; i < ARRAY_SIZE(loopbacks); i++) {
		const struct route *route = find(&settings, NULL, loopbacks[i], 80);

		cr_assert_not_null(route);
		cr_expect_eq(route->action, ROUTE_LOCAL, "%s", loopbacks[i]);
	}
	cr_assert_eq(line_of(find(&settings, NULL, "126.255.255.255", 80)), 1);
	cr_assert_eq(line_of(find(&settings, NULL, "0.0.0.1", 80)), 1);
	cr_assert_eq(line_of(find(&settings, NULL, "::2", 80)), 1);
	cr_assert_eq(line_of(find(&settings, NULL, "::100:0:0:1", 80)), 1);
}

Test(settings, with_hairpin_loopback_has_no_privilege)
{
	struct settings settings = parse("hairpin on\nroute 127.0.0.0/8 direct");

	cr_assert_eq(line_of(find(&settings, NULL, "127.0.0.1", 80)), 2);
	cr_assert_null(find(&settings, NULL, "::1", 80));
}

Test(settings, equal_texts_have_equal_digests_and_others_do_not)
{
	struct settings one = parse("gate on");
	struct settings same = parse("gate on");
	struct settings other = parse("gate off");

	cr_assert_eq(one.digest, same.digest);
	cr_assert_neq(one.digest, other.digest);
}

Test(settings, actions_have_the_names_that_are_read)
{
	cr_assert_str_eq(settings_action_name(ROUTE_DIRECT), "direct");
	cr_assert_str_eq(settings_action_name(ROUTE_TLS), "tls");
	cr_assert_str_eq(settings_action_name(ROUTE_LOCAL), "local");
	cr_assert_str_eq(settings_action_name(ROUTE_DENY), "deny");
}

// --- settings_load

static char file_name[] = "/tmp/airlock-settings-XXXXXX";

static void write_file(const char *text)
{
	int fd;

	strcpy(file_name + sizeof(file_name) - 7, "XXXXXX");
	fd = mkstemp(file_name);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void forget_environment(void)
{
	unsetenv("AIRLOCK_CONF");
	unsetenv("AIRLOCK_HOSTD");
	unsetenv("AIRLOCK_LOG");
	file_name[0] = '/';
}

static void remove_file(void)
{
	unlink(file_name);
}

TestSuite(settings_load, .init = forget_environment, .fini = remove_file);

Test(settings_load, the_named_file_goes_before_the_environments)
{
	struct settings settings;
	char message[256] = "";

	write_file("gate off");
	setenv("AIRLOCK_CONF", "/nonexistent/enclave.conf", true);
	cr_assert(settings_load(file_name, &settings, message, sizeof(message)), "%s", message);
	cr_assert_eq(settings.gate, GATE_OFF);
	cr_assert_not(settings_load(NULL, &settings, message, sizeof(message)));
	cr_assert_str_eq(message, "/nonexistent/enclave.conf: No such file or directory");
	setenv("AIRLOCK_CONF", file_name, true);
	cr_assert(settings_load(NULL, &settings, message, sizeof(message)));
	cr_assert_eq(settings.gate, GATE_OFF);
}

Test(settings_load, an_error_is_one_line_with_file_line_column_and_token)
{
	struct settings settings;
	char message[256] = "", expected[256];

	write_file("gate on\nroute * direct port=1\n");
	cr_assert_not(settings_load(file_name, &settings, message, sizeof(message)));
	snprintf(expected, sizeof(expected), "%s:2:16: only a tls route takes keys: `port=1`",
		file_name);
	cr_assert_str_eq(message, expected);
}

Test(settings_load, the_environment_overrides_hostd_and_log)
{
	struct settings settings;
	char message[256] = "";
	uint64_t digest;

	write_file("hostd unix:/a\nlog error");
	cr_assert(settings_load(file_name, &settings, message, sizeof(message)));
	digest = settings.digest;
	setenv("AIRLOCK_HOSTD", "unix:/b", true);
	setenv("AIRLOCK_LOG", "debug", true);
	cr_assert(settings_load(file_name, &settings, message, sizeof(message)));
	cr_assert_str_eq(settings.hostd.path, "/b");
	cr_assert_eq(settings.log_level, SETTINGS_LOG_DEBUG);
	cr_assert_neq(settings.digest, digest, "another hostd is another state");
}

Test(settings_load, empty_variables_count_as_absent)
{
	struct settings settings;
	char message[256] = "";

	write_file("hostd unix:/a\nlog error");
	setenv("AIRLOCK_HOSTD", "", true);
	setenv("AIRLOCK_LOG", "", true);
	cr_assert(settings_load(file_name, &settings, message, sizeof(message)), "%s", message);
	cr_assert_str_eq(settings.hostd.path, "/a");
	cr_assert_eq(settings.log_level, SETTINGS_LOG_ERROR);
}

Test(settings_load, bad_variables_are_errors_that_name_them)
{
	struct settings settings;
	char message[256] = "";

	write_file("route * direct");
	setenv("AIRLOCK_LOG", "loud", true);
	cr_assert_not(settings_load(file_name, &settings, message, sizeof(message)));
	cr_assert_str_eq(message, "AIRLOCK_LOG: unknown word: `loud`");
	cr_assert_null(settings.routes);
	setenv("AIRLOCK_HOSTD", "nonsense", true);
	cr_assert_not(settings_load(file_name, &settings, message, sizeof(message)));
	cr_assert_eq(strncmp(message, "AIRLOCK_HOSTD: ", 15), 0, "%s", message);
}

Test(settings_load, a_file_of_more_than_a_mebibyte_is_refused)
{
	struct settings settings;
	char message[256] = "";

	write_file("");
	cr_assert_eq(truncate(file_name, 1024 * 1024 + 1), 0);
	cr_assert_not(settings_load(file_name, &settings, message, sizeof(message)));
	cr_assert(strstr(message, "File too large"), "%s", message);
}

Test(settings_load, a_directory_is_an_error)
{
	struct settings settings;
	char message[256] = "";

	cr_assert_not(settings_load("/tmp", &settings, message, sizeof(message)));
	cr_assert_str_eq(message, "/tmp: Is a directory");
}
