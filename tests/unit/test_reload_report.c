// SPDX-License-Identifier: BSD-3-Clause
// control/reload_report.h: whatever key of the configuration changes, a reload has a word for it,
// and where that word is not "needs a restart" the change reaches the data plane. The keys are the
// loader's own table, so a new one is asked for here without being named.
#include "control/config_schema.h"
#include "control/policy_pb.h"
#include "control/reload_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define VALUE_LEN 128

#define NUMBERS                                                                                    \
	"number = { country = \"49\"; area = \"30\"; }; caller_id = { in = { default = "           \
	"\"+49301\"; }; out = { default = \"+49301\"; }; };"

// Two of everything that a name points to, one of every list.
static const char base[] =
	"lcores = { workers = [ 0 ]; };\n"
	"memory = { huge_mb = 1024; };\n"
	"limits = { registrations = 100; };\n"
	"ports = ( { name = \"xa\"; device = \"net_tap0\"; }, { name = \"xb\"; device = "
	"\"net_tap1\"; } );\n"
	"realms = ( { name = \"west\"; port = \"xa\"; addresses = [ \"10.0.1.254/24\" ]; sip = ( { "
	"} );\n"
	"             registrar = { domains = [ \"tandem.example\" ]; }; " NUMBERS " },\n"
	"           { name = \"east\"; port = \"xb\"; addresses = [ \"10.0.2.254/24\" ]; sip = ( { "
	"} ); } );\n"
	"rules = ( { name = \"r\"; match = \"^0(.*)\"; replace = \"\\\\1\"; },\n"
	"          { name = \"s\"; match = \"^1(.*)\"; replace = \"\\\\1\"; } );\n"
	"plans = ( { name = \"gold\"; rules = { caller = [ \"s\" ]; }; } );\n"
	"subscribers = { " NUMBERS " };\n"
	"trunks = ( { name = \"a\"; realm = \"west\"; " NUMBERS
	" peers = ( { address = \"10.0.1.1\"; } ); },\n"
	"           { name = \"b\"; realm = \"east\"; peers = ( { address = \"10.0.2.1\"; } ); },\n"
	"           { name = \"quiet\"; realm = \"west\"; peers = ( { address = \"10.0.1.99\"; } "
	"); } );\n"
	"groups = ( { name = \"g\"; to = ( { trunk = \"a\"; } ); } );\n"
	"windows = ( { name = \"w\"; periods = ( { days = \"mon-fri\"; } ); } );\n"
	"failovers = ( { name = \"f\"; codes = [ 503 ]; } );\n"
	"route_limits = ( { name = \"l\"; max_calls = 5; } );\n"
	"routes = ( { from = [ \"a\" ]; prefix = \"44\"; to = ( { trunk = \"b\"; } ); } );\n";

// Where a value must fit others, or is one that the table's kinds do not spell. both: what else is
// set for it to have an effect.
static const struct {
	const char *path, *before, *after, *both;
} values[] = {
	{ "lcores.workers", "[ 0 ]", "[ 0, 0 ]" },
	{ "lcores.dsp", NULL },
	{ "limits.registrations", "100", "101" },
	{ "metrics.address", "\"127.0.0.1\"", "\"127.0.0.2\"" },
	{ "dns.servers", "[ \"192.0.2.53\" ]", "[ \"192.0.2.54\" ]" },
	{ "emergency.numbers", "[ \"112\" ]", "[ \"911\" ]" },
	{ "ports.0.name", "\"xa\"", "\"xc\"", "realms.0.port=%s" },
	{ "realms.0.name", "\"west\"", "\"far\"", "trunks.0.realm=%s|trunks.2.realm=%s" },
	{ "realms.0.port", "\"xa\"", "\"xb\"", "realms.0.vlan=7" },
	{ "realms.0.addresses", "[ \"10.0.1.254/24\" ]", "[ \"10.0.1.253/24\" ]" },
	{ "realms.0.advertise", "\"192.0.2.1\"", "\"192.0.2.2\"" },
	{ "realms.0.gateways", "[ \"10.0.1.2\" ]", "[ \"10.0.1.3\" ]" },
	{ "realms.0.media.ports", "[ 16384, 32767 ]", "[ 16384, 40959 ]" },
	{ "realms.0.media.addresses", "[ \"10.0.1.254\" ]", "[ \"10.0.1.253\" ]",
		"realms.0.addresses=[ \"10.0.1.254/24\", \"10.0.1.253/24\" ]" },
	{ "realms.0.registrar.domains", "[ \"one.example\" ]", "[ \"two.example\" ]" },
	{ "realms.0.registrar.algorithms", "[ \"MD5\" ]", "[ \"SHA-256\" ]" },
	{ "realms.0.registrar.max_expires", "3600", "3700" },
	{ "rules.0.name", "\"r\"", "\"q\"" },
	{ "rules.0.match", "\"^00(.*)\"", "\"^01(.*)\"" },
	{ "rules.0.replace", "\"+\\\\1\"", "\"0\\\\1\"" },
	{ "trunks.0.name", "\"a\"", "\"c\"", "routes.0.from=[%s]|groups.0.to.0.trunk=%s" },
	{ "trunks.0.realm", "\"west\"", "\"east\"" },
	{ "trunks.0.peers.0.address", "\"10.0.1.1\"", "\"sip.example.net\"" },
	{ "trunks.0.sources", "[ \"10.0.1.0/28\" ]", "[ \"10.0.1.16/28\" ]" },
	{ "trunks.0.match.listener", "\"10.0.1.254:5060\"", "\"10.0.1.254\"" },
	{ "trunks.0.failover_codes", "[ 503 ]", "[ 503, 500 ]" },
	{ "trunks.0.media.sources", "[ \"10.0.1.0/28\" ]", "[ \"10.0.1.16/28\" ]" },
	{ "trunks.0.auth", "{ username = \"u\"; realm = \"r\"; password = \"one\"; }",
		"{ username = \"u\"; realm = \"r\"; password = \"two\"; }" },
	{ "trunks.0.register", "{ user = \"u\"; domain = \"one.example\"; }",
		"{ user = \"u\"; domain = \"two.example\"; }",
		"trunks.0.auth={ username = \"u\"; realm = \"r\"; password = \"one\"; }" },
	{ "plans.0.rules.caller", "[ \"r\" ]", "[ \"s\" ]" },
	{ "plans.0.rules.callee", "[ \"r\" ]", "[ \"s\" ]" },
	{ "*.rules.in.caller", "[ \"r\" ]", "[ \"s\" ]" },
	{ "*.rules.in.callee", "[ \"r\" ]", "[ \"s\" ]" },
	{ "*.rules.out.caller", "[ \"r\" ]", "[ \"s\" ]" },
	{ "*.rules.out.callee", "[ \"r\" ]", "[ \"s\" ]" },
	{ "*.allowed", "[ \"+4930\" ]", "[ \"+4931\" ]" },
	{ "*.default", "\"+4930123456\"", "\"+4930123457\"" },
	{ "*.on_refused", "\"reject\"", "\"anonymous\"" },
	{ "groups.0.name", "\"g\"", "\"h\"" },
	{ "windows.0.name", "\"w\"", "\"v\"" },
	{ "windows.0.zone", "\"UTC\"", "\"Europe/Berlin\"" },
	{ "windows.0.periods.0.days", "\"mon-fri\"", "\"sat-sun\"" },
	{ "windows.0.periods.0.dates", "\"2026-12-24\"", "\"2026-12-25\"" },
	{ "windows.0.periods.0.from", "\"08:00\"", "\"09:00\"" },
	{ "windows.0.periods.0.to", "\"17:00\"", "\"18:00\"" },
	{ "failovers.0.name", "\"f\"", "\"e\"" },
	{ "failovers.0.codes", "[ 503 ]", "[ 500 ]" },
	{ "failovers.0.classes", "[ 4 ]", "[ 5 ]" },
	{ "route_limits.0.name", "\"l\"", "\"m\"" },
	{ "routes.0.from", "[ \"a\" ]", "[ \"b\" ]" },
	{ "routes.0.prefix", "\"44\"", "\"45\"" },
	{ "routes.0.caller", "\"44\"", "\"45\"" },
	{ "routes.0.block", "403", "404", "routes.0.to=( )" },
	{ "routes.0.domain", "\"one.example\"", "\"two.example\"" },
	{ "routes.0.window", "\"w\"", "\"v\"",
		"windows=( { name = \"w\"; periods = ( { days = \"mon\"; } ); }, { name = \"v\"; "
		"periods = ( { days = \"tue\"; } ); } )" },
	{ "routes.0.limit", "\"l\"", "\"m\"",
		"route_limits=( { name = \"l\"; max_calls = 5; }, { name = \"m\"; max_calls = 5; } "
		")" },
	{ "routes.0.failover", "\"f\"", "\"e\"",
		"failovers=( { name = \"f\"; codes = [ 503 ]; }, { name = \"e\"; codes = [ 500 ]; "
		"} )" },
	{ "*.trunk", "\"a\"", "\"b\"" },
	{ "*.registrar", "false", "true" },
	{ "store", "\"sqlite:/tmp/a.db\"", "\"sqlite:/tmp/b.db\"" },
};
#define N_VALUES ((int)(sizeof(values) / sizeof(values[0])))

// A star stands for any beginning.
static int values_find(const char *path)
{
	for (int i = 0; i < N_VALUES; i++) {
		const char *want = values[i].path;
		size_t len = strlen(want), have = strlen(path);
		if (strcmp(want, path) == 0)
			return i;
		if (want[0] == '*' && have >= len && strcmp(path + have - (len - 1), want + 1) == 0)
			return i;
	}
	return -1;
}

struct change {
	char path[VALUE_LEN];
	char before[VALUE_LEN], after[VALUE_LEN];
	const char *both;
};

static uint32_t n_changes, n_silent;

// --- two configurations that differ in one key ---

// "PATH=VALUE" of what is set beside; a %s stands for the value.
static int beside(const struct change *c, const char *value, char sets[4][4 * VALUE_LEN])
{
	int n = 0;

	for (const char *at = c->both; at && *at; at += strcspn(at, "|"), at += *at == '|') {
		char one[4 * VALUE_LEN];
		int len = (int)strcspn(at, "|");
		const char *hole = strstr(at, "%s");
		snprintf(one, sizeof(one), "%.*s", len, at);
		if (hole && hole < at + len)
			snprintf(one, sizeof(one), "%.*s%s%.*s", (int)(hole - at), at, value,
				len - (int)(hole - at) - 2, hole + 2);
		snprintf(sets[n++], 4 * VALUE_LEN, "%s", one);
	}
	return n;
}

static struct td_config *config_with(const struct change *c, const char *value)
{
	char texts[4][4 * VALUE_LEN];
	const char *sets[4] = { texts[0], texts[1], texts[2], texts[3] };
	struct td_config *conf = NULL;
	struct td_faults faults = { 0 };
	int n = beside(c, value, texts);

	snprintf(texts[n++], sizeof(texts[0]), "%s=%s", c->path, value);
	if (td_config_load_text(base, "x.conf", sets, n, &conf, &faults) != 0) {
		char *text = td_faults_text(&faults);
		fprintf(stderr, "# %s=%s: %s\n", c->path, value, text);
		free(text);
	}
	td_faults_free(&faults);
	return conf;
}

// Whether it speaks of the section that the key is in.
static bool names(const char *report, const char *path)
{
	char top[VALUE_LEN];

	snprintf(top, sizeof(top), "%.*s", (int)strcspn(path, "."), path);
	return strstr(report, top) != NULL;
}

// What comes into force by a reload does so because the policy is another one then, and is pushed;
// dns is control's own.
static bool has_effect(const char *report, const char *path, const struct td_config *before,
	const struct td_config *after)
{
	return strstr(report, "needs a restart: ") || strncmp(path, "dns.", 4) == 0 ||
	       td_policy_generation_of(&before->policy) != td_policy_generation_of(&after->policy);
}

static void change_try(const struct change *c)
{
	struct td_config *before = config_with(c, c->before), *after = config_with(c, c->after);
	char *report = NULL;
	size_t size;

	n_changes++;
	if (!before || !after) {
		n_silent++;
		td_config_free(before);
		td_config_free(after);
		return;
	}
	FILE *out = open_memstream(&report, &size);
	td_reload_report(out, before, after);
	fclose(out);
	if (!names(report, c->path) || !has_effect(report, c->path, before, after)) {
		n_silent++;
		fprintf(stderr, "# %s: %s → %s: \"%s\"\n", c->path, c->before, c->after, report);
	} else if (getenv("SHOW")) {
		fprintf(stderr, "# %s: %s", c->path, report);
	}
	free(report);
	td_config_free(before);
	td_config_free(after);
}

// --- every key ---

static void numbers_pick(const struct cfg_field *field, struct change *c)
{
	int64_t scale = field->kind == CFG_SECONDS ? field->scale : 1,
		first = field->preset / scale;

	if (first < field->min)
		first = field->min;
	snprintf(c->before, sizeof(c->before), "%lld", (long long)first);
	snprintf(c->after, sizeof(c->after), "%lld",
		(long long)(first < field->max ? first + 1 : first - 1));
}

static void words_pick(struct change *c, const char *before, const char *after)
{
	snprintf(c->before, sizeof(c->before), "\"%s\"", before);
	snprintf(c->after, sizeof(c->after), "\"%s\"", after);
}

// false: nobody can change it.
static bool values_pick(const struct cfg_field *field, struct change *c)
{
	int at = values_find(c->path);

	if (at >= 0) {
		snprintf(c->before, sizeof(c->before), "%s",
			values[at].before ? values[at].before : "");
		snprintf(
			c->after, sizeof(c->after), "%s", values[at].after ? values[at].after : "");
		c->both = values[at].both;
		return values[at].before != NULL;
	}
	switch (field->kind) {
	case CFG_NUMBER:
	case CFG_SECONDS:
		numbers_pick(field, c);
		return true;
	case CFG_BOOL:
		snprintf(c->before, sizeof(c->before), "false");
		snprintf(c->after, sizeof(c->after), "true");
		return true;
	case CFG_CHOICE:
		if (field->words[0] && field->words[1])
			words_pick(c, field->words[0], field->words[1]);
		return field->words[0] && field->words[1];
	case CFG_NAME:
	case CFG_TEXT:
		words_pick(c, "one", "two");
		return true;
	case CFG_PATH:
		words_pick(c, "/tmp/one", "/tmp/two");
		return true;
	case CFG_DIGITS:
		words_pick(c, "1", "2");
		return true;
	default:
		fprintf(stderr, "# %s: no values for it stand in this test\n", c->path);
		fail();
		return false;
	}
}

static void group_walk(const struct cfg_field *fields, const char *path)
{
	for (const struct cfg_field *f = fields; f->key; f++) {
		struct change c = { .both = NULL };
		snprintf(c.path, sizeof(c.path), "%s%s%s", path, path[0] ? "." : "", f->key);
		if (f->kind == CFG_GROUP) {
			group_walk(f->group, c.path);
		} else if (f->kind == CFG_LIST) {
			char element[VALUE_LEN + 4];
			snprintf(element, sizeof(element), "%s.0", c.path);
			group_walk(f->list->group, element);
		} else if (f->kind != CFG_LATER && values_pick(f, &c)) {
			change_try(&c);
		}
	}
}

static void every_key_has_a_word(void **state)
{
	group_walk(cfg_top, "");
	assert_true(n_changes > 120);
	assert_int_equal(n_silent, 0);
}

static void what_stays_needs_no_word(void **state)
{
	const struct change c = { .path = "node" };
	struct td_config *before = config_with(&c, "x"), *after = config_with(&c, "x");
	char *report = NULL;
	size_t size;

	FILE *out = open_memstream(&report, &size);
	td_reload_report(out, before, after);
	fclose(out);
	assert_string_equal(report, "");
	free(report);
	td_config_free(before);
	td_config_free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_has_a_word),
		cmocka_unit_test(what_stays_needs_no_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
