// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostd/config.h"

static const char sample[] = "# the documented forms\n"
			     "listen   vsock:any:9000-9015\n"
			     "listen   unix:/run/airlock/hostd.sock cid=16 mode=0600\n"
			     "workers  auto\n"
			     "enclave  web cid=16,17\n"
			     "  allow  *.example.com:443\n"
			     "  allow  db.internal:5432 to=10.0.0.0/8,fd00::/8\n"
			     "  allow  127.0.0.1:8000-8100\n"
			     "  deny   *.evil.example\n"
			     "  limit  connections=2000 rate=500/s\n"
			     "  upstream http://proxy.corp:3128\n"
			     "enclave  silent cid=18\n"
			     "timeout  header=5s dial=10s idle=1h drain=30s\n"
			     "metrics  tcp:127.0.0.1:9464\n"
			     "admin    unix:/run/airlock/hostd.admin\n"
			     "resolver 10.0.0.2 [fd00::53]:5353 fd00::54\n"
			     "log      debug\n";

static struct config *parse(const char *text)
{
	struct conf_error error;
	struct config *config = config_parse(text, strlen(text), &error);
	char message[512];
	cr_assert(config, "%s", conf_error_format(&error, "test", message, sizeof(message)));
	return config;
}

Test(hostd_config, reads_every_documented_form)
{
	struct config *config = parse(sample);
	cr_assert_eq(config->listen_count, 2);
	cr_assert_eq(config->listens[0].endpoint.port_last, 9015);
	cr_assert_eq(config->listens[1].cid, 16);
	cr_assert_eq(config->listens[1].mode, 0600);
	cr_assert_eq(config->workers, 0);
	cr_assert_eq(config->enclave_count, 2);
	const struct enclave *web = &config->enclaves[0];
	cr_assert_str_eq(web->name, "web");
	cr_assert_eq(web->cid_count, 2);
	cr_assert_eq(web->rule_count, 4);
	cr_assert_eq(web->rules[1].to_count, 2);
	cr_assert_eq(web->rules[1].line, 7);
	cr_assert_eq(web->rules[3].action, RULE_DENY);
	cr_assert_eq(web->max_connections, 2000);
	cr_assert_eq(web->max_rate, 500);
	cr_assert_eq(web->upstream.kind, UPSTREAM_HTTP);
	cr_assert_str_eq(web->upstream.host, "proxy.corp");
	cr_assert_eq(web->upstream.port, 3128);
	cr_assert_eq(config->idle_timeout, 3600000);
	cr_assert_eq(config->metrics_port, 9464);
	cr_assert_eq(config->admin.transport, ENDPOINT_UNIX);
	cr_assert_str_eq(config->resolvers, "10.0.0.2:53,[fd00::53]:5353,[fd00::54]:53");
	cr_assert_eq(config->log_level, LOG_LEVEL_DEBUG);
	config_release(config);
}

Test(hostd_config, has_the_documented_defaults)
{
	struct config *config = parse("listen unix:/run/a cid=3\nenclave a cid=3\n");
	cr_assert_eq(config->header_timeout, 5000);
	cr_assert_eq(config->dial_timeout, 10000);
	cr_assert_eq(config->idle_timeout, 3600000);
	cr_assert_eq(config->drain_timeout, 30000);
	cr_assert_eq(config->listens[0].mode, 0660);
	cr_assert_eq(config->metrics_address.family, ADDRESS_NONE);
	cr_assert_eq(config->admin.transport, 0);
	cr_assert_str_empty(config->resolvers);
	cr_assert_eq(config->log_level, LOG_LEVEL_INFO);
	cr_assert_eq(config->enclaves[0].upstream.kind, UPSTREAM_DIRECT);
	config_release(config);
}

Test(hostd_config, finds_enclaves_by_cid_and_nothing_for_others)
{
	struct config *config = parse(sample);
	cr_assert_eq(config_find_enclave(config, 16), &config->enclaves[0]);
	cr_assert_eq(config_find_enclave(config, 17), &config->enclaves[0]);
	cr_assert_eq(config_find_enclave(config, 18), &config->enclaves[1]);
	cr_assert_null(config_find_enclave(config, 19));
	cr_assert_null(config_find_enclave(config, UINT32_MAX));
	config_release(config);
}

static char *print(const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	config_print(config, out);
	fclose(out);
	return text;
}

Test(hostd_config, prints_what_it_reads_again_as_the_same)
{
	static const char *const texts[] = {
		sample,
		"listen unix:@name cid=4\nenclave a cid=4\n limit rate=7/s\n upstream "
		"socks5://[::1]:1080\n allow [2001:db8::/32]:1,5-9\n allow *\nmetrics "
		"tcp:[::1]:80\n"
		"workers 3\nresolver system\ntimeout drain=0\n",
		"listen vsock:any:1-2\nenclave a cid=4\n allow * to=::ffff:10.0.0.0/104\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct config *config = parse(texts[i]);
		char *once = print(config);
		struct config *again = parse(once);
		char *twice = print(again);
		cr_assert_str_eq(once, twice);
		config_release(config);
		config_release(again);
		free(once);
		free(twice);
	}
}

struct refusal {
	const char *text;
	unsigned line;
	unsigned column;
	const char *token;
	const char *reason; // a part of it
};

#define TOP "listen unix:/a cid=1\n"
#define WEB TOP "enclave web cid=2\n"

static const struct refusal refusals[] = {
	{"", 1, 1, "", "no listen"},
	{"enclave a cid=1\n", 1, 1, "", "no listen"},
	{TOP "lissen vsock:any:9000\n", 2, 1, "lissen", "unknown directive"},
	{TOP "  allow *\n", 2, 3, "allow", "below an enclave"},
	{WEB "workers 2\n  allow *\n", 4, 3, "allow", "below an enclave"},
	{WEB "allow *\n", 3, 1, "allow", "unknown directive"},
	{WEB "  workers 2\n", 3, 3, "workers", "unknown directive"},
	{TOP "workers 1\nworkers 1\n", 3, 1, "workers", "second time"},
	{TOP "log info\nlog info\n", 3, 1, "log", "second time"},
	{TOP "timeout dial=1s\ntimeout idle=1s\n", 3, 1, "timeout", "second time"},
	{TOP "admin unix:/a\nadmin unix:/b\n", 3, 1, "admin", "second time"},
	{TOP "metrics tcp:127.0.0.1:1\nmetrics tcp:127.0.0.1:1\n", 3, 1, "metrics", "second time"},
	{TOP "resolver system\nresolver system\n", 3, 1, "resolver", "second time"},
	{WEB " limit rate=1/s\n limit connections=1\n", 4, 2, "limit", "second time"},
	{WEB " upstream direct\n upstream direct\n", 4, 2, "upstream", "second time"},
	{"listen\n", 1, 1, "listen", "needs more"},
	{"listen unix:/a\n", 1, 8, "unix:/a", "cid="},
	{"listen unix:/a mode=0660\n", 1, 8, "unix:/a", "cid="},
	{"listen unix:/a cid=1 cid=2\n", 1, 22, "cid", "second time"},
	{"listen unix:/a cid=x\n", 1, 20, "x", "CID"},
	{"listen unix:/a cid=\n", 1, 20, "", "CID"},
	{"listen unix:/a cid=4294967295\n", 1, 20, "4294967295", "CID"},
	{"listen unix:/a cid=1 mode=0999\n", 1, 27, "0999", "permission"},
	{"listen unix:/a cid=1 mode=07777\n", 1, 27, "07777", "permission"},
	{"listen unix:/a cid=1 mode=\n", 1, 27, "", "permission"},
	{"listen vsock:any:9000 cid=1\n", 1, 23, "cid=1", "unix"},
	{"listen vsock:any:9000 mode=0600\n", 1, 23, "mode=0600", "unix"},
	{"listen vsock:any:9000 color=1\n", 1, 23, "color", "unknown key"},
	{"listen vsock:any:9000-8999\n", 1, 0, NULL, ""},
	{"listen tcp:1.2.3.4:80\n", 1, 0, NULL, ""},
	{TOP "listen unix:/a cid=2\n", 2, 8, "unix:/a", "line 1"},
	{"listen vsock:any:1-9\nlisten vsock:3:9-12\n", 2, 8, "vsock:3:9-12", "line 1"},
	{"listen vsock:3:9-12\nlisten vsock:any:1-9\n", 2, 8, "vsock:any:1-9", "line 1"},
	{TOP "workers 0\n", 2, 9, "0", "expected auto"},
	{TOP "workers 257\n", 2, 9, "257", "expected auto"},
	{TOP "workers -1\n", 2, 9, "-1", "expected auto"},
	{TOP "workers 1 2\n", 2, 11, "2", "too many"},
	{TOP "enclave web\n", 2, 9, "web", "needs more"},
	{TOP "enclave cid=1 web\n", 2, 9, "cid=1", "letters"},
	{TOP "enclave w/b cid=1\n", 2, 9, "w/b", "letters"},
	{TOP "enclave web cids=1\n", 2, 13, "cids", "unknown key"},
	{TOP "enclave web cid=\n", 2, 17, "", "CID"},
	{TOP "enclave web cid=1,\n", 2, 19, "", "CID"},
	{TOP "enclave web cid=1,,2\n", 2, 19, "", "CID"},
	{TOP "enclave web cid=1-3\n", 2, 17, "1-3", "CID"},
	{TOP "enclave web cid=1,1\n", 2, 19, "1", "web"},
	{WEB "enclave other cid=7,2\n", 3, 21, "2", "web"},
	{WEB "enclave web cid=7\n", 3, 9, "web", "line 2"},
	{WEB " allow\n", 3, 2, "allow", "needs more"},
	{WEB " allow a.example b.example\n", 3, 18, "b.example", "KEY=VALUE"},
	{WEB " allow a.example:0\n", 3, 0, NULL, ""},
	{WEB " allow a.example:9-8\n", 3, 0, NULL, ""},
	{WEB " allow a.example:\n", 3, 0, NULL, ""},
	{WEB " allow a.example:65536\n", 3, 0, NULL, ""},
	{WEB " allow 10.0.0.1/8\n", 3, 0, NULL, ""},
	{WEB " allow 10.0.0.0/33\n", 3, 0, NULL, ""},
	{WEB " allow 010.0.0.1\n", 3, 0, NULL, ""},
	{WEB " allow 2130706433\n", 3, 0, NULL, ""},
	{WEB " allow *example.com\n", 3, 0, NULL, ""},
	{WEB " allow 10.0.0.0/8 to=10.0.0.0/8\n", 3, 0, NULL, "names"},
	{WEB " allow 10.0.0.1:5 to=10.0.0.0/8\n", 3, 0, NULL, "names"},
	{WEB " deny a.example to=10.0.0.0/8\n", 3, 0, NULL, "allow rules"},
	{WEB " allow a.example to=\n", 3, 21, "", ""},
	{WEB " allow a.example to=10.0.0.0/8,\n", 3, 32, "", ""},
	{WEB " allow a.example to=b.example\n", 3, 0, NULL, ""},
	{WEB " allow a.example to=10.0.0.0/8 to=10.0.0.0/8\n", 3, 32, "to=10.0.0.0/8", "too many"},
	{WEB " limit connections=0\n", 3, 20, "0", "from 1"},
	{WEB " limit connections=5/s\n", 3, 20, "5/s", "from 1"},
	{WEB " limit rate=5\n", 3, 13, "5", "500/s"},
	{WEB " limit rate=/s\n", 3, 13, "", "from 1"},
	{WEB " limit bytes=5\n", 3, 8, "bytes", "unknown key"},
	{WEB " limit rate=1/s rate=2/s\n", 3, 17, "rate", "second time"},
	{WEB " upstream ftp://a:1\n", 3, 11, "ftp://a:1", "direct"},
	{WEB " upstream http://a\n", 3, 18, "a", ":PORT"},
	{WEB " upstream http://a:0\n", 3, 20, "0", "port"},
	{WEB " upstream http://a:1/\n", 3, 20, "1/", "port"},
	{WEB " upstream http://u:p@a:1\n", 3, 18, "u:p@a:1", "brackets"},
	{WEB " upstream socks5://::1:1080\n", 3, 20, "::1:1080", "brackets"},
	{WEB " upstream socks5://[::1:1080\n", 3, 20, "[::1:1080", "closes"},
	{WEB " upstream socks5://:1080\n", 3, 0, NULL, ""},
	{TOP "timeout dial=0\n", 2, 14, "0", "zero"},
	{TOP "timeout idle=0s\n", 2, 14, "0s", "zero"},
	{TOP "timeout dial=5\n", 2, 14, "5", "time"},
	{TOP "timeout dial=5s dial=6s\n", 2, 17, "dial", "second time"},
	{TOP "timeout read=5s\n", 2, 9, "read", "unknown key"},
	{TOP "timeout 5s\n", 2, 9, "5s", "KEY=VALUE"},
	{TOP "metrics 127.0.0.1:9464\n", 2, 9, "127.0.0.1:9464", "tcp:"},
	{TOP "metrics tcp:127.0.0.1\n", 2, 13, "127.0.0.1", ":PORT"},
	{TOP "metrics tcp:localhost:1\n", 2, 0, NULL, ""},
	{TOP "metrics tcp:0x7f.1:1\n", 2, 0, NULL, ""},
	{TOP "admin vsock:3:9000\n", 2, 7, "vsock:3:9000", "unix:PATH"},
	{TOP "admin unix:@admin\n", 2, 7, "unix:@admin", "unix:PATH"},
	{TOP "resolver\n", 2, 1, "resolver", "needs more"},
	{TOP "resolver system 10.0.0.1\n", 2, 10, "system", ""},
	{TOP "resolver dns.example\n", 2, 10, "dns.example", ""},
	{TOP "resolver 10.0.0.1:99999\n", 2, 19, "99999", "port"},
	{TOP "log verbose\n", 2, 5, "verbose", "expected"},
};

Test(hostd_config, refuses_with_the_place_and_the_token)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *refusal = &refusals[i];
		struct conf_error error = {0};
		struct config *config = config_parse(refusal->text, strlen(refusal->text), &error);
		cr_expect_null(config, "accepted: %s", refusal->text);
		if (config) {
			config_release(config);
			continue;
		}
		cr_expect_eq(
			error.line, refusal->line, "line %u for: %s", error.line, refusal->text);
		if (refusal->column)
			cr_expect_eq(error.column, refusal->column, "column %u for: %s",
				error.column, refusal->text);
		if (refusal->token)
			cr_expect_str_eq(error.token, refusal->token, "token %s for: %s",
				error.token, refusal->text);
		cr_expect(strstr(error.reason, refusal->reason), "reason `%s' for: %s",
			error.reason, refusal->text);
		cr_expect(error.reason[0] != '\0' && error.column > 0, "%s", refusal->text);
	}
}

Test(hostd_config, reads_many_enclaves_and_rules)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	fputs("listen vsock:any:9000\n", out);
	for (unsigned e = 0; e < 40; e++) {
		fprintf(out, "enclave e%u cid=%u,%u\n", e, 100 + 2 * e, 101 + 2 * e);
		for (unsigned r = 0; r < 33; r++)
			fprintf(out, "  allow r%u.example:%u to=10.%u.0.0/16\n", r, r + 1, r);
	}
	fclose(out);
	struct config *config = parse(text);
	cr_assert_eq(config->enclave_count, 40);
	cr_assert_eq(config->enclaves[39].rule_count, 33);
	cr_assert_str_eq(config->enclaves[39].rules[32].pattern.name, "r32.example");
	cr_assert_eq(config->enclaves[20].rules[7].to[0].base.bytes[1], 7);
	cr_assert_str_eq(config_find_enclave(config, 179)->name, "e39");
	config_release(config);
	free(text);
}

Test(hostd_config, lives_until_the_last_reference_goes)
{
	struct config *config = parse(sample);
	cr_assert_eq(config_hold(config), config);
	config_release(config);
	cr_assert_str_eq(config->enclaves[0].name, "web");
	config_release(config);
	config_release(NULL);
}

Test(hostd_config, names_the_file_in_what_it_says_about_it)
{
	char message[512];
	cr_assert_null(config_load("/nonexistent/hostd.conf", message, sizeof(message)));
	cr_assert_str_eq(message, "/nonexistent/hostd.conf: No such file or directory");

	char path[] = "/tmp/airlock-config-XXXXXX";
	int fd = mkstemp(path);
	static const char text[] = "listen unix:/a cid=1\nworkers many\n";
	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	cr_assert_null(config_load(path, message, sizeof(message)));
	cr_assert(strncmp(message, path, strlen(path)) == 0 && strstr(message, ":2:9: ") &&
			  strstr(message, "many"),
		"%s", message);
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_assert_eq(pwrite(fd, "listen unix:/a cid=1\n", 21, 0), 21);
	struct config *config = config_load(path, message, sizeof(message));
	cr_assert(config, "%s", message);
	config_release(config);
	cr_assert_eq(ftruncate(fd, 1024 * 1024 + 1), 0);
	cr_assert_null(config_load(path, message, sizeof(message)));
	cr_assert(strstr(message, "File too large"), "%s", message);
	close(fd);
	unlink(path);
}

Test(hostd_config, accepts_the_sample_that_is_installed)
{
	char message[512];
	struct config *config = config_load("man/examples/hostd.conf", message, sizeof(message));
	cr_assert(config, "%s", message);
	cr_assert_gt(config->enclave_count, 0);
	config_release(config);
}
