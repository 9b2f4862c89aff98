// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostd/explain.h"

static const char text[] = "listen unix:/a cid=16\n"
			   "enclave web cid=16\n"
			   "  allow *.example.com:443\n"
			   "  allow db.internal:5432 to=10.0.0.0/8\n"
			   "  allow 127.0.0.1:8000-8100\n"
			   "  deny *.evil.example.com\n"
			   "  deny 8.8.8.0/24\n"
			   "  allow *:80\n"
			   "enclave proxied cid=17\n"
			   "  allow *\n"
			   "  upstream http://proxy.corp:3128\n"
			   "enclave silent cid=18\n";

struct explanation {
	int status;
	char *out;
	char *errors;
};

static struct explanation explain(const char *cid, const char *destination)
{
	struct explanation result = {0};
	struct conf_error error;
	size_t out_size;
	size_t errors_size;
	struct config *config = config_parse(text, sizeof(text) - 1, &error);
	cr_assert(config);
	FILE *out = open_memstream(&result.out, &out_size);
	FILE *errors = open_memstream(&result.errors, &errors_size);
	result.status = explain_destination(config, cid, destination, out, errors);
	fclose(out);
	fclose(errors);
	config_release(config);
	return result;
}

struct explain_case {
	const char *cid;
	const char *destination;
	int status;
	const char *words[3]; // each is in the answer
};

static const struct explain_case cases[] = {
	{"16", "www.example.com:443", 0,
		{"enclave: web, line 2", "allowed: line 3: allow *.example.com:443\n",
			"  line 7: deny 8.8.8.0/24\n"}},
	{"16", "WWW.Example.com.:443", 0, {"line 3"}},
	{"16", "x.evil.example.com:443", 1, {"denied: line 6: deny *.evil.example.com\n"}},
	{"16", "db.internal:5432", 0,
		{"  line 4: allow db.internal:5432 to=10.0.0.0/8\n", "every public address"}},
	{"16", "www.example.org:443", 1, {"denied: no rule allows www.example.org port 443\n"}},
	{"16", "127.0.0.1:8000", 0, {"allowed: line 5: allow 127.0.0.1:8000-8100\n"}},
	{"16", "127.0.0.1:80", 1, {"127.0.0.1 is special (loopback)"}},
	{"16", "[::ffff:127.0.0.1]:8000", 0, {"line 5"}},
	{"16", "[::1]:80", 1, {"::1 is special (loopback)"}},
	{"16", "169.254.169.254:80", 1, {"IMDS"}},
	{"16", "8.8.8.8:80", 1, {"denied: line 7: deny 8.8.8.0/24\n"}},
	{"16", "1.1.1.1:80", 0, {"allowed: line 8: allow *:80\n"}},
	{"16", "a.example:80", 0, {"line 8", "  line 7: deny 8.8.8.0/24\n"}},
	{"16", "a.example:8000", 1, {"no rule"}},
	{"17", "a.example:80", 0, {"proxy.corp:3128 resolves the name"}},
	{"18", "a.example:80", 1, {"silent", "no rule"}},
	{"99", "a.example:80", 1, {"no enclave lists CID 99"}},
};

Test(hostd_explain, prints_the_answer_and_the_rule_that_decides)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct explanation got = explain(cases[i].cid, cases[i].destination);
		cr_expect_eq(got.status, cases[i].status, "%s: %d\n%s%s", cases[i].destination,
			got.status, got.out, got.errors);
		cr_expect_str_empty(got.errors);
		for (size_t w = 0; w < ARRAY_SIZE(cases[i].words) && cases[i].words[w]; w++)
			cr_expect(strstr(got.out, cases[i].words[w]), "%s: no `%s' in:\n%s",
				cases[i].destination, cases[i].words[w], got.out);
		free(got.out);
		free(got.errors);
	}
}

Test(hostd_explain, says_what_is_no_question)
{
	static const char *const questions[][2] = {
		{"x", "a.example:80"},
		{"-1", "a.example:80"},
		{"4294967296", "a.example:80"},
		{"", "a.example:80"},
		{"16", ""},
		{"16", "a.example"},
		{"16", "a.example:"},
		{"16", "a.example:http"},
		{"16", "a.example:0"},
		{"16", "a.example:65536"},
		{"16", ":80"},
		{"16", "a b:80"},
		{"16", "::1:80"},
		{"16", "[::1]"},
		{"16", "[::1:80"},
		{"16", "[127.0.0.1]:80"},
		{"16", "[a.example]:80"},
		{"16", "2130706433:80"},
		{"16", "0x7f000001:80"},
		{"16", "127.1:80"},
		{"16", "a..example:80"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		struct explanation got = explain(questions[i][0], questions[i][1]);
		cr_expect_eq(got.status, 2, "%s %s", questions[i][0], questions[i][1]);
		cr_expect_str_empty(got.out);
		cr_expect(strchr(got.errors, '\n'), "%s %s", questions[i][0], questions[i][1]);
		free(got.out);
		free(got.errors);
	}
}
