// SPDX-License-Identifier: BSD-3-Clause
// tandemctl subscriber, number, show registrations: who may register and call, and where he is.
#include "control/ctl.h"
#include "include/ceilings.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define NUMBERS_MAX 8
#define PASSWORD_MAX 256

// --- changes ---

static bool limit_read(const struct ctl *ctl, const char *name, uint32_t *out)
{
	const char *text = ctl_value(ctl, name, 0);
	char *end;
	unsigned long n = text ? strtoul(text, &end, 10) : 0;

	if (text && (*text < '0' || *text > '9' || *end != '\0' || n > TD_SUBSCRIBER_LIMIT_MAX)) {
		fprintf(stderr, "tandemctl: found %s %s, expected a number from 0 to %d\n", name,
			text, TD_SUBSCRIBER_LIMIT_MAX);
		return false;
	}
	*out = (uint32_t)n;
	return true;
}

static struct termios terminal_before;

// Whoever gives up at the prompt gets a terminal that shows again what he types.
static void on_signal(int number)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
	signal(number, SIG_DFL);
	raise(number);
}

static void signals_take(void (*handler)(int number))
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], handler);
}

// The first line of standard input, unseen where that is a terminal.
static bool password_read(char password[PASSWORD_MAX])
{
	bool terminal = tcgetattr(STDIN_FILENO, &terminal_before) == 0;

	if (terminal) {
		struct termios silent = terminal_before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		fputs("password: ", stderr);
		signals_take(on_signal);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	bool got = fgets(password, PASSWORD_MAX, stdin) != NULL;
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
		signals_take(SIG_DFL);
		fputc('\n', stderr);
	}
	bool whole = got && (strchr(password, '\n') || strlen(password) < PASSWORD_MAX - 1);
	if (got)
		password[strcspn(password, "\r\n")] = '\0';
	if (whole && password[0])
		return true;
	fprintf(stderr, "tandemctl: expected a password of at most %d bytes on standard input\n",
		PASSWORD_MAX - 2);
	return false;
}

// What the options say of a subscriber; it outlives the request.
struct asked {
	Tandem__SubscriberAdd add;
	char password[PASSWORD_MAX];
	char *numbers[NUMBERS_MAX];
};

static char *text_of(const struct ctl *ctl, const char *option)
{
	static char none[] = "";
	const char *value = ctl_value(ctl, option, 0);

	return value ? (char *)(uintptr_t)value : none;
}

static bool asked_read(struct ctl *ctl, struct asked *asked)
{
	Tandem__SubscriberAdd *add = &asked->add;
	const char *number;

	tandem__subscriber_add__init(add);
	while ((number = ctl_value(ctl, "--number", (int)add->n_numbers))) {
		if (add->n_numbers == NUMBERS_MAX) {
			fprintf(stderr, "tandemctl: a subscriber has at most %d numbers\n",
				NUMBERS_MAX);
			return false;
		}
		asked->numbers[add->n_numbers++] = (char *)(uintptr_t)number;
	}
	add->aor = ctl->args[0];
	add->numbers = asked->numbers;
	add->plan = text_of(ctl, "--plan");
	add->display = text_of(ctl, "--display");
	add->disabled = ctl_flag(ctl, "--disabled");
	add->replace = ctl_flag(ctl, "--replace");
	add->password = asked->password;
	return limit_read(ctl, "--max-calls", &add->max_calls) &&
	       limit_read(ctl, "--max-cps", &add->max_cps) &&
	       limit_read(ctl, "--cps-burst", &add->cps_burst) &&
	       (!ctl_flag(ctl, "--password-stdin") || password_read(asked->password));
}

static enum ctl_status asked_act(struct ctl *ctl, struct asked *asked, Tandem__Frame *frame)
{
	enum ctl_status status = ctl_act(ctl, frame, "done");

	explicit_bzero(asked->password, sizeof(asked->password));
	return status;
}

enum ctl_status ctl_subscriber_add(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	struct asked asked = { 0 };

	frame.body_case = TANDEM__FRAME__BODY_SUBSCRIBER_ADD;
	frame.subscriber_add = &asked.add;
	if (!ctl_flag(ctl, "--password-stdin") && !ctl_flag(ctl, "--replace")) {
		fputs("tandemctl: expected --password-stdin: a password does not belong on a "
		      "command line\n",
			stderr);
		return CTL_USAGE;
	}
	return asked_read(ctl, &asked) ? asked_act(ctl, &asked, &frame) : CTL_USAGE;
}

// Which field of the message an option of subscriber set is about.
static const struct {
	const char *option, *field;
} settable[] = { { "--password-stdin", "password" }, { "--number", "numbers" },
	{ "--plan", "plan" }, { "--display", "display" }, { "--max-calls", "max_calls" },
	{ "--max-cps", "max_cps" }, { "--cps-burst", "cps_burst" }, { "--disabled", "disabled" },
	{ "--enabled", "disabled" } };
#define N_SETTABLE (sizeof(settable) / sizeof(settable[0]))

enum ctl_status ctl_subscriber_set(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__SubscriberSet set = TANDEM__SUBSCRIBER_SET__INIT;
	struct asked asked = { 0 };
	char *fields[N_SETTABLE];

	for (size_t i = 0; i < N_SETTABLE; i++)
		if (ctl_flag(ctl, settable[i].option))
			fields[set.n_fields++] = (char *)(uintptr_t)settable[i].field;
	if (set.n_fields == 0 || (ctl_flag(ctl, "--disabled") && ctl_flag(ctl, "--enabled"))) {
		fputs(set.n_fields == 0 ? "tandemctl: expected an option that says what changes "
					  "(--help shows them)\n"
					: "tandemctl: expected --disabled or --enabled\n",
			stderr);
		return CTL_USAGE;
	}
	if (!asked_read(ctl, &asked))
		return CTL_USAGE;
	if (asked.add.n_numbers == 1 && asked.numbers[0][0] == '\0')
		asked.add.n_numbers = 0; // none from now on
	frame.body_case = TANDEM__FRAME__BODY_SUBSCRIBER_SET;
	frame.subscriber_set = &set;
	set.to = &asked.add;
	set.fields = fields;
	return asked_act(ctl, &asked, &frame);
}

enum ctl_status ctl_subscriber_del(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__SubscriberRemove gone = TANDEM__SUBSCRIBER_REMOVE__INIT;

	frame.body_case = TANDEM__FRAME__BODY_SUBSCRIBER_REMOVE;
	frame.subscriber_remove = &gone;
	gone.aor = ctl->args[0];
	return ctl_act(ctl, &frame, "done");
}

enum ctl_status ctl_number_add(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__NumberAdd add = TANDEM__NUMBER_ADD__INIT;

	frame.body_case = TANDEM__FRAME__BODY_NUMBER_ADD;
	frame.number_add = &add;
	add.number = ctl->args[0];
	add.aor = ctl->args[1];
	return ctl_act(ctl, &frame, "done");
}

enum ctl_status ctl_number_del(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__NumberRemove gone = TANDEM__NUMBER_REMOVE__INIT;

	frame.body_case = TANDEM__FRAME__BODY_NUMBER_REMOVE;
	frame.number_remove = &gone;
	gone.number = ctl->args[0];
	return ctl_act(ctl, &frame, "done");
}

// --- subscribers ---

static const char *const subscriber_columns[] = { "aor", "numbers", "plan", "display", ">max calls",
	">max cps", ">burst", "state" };

static void subscriber_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Subscriber *s = item->subscriber;
	char numbers[240] = "";

	for (size_t i = 0, at = 0; i < s->n_numbers && at < sizeof(numbers); i++)
		at += (size_t)snprintf(
			numbers + at, sizeof(numbers) - at, "%s%s", i ? " " : "", s->numbers[i]);
	ctl_table_cell(out, "%s", s->aor);
	ctl_table_cell(out, "%s", numbers);
	ctl_table_cell(out, "%s", s->plan);
	ctl_table_cell(out, "%s", s->display);
	ctl_table_limit(out, s->max_calls);
	ctl_table_limit(out, s->max_cps);
	ctl_table_limit(out, s->cps_burst ? s->cps_burst : s->max_cps);
	ctl_table_cell(out, "%s", s->disabled ? "disabled" : "enabled");
}

static json_t *subscriber_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Subscriber *s = item->subscriber;
	json_t *numbers = json_array();

	for (size_t i = 0; i < s->n_numbers; i++)
		json_array_append_new(numbers, ctl_text(s->numbers[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:b}", "aor", ctl_text(s->aor),
		"numbers", numbers, "plan", ctl_text(s->plan), "display", ctl_text(s->display),
		"max_calls", (int)s->max_calls, "max_cps", (int)s->max_cps, "cps_burst",
		(int)s->cps_burst, "enabled", !s->disabled);
}

const struct ctl_view ctl_view_subscribers = { TANDEM__TABLE__SUBSCRIBERS,
	TANDEM__ITEM__ROW_SUBSCRIBER, CTL_COLUMNS(subscriber_columns),
	.none = "there is no subscriber; subscriber add makes one", .cells = subscriber_cells,
	.json = subscriber_json };
const struct ctl_view ctl_view_subscriber = { TANDEM__TABLE__SUBSCRIBERS,
	TANDEM__ITEM__ROW_SUBSCRIBER, CTL_COLUMNS(subscriber_columns), .one = true,
	.missing = "no subscriber has that AoR; subscriber list shows all",
	.cells = subscriber_cells, .json = subscriber_json };

// --- numbers ---

static const char *const number_columns[] = { "number", "aor" };

static void number_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	ctl_table_cell(out, "%s", item->number->number);
	ctl_table_cell(out, "%s", item->number->aor);
}

static json_t *number_json(const struct ctl *ctl, const Tandem__Item *item)
{
	return json_pack("{s:o, s:o}", "number", ctl_text(item->number->number), "aor",
		ctl_text(item->number->aor));
}

const struct ctl_view ctl_view_numbers = { TANDEM__TABLE__NUMBERS, TANDEM__ITEM__ROW_NUMBER,
	CTL_COLUMNS(number_columns), .none = "no subscriber has a number", .cells = number_cells,
	.json = number_json };

// --- registrations ---

static const char *const registration_columns[] = { "aor", "contact", "received", ">expires s",
	"user agent", "path" };

static void registration_cells(
	const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__Registration *r = item->registration;

	ctl_table_cell(out, "%s", r->aor);
	ctl_table_cell(out, "%s", r->contact);
	ctl_table_cell(out, "%s", r->received);
	ctl_table_cell(out, "%" PRIu64, r->expires_s);
	ctl_table_cell(out, "%s", r->user_agent);
	ctl_table_cell(out, "%s", r->path);
}

static json_t *registration_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__Registration *r = item->registration;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f}", "aor", ctl_text(r->aor),
		"contact", ctl_text(r->contact), "received", ctl_text(r->received), "expires_s",
		ctl_number(r->expires_s), "user_agent", ctl_text(r->user_agent), "path",
		ctl_text(r->path), "realm", ctl_text(r->realm), "q", r->q / 1000.0);
}

const struct ctl_view ctl_view_registrations = { TANDEM__TABLE__REGISTRATIONS,
	TANDEM__ITEM__ROW_REGISTRATION, CTL_COLUMNS(registration_columns),
	.none = "nobody is registered", .cells = registration_cells, .json = registration_json };
