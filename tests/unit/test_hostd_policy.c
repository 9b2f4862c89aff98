// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "hostd/address_class.h"
#include "hostd/policy.h"

// The enclave that a few indented lines describe.
static struct config *make(const char *rules)
{
	char text[2048];
	char message[512];
	struct conf_error error;
	snprintf(text, sizeof(text), "listen unix:/a cid=1\nenclave e cid=1\n%s", rules);
	struct config *config = config_parse(text, strlen(text), &error);
	cr_assert(config, "%s", conf_error_format(&error, "test", message, sizeof(message)));
	return config;
}

static struct address address_of(const char *text)
{
	struct address address;
	cr_assert(address_parse(text, strlen(text), &address, NULL), "%s", text);
	return address;
}

static bool allows_name(const struct config *config, const char *name, uint16_t port)
{
	struct policy_decision decision;
	policy_check_name(&config->enclaves[0], name, port, &decision);
	cr_expect(decision.reason[0] != '\0');
	return decision.is_allowed;
}

static bool allows_literal(const struct config *config, const char *text, uint16_t port)
{
	struct policy_decision decision;
	struct address address = address_of(text);
	policy_check_literal(&config->enclaves[0], &address, port, &decision);
	cr_expect(decision.reason[0] != '\0');
	return decision.is_allowed;
}

// The name is asked first, as hostd does; false when even that is denied.
static bool allows_resolved(
	const struct config *config, const char *name, const char *text, uint16_t port)
{
	struct policy_decision decision;
	struct address address = address_of(text);
	policy_check_name(&config->enclaves[0], name, port, &decision);
	if (!decision.is_allowed)
		return false;
	const struct rule *rule = decision.rule;
	policy_check_resolved(&config->enclaves[0], rule, name, &address, port, &decision);
	cr_expect(decision.reason[0] != '\0');
	return decision.is_allowed;
}

// ---------------------------------------------------------------- special addresses

struct special {
	const char *text;
	const char *class;
};

static const struct special specials[] = {
	{"0.0.0.0", "this network"},
	{"0.1.2.3", "this network"},
	{"10.0.0.0", "private"},
	{"10.255.255.255", "private"},
	{"100.64.0.0", "shared (CGNAT)"},
	{"100.127.255.255", "shared (CGNAT)"},
	{"127.0.0.1", "loopback"},
	{"127.255.255.254", "loopback"},
	{"169.254.0.1", "link-local"},
	{"169.254.169.253", "link-local"},
	{"169.254.169.254", "IMDS"},
	{"169.254.170.2", "ECS credentials"},
	{"169.254.170.23", "EKS credentials"},
	{"172.16.0.0", "private"},
	{"172.31.255.255", "private"},
	{"192.0.0.1", "IETF protocols"},
	{"192.0.0.170", "IETF protocols"},
	{"192.0.2.1", "documentation"},
	{"192.88.99.1", "6to4 relay anycast"},
	{"192.168.0.0", "private"},
	{"192.168.255.255", "private"},
	{"198.18.0.0", "benchmarking"},
	{"198.19.255.255", "benchmarking"},
	{"198.51.100.7", "documentation"},
	{"203.0.113.7", "documentation"},
	{"224.0.0.1", "multicast"},
	{"239.255.255.255", "multicast"},
	{"240.0.0.1", "reserved"},
	{"255.255.255.254", "reserved"},
	{"255.255.255.255", "broadcast"},
	{"::", "unspecified"},
	{"::1", "loopback"},
	{"::2", "IPv4-compatible"},
	{"::7f00:1", "IPv4-compatible"},
	{"::127.0.0.1", "IPv4-compatible"},
	{"::8.8.8.8", "IPv4-compatible"},
	{"::ffff:127.0.0.1", "loopback"},
	{"::ffff:7f00:1", "loopback"},
	{"0:0:0:0:0:ffff:a9fe:a9fe", "IMDS"},
	{"::ffff:169.254.169.254", "IMDS"},
	{"::ffff:0.0.0.0", "this network"},
	{"::ffff:10.0.0.1", "private"},
	{"::ffff:0:8.8.8.8", "IPv4-translated"},
	{"64:ff9b::8.8.8.8", "NAT64"},
	{"64:ff9b::a9fe:a9fe", "NAT64"},
	{"64:ff9b:1::1", "local NAT64"},
	{"64:ff9b:1:ffff::a9fe:a9fe", "local NAT64"},
	{"64:ff9b:2::1", "reserved"},
	{"100::1", "discard-only"},
	{"100:0:0:1::1", "reserved"},
	{"2001::1", "Teredo"},
	{"2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"},
	{"2001:2::1", "IETF protocols"},
	{"2001:20::1", "IETF protocols"},
	{"2001:1ff:ffff::1", "IETF protocols"},
	{"2001:db8::1", "documentation"},
	{"2002::1", "6to4"},
	{"2002:7f00:1::1", "6to4"},
	{"2002:808:808::1", "6to4"},
	{"1000::1", "reserved"},
	{"1fff:ffff::1", "reserved"},
	{"3fff::1", "documentation"},
	{"3fff:fff:ffff::1", "documentation"},
	{"4000::1", "reserved"},
	{"5f00::1", "SRv6 SIDs"},
	{"8000::1", "reserved"},
	{"fc00::1", "unique local"},
	{"fd00::1", "unique local"},
	{"fd00:ec2::254", "IMDS"},
	{"fd00:ec2::23", "EKS credentials"},
	{"fd00:ec2::253", "unique local"},
	{"fe80::1", "link-local"},
	{"febf:ffff::1", "link-local"},
	{"fec0::1", "site-local"},
	{"feff::1", "site-local"},
	{"ff02::1", "multicast"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"},
};

static const char *const publics[] = {
	"1.0.0.0",
	"1.1.1.1",
	"8.8.8.8",
	"9.255.255.255",
	"11.0.0.0",
	"100.63.255.255",
	"100.128.0.0",
	"126.255.255.255",
	"128.0.0.0",
	"169.253.255.255",
	"169.255.0.0",
	"172.15.255.255",
	"172.32.0.0",
	"191.255.255.255",
	"192.0.1.0",
	"192.0.3.0",
	"192.88.98.255",
	"192.88.100.0",
	"192.167.255.255",
	"192.169.0.0",
	"198.17.255.255",
	"198.20.0.0",
	"203.0.112.255",
	"223.255.255.255",
	"::ffff:8.8.8.8",
	"2000::1",
	"2001:200::1",
	"2001:db7:ffff::1",
	"2001:db9::1",
	"2001:4860:4860::8888",
	"2003::1",
	"2600:1f18::1",
	"3ffe::1",
};

Test(hostd_policy, classifies_every_special_address_by_its_name)
{
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		struct address address = address_of(specials[i].text);
		const struct address_class *class = address_class_find(&address);
		cr_expect_str_eq(class ? class->name : "public", specials[i].class, "%s is %s",
			specials[i].text, class ? class->name : "public");
	}
}

Test(hostd_policy, star_reaches_every_public_address)
{
	struct config *config = make("  allow *\n");
	for (size_t i = 0; i < ARRAY_SIZE(publics); i++) {
		cr_expect(allows_literal(config, publics[i], 443), "%s", publics[i]);
		cr_expect(allows_resolved(config, "a.example", publics[i], 443), "%s", publics[i]);
	}
	config_release(config);
}

Test(hostd_policy, star_and_wide_blocks_and_names_reach_no_special_address)
{
	static const char *const rules[] = {
		"  allow *\n",
		"  allow *\n  allow 0.0.0.0/0\n  allow ::/0\n",
		"  allow *\n  allow 128.0.0.0/1\n  allow 0.0.0.0/1\n  allow ::/2\n",
		"  allow *\n  allow c000::/2\n",
		"  allow a.example\n",
		"  allow *.example to=0.0.0.0/0,::/0\n",
	};
	for (size_t r = 0; r < ARRAY_SIZE(rules); r++) {
		struct config *config = make(rules[r]);
		for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
			const char *text = specials[i].text;
			cr_expect_not(allows_literal(config, text, 80), "%s: %s", rules[r], text);
			cr_expect_not(allows_resolved(config, "a.example", text, 80), "%s: %s",
				rules[r], text);
		}
		config_release(config);
	}
}

// The address alone, as a block of one, names it, unless it carries a second special one.
Test(hostd_policy, every_special_address_is_reached_by_naming_it)
{
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		const char *text = specials[i].text;
		char rules[128];
		struct address address = address_of(text);
		struct address embedded;
		bool is_double = address_class_embedded(&address, &embedded) &&
				 address_class_find(&embedded);
		snprintf(rules, sizeof(rules), "  allow %s%s%s:80\n  allow a.example\n",
			strchr(text, ':') ? "[" : "", text, strchr(text, ':') ? "]" : "");
		struct config *config = make(rules);
		cr_expect_eq(allows_literal(config, text, 80), !is_double, "%s", text);
		cr_expect_eq(
			allows_resolved(config, "a.example", text, 80), !is_double, "%s", text);
		cr_expect_not(allows_literal(config, text, 81), "%s", text);
		cr_expect_not(allows_resolved(config, "a.example", text, 81), "%s", text);
		config_release(config);

		snprintf(rules, sizeof(rules), "  allow a.example to=%s\n", text);
		config = make(rules);
		cr_expect_eq(
			allows_resolved(config, "a.example", text, 80), !is_double, "%s", text);
		cr_expect_not(allows_literal(config, text, 80), "%s", text);
		config_release(config);
	}
}

// ---------------------------------------------------------------- tables of questions

enum how {
	NAME,
	LITERAL,
	RESOLVED,
};

struct question {
	const char *rules;
	enum how how;
	const char *host; // of RESOLVED: the name
	const char *address;
	uint16_t port;
	bool is_allowed;
};

#define WEB                                                                                        \
	"  allow *.example.com:443\n  allow db.internal:5432 to=10.0.0.0/8\n"                      \
	"  allow 127.0.0.1:8000-8100\n  deny *.evil.example.com\n"
#define NAT64 "  allow * to=64:ff9b::/96\n"

static const struct question questions[] = {
	// nothing is allowed by nothing
	{"", NAME, "a.example", NULL, 443, false},
	{"", LITERAL, NULL, "8.8.8.8", 443, false},
	{"", LITERAL, NULL, "127.0.0.1", 443, false},
	{"  deny b.example\n", NAME, "a.example", NULL, 443, false},
	{"  limit rate=5/s\n", NAME, "a.example", NULL, 443, false},

	// the documented sample
	{WEB, NAME, "www.example.com", NULL, 443, true},
	{WEB, NAME, "a.b.example.com", NULL, 443, true},
	{WEB, NAME, "example.com", NULL, 443, false},
	{WEB, NAME, "notexample.com", NULL, 443, false},
	{WEB, NAME, "www.example.com.evil.net", NULL, 443, false},
	{WEB, NAME, "www.example.com", NULL, 80, false},
	{WEB, NAME, "x.evil.example.com", NULL, 443, false},
	{WEB, NAME, "db.internal", NULL, 5432, true},
	{WEB, NAME, "db.internal", NULL, 5433, false},
	{WEB, RESOLVED, "db.internal", "10.1.2.3", 5432, true},
	{WEB, RESOLVED, "db.internal", "::ffff:10.1.2.3", 5432, true},
	{WEB, RESOLVED, "db.internal", "8.8.8.8", 5432, true},
	{WEB, RESOLVED, "db.internal", "192.168.1.1", 5432, false},
	{WEB, RESOLVED, "db.internal", "127.0.0.1", 5432, false},
	{WEB, RESOLVED, "db.internal", "169.254.169.254", 5432, false},
	{WEB, RESOLVED, "www.example.com", "10.1.2.3", 443, false},
	{WEB, RESOLVED, "www.example.com", "93.184.216.34", 443, true},
	{WEB, RESOLVED, "www.example.com", "169.254.169.254", 443, false},
	{WEB, LITERAL, NULL, "127.0.0.1", 8000, true},
	{WEB, LITERAL, NULL, "127.0.0.1", 8100, true},
	{WEB, LITERAL, NULL, "::ffff:127.0.0.1", 8050, true},
	{WEB, LITERAL, NULL, "127.0.0.1", 7999, false},
	{WEB, LITERAL, NULL, "127.0.0.1", 8101, false},
	{WEB, LITERAL, NULL, "127.0.0.2", 8000, false},
	{WEB, LITERAL, NULL, "::1", 8000, false},
	{WEB, LITERAL, NULL, "10.1.2.3", 5432, false},     // to= is for the name alone
	{WEB, LITERAL, NULL, "93.184.216.34", 443, false}, // a name rule matches no literal

	// spellings that other readers take for addresses are no names
	{"  allow *\n", NAME, "2130706433", NULL, 80, false},
	{"  allow *\n", NAME, "0x7f000001", NULL, 80, false},
	{"  allow *\n", NAME, "0x7f.0.0.1", NULL, 80, false},
	{"  allow *\n", NAME, "0177.0.0.1", NULL, 80, false},
	{"  allow *\n", NAME, "017700000001", NULL, 80, false},
	{"  allow *\n", NAME, "127.1", NULL, 80, false},
	{"  allow *\n", NAME, "127.0.0.1", NULL, 80, false},
	{"  allow *\n", NAME, "169.254.169.254", NULL, 80, false},
	{"  allow *\n", NAME, "a.0x1", NULL, 80, false},
	{"  allow *\n", NAME, "::1", NULL, 80, false},
	{"  allow *\n", NAME, "[::1]", NULL, 80, false},
	{"  allow *\n", NAME, "", NULL, 80, false},
	{"  allow *\n", NAME, ".", NULL, 80, false},
	{"  allow *\n", NAME, "a.example.", NULL, 80, false},
	{"  allow *\n", NAME, "A.example", NULL, 80, false},
	{"  allow *\n", NAME, "a..example", NULL, 80, false},
	{"  allow *\n", NAME, "a example", NULL, 80, false},
	{"  allow *\n", NAME, "127.0.0.1.nip.example", NULL, 80, true},
	{"  allow *\n", RESOLVED, "127.0.0.1.nip.example", "127.0.0.1", 80, false},
	{"  allow *\n", NAME, "localhost", NULL, 80, true},
	{"  allow *\n", RESOLVED, "localhost", "127.0.0.1", 80, false},
	{"  allow *\n", RESOLVED, "localhost", "::1", 80, false},

	// deny comes first, wherever it stands, and holds for addresses that names resolve to
	{"  allow *\n  deny a.example\n", NAME, "a.example", NULL, 80, false},
	{"  deny a.example\n  allow *\n", NAME, "a.example", NULL, 80, false},
	{"  allow a.example\n  deny *\n", NAME, "a.example", NULL, 80, false},
	{"  allow *\n  deny *:25\n", NAME, "a.example", NULL, 25, false},
	{"  allow *\n  deny *:25\n", LITERAL, NULL, "8.8.8.8", 25, false},
	{"  allow *\n  deny *:25\n", LITERAL, NULL, "8.8.8.8", 26, true},
	{"  allow *\n  deny 8.8.8.0/24\n", LITERAL, NULL, "8.8.8.8", 80, false},
	{"  allow *\n  deny 8.8.8.0/24\n", LITERAL, NULL, "::ffff:8.8.8.8", 80, false},
	{"  allow *\n  deny 8.8.8.0/24\n", RESOLVED, "a.example", "8.8.8.8", 80, false},
	{"  allow *\n  deny 8.8.8.0/24:25\n", RESOLVED, "a.example", "8.8.8.8", 25, false},
	{"  allow *\n  deny 8.8.8.0/24:25\n", RESOLVED, "a.example", "8.8.8.8", 80, true},
	{"  allow *\n  deny 2600::/12\n", RESOLVED, "a.example", "2600:1f18::1", 80, false},
	{"  allow * to=10.0.0.0/8\n  deny 10.9.0.0/16\n", RESOLVED, "a.example", "10.9.1.1", 80,
		false},
	{"  allow * to=10.0.0.0/8\n  deny 10.9.0.0/16\n", RESOLVED, "a.example", "10.8.1.1", 80,
		true},
	{"  allow 10.0.0.0/8\n  deny 10.9.0.0/16\n", LITERAL, NULL, "10.9.1.1", 80, false},
	{"  allow 10.0.0.0/8\n  deny 10.9.0.0/16\n", LITERAL, NULL, "10.8.1.1", 80, true},
	{"  allow *\n  deny a.example\n", LITERAL, NULL, "8.8.8.8", 80, true},

	// every allow rule for the name and the port says what it may resolve into
	{"  allow *\n  allow a.example to=10.0.0.0/8\n", RESOLVED, "a.example", "10.0.0.1", 80,
		true},
	{"  allow *\n  allow a.example to=10.0.0.0/8\n", RESOLVED, "b.example", "10.0.0.1", 80,
		false},
	{"  allow a.example to=10.0.0.0/8\n  allow *\n", RESOLVED, "a.example", "10.0.0.1", 80,
		true},
	{"  allow *\n  allow a.example:80 to=10.0.0.0/8\n", RESOLVED, "a.example", "10.0.0.1", 81,
		false},
	{"  allow a.example to=10.0.0.0/8\n  allow *.example to=fd00::/8\n", RESOLVED, "a.example",
		"fd00::1", 80, true},
	{"  allow a.example to=10.0.0.0/8\n  allow *.example to=fd00::/8\n", RESOLVED, "b.example",
		"10.0.0.1", 80, false},

	// a block names what is no wider than the registry's block
	{"  allow 169.254.0.0/16\n", LITERAL, NULL, "169.254.1.1", 80, true},
	{"  allow 169.254.0.0/16\n", LITERAL, NULL, "169.254.169.254", 80, false},
	{"  allow 169.254.169.254\n", LITERAL, NULL, "169.254.169.254", 80, true},
	{"  allow fc00::/7\n", LITERAL, NULL, "fd00:ec2::254", 80, false},
	{"  allow 172.0.0.0/8\n", LITERAL, NULL, "172.16.0.1", 80, false},
	{"  allow 172.0.0.0/8\n", LITERAL, NULL, "172.32.0.1", 80, true},
	{"  allow 172.16.0.0/12\n", LITERAL, NULL, "172.16.0.1", 80, true},
	{"  allow ::ffff:10.0.0.0/104\n", LITERAL, NULL, "10.0.0.1", 80, true},
	{"  allow * to=::ffff:10.0.0.0/104\n", RESOLVED, "a.example", "10.0.0.1", 80, true},

	// an embedded address needs its own name as well, and meets the deny rules
	{NAT64, RESOLVED, "a.example", "64:ff9b::8.8.8.8", 80, true},
	{NAT64, RESOLVED, "a.example", "64:ff9b::10.0.0.1", 80, false},
	{NAT64, RESOLVED, "a.example", "64:ff9b::a9fe:a9fe", 80, false},
	{NAT64 "  deny 8.8.8.8\n", RESOLVED, "a.example", "64:ff9b::8.8.8.8", 80, false},
	{"  allow * to=64:ff9b::/96,10.0.0.0/8\n", RESOLVED, "a.example", "64:ff9b::10.0.0.1", 80,
		true},
	{"  allow [64:ff9b::/96]:80\n", LITERAL, NULL, "64:ff9b::8.8.8.8", 80, true},
	{"  allow [64:ff9b::/96]:80\n", LITERAL, NULL, "64:ff9b::127.0.0.1", 80, false},
	{"  allow 64:ff9b::/96\n  allow 127.0.0.0/8:80\n", LITERAL, NULL, "64:ff9b::127.0.0.1", 80,
		true},
	{"  allow 64:ff9b::/96\n  allow 127.0.0.0/8:80\n", LITERAL, NULL, "64:ff9b::127.0.0.1", 81,
		false},
	{"  allow 2002::/16\n", LITERAL, NULL, "2002:808:808::1", 80, true},
	{"  allow 2002::/16\n", LITERAL, NULL, "2002:a9fe:a9fe::1", 80, false},
	{"  allow 2002::/16\n  deny 8.8.8.8\n", LITERAL, NULL, "2002:808:808::1", 80, false},
	{"  allow 127.0.0.1\n", LITERAL, NULL, "::127.0.0.1", 80, false},
};

Test(hostd_policy, answers_every_question_of_the_table)
{
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const struct question *question = &questions[i];
		struct config *config = make(question->rules);
		bool is_allowed = false;
		switch (question->how) {
		case NAME:
			is_allowed = allows_name(config, question->host, question->port);
			break;
		case LITERAL:
			is_allowed = allows_literal(config, question->address, question->port);
			break;
		case RESOLVED:
			cr_expect(allows_name(config, question->host, question->port));
			is_allowed = allows_resolved(
				config, question->host, question->address, question->port);
			break;
		}
		cr_expect_eq(is_allowed, question->is_allowed, "%s %s port %u with\n%s",
			question->host ? question->host : "",
			question->address ? question->address : "", question->port,
			question->rules);
		config_release(config);
	}
}

Test(hostd_policy, says_which_rule_decided)
{
	struct config *config = make(WEB);
	struct policy_decision decision;
	policy_check_name(&config->enclaves[0], "x.evil.example.com", 443, &decision);
	cr_assert_eq(decision.rule, &config->enclaves[0].rules[3]);
	cr_assert_str_eq(decision.reason, "line 6: deny *.evil.example.com");
	policy_check_name(&config->enclaves[0], "www.example.com", 443, &decision);
	cr_assert_eq(decision.rule, &config->enclaves[0].rules[0]);
	policy_check_name(&config->enclaves[0], "www.example.org", 443, &decision);
	cr_assert_null(decision.rule);
	cr_assert_str_eq(decision.reason, "no rule allows www.example.org port 443");
	struct address imds = address_of("::ffff:169.254.169.254");
	policy_check_resolved(&config->enclaves[0], &config->enclaves[0].rules[0],
		"www.example.com", &imds, 443, &decision);
	cr_assert_null(decision.rule);
	cr_assert_str_eq(decision.reason, "169.254.169.254 is special (IMDS) and no rule names it");
	config_release(config);
}

Test(hostd_policy, lets_a_name_be_looked_up_when_some_port_is_open)
{
	static const struct {
		const char *rules;
		const char *name;
		bool is_allowed;
	} cases[] = {
		{"", "a.example", false},
		{"  allow *\n", "a.example", true},
		{"  allow *\n", "2130706433", false},
		{"  allow a.example:443\n", "a.example", true},
		{"  allow a.example:443\n", "b.example", false},
		{"  allow 10.0.0.0/8\n", "a.example", false},
		{"  allow *\n  deny a.example\n", "a.example", false},
		{"  allow *\n  deny a.example\n", "b.example", true},
		{"  allow *\n  deny *:25\n", "a.example", true},
		{"  allow *:25\n  deny *:25\n", "a.example", false},
		{"  allow *:25,80\n  deny *:25\n", "a.example", true},
		{"  allow *:20-30\n  deny *:20-24\n  deny a.example:25-30\n", "a.example", false},
		{"  allow *:20-30\n  deny *:20-24\n  deny a.example:26-30\n", "a.example", true},
		{"  allow *:20-30\n  deny *:25-65535\n  deny a.example:1-24\n", "a.example", false},
		{"  allow *:65535\n  deny *:65535\n", "a.example", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct config *config = make(cases[i].rules);
		cr_expect_eq(policy_may_lookup(&config->enclaves[0], cases[i].name),
			cases[i].is_allowed, "%s with\n%s", cases[i].name, cases[i].rules);
		config_release(config);
	}
}
