// SPDX-License-Identifier: BSD-3-Clause
#include "control/audit.h"

#include "control/control.h"
#include "control/log.h"
#include "control/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX_BYTES (16u << 20)
#define FILES_KEPT 4
#define TAIL_BYTES (1u << 20) // the last lines are looked for in so much
#define ROWS_DEFAULT 100
#define FIELDS 8

// --- which requests are changes: those where subject gives a text, on what ---

static const char *reload_subject(const Tandem__Frame *frame)
{
	return frame->reload->dry_run ? NULL : "";
}

static const char *hangup_subject(const Tandem__Frame *frame)
{
	return frame->hangup->call_id;
}

static const char *drain_subject(const Tandem__Frame *frame)
{
	return frame->drain->off ? "off" : "on";
}

static const char *trunk_subject(const Tandem__Frame *frame)
{
	return frame->trunk_set->name;
}

static const char *stored_trunk_subject(const Tandem__Frame *frame)
{
	return frame->body_case == TANDEM__FRAME__BODY_TRUNK_PUT ? frame->trunk_put->name
								 : frame->trunk_remove->name;
}

static const char *dns_subject(const Tandem__Frame *frame)
{
	return frame->dns_refresh->name;
}

static const char *route_load_subject(const Tandem__Frame *frame)
{
	return frame->route_load->commit ? frame->route_load->plan : NULL;
}

static const char *route_commit_subject(const Tandem__Frame *frame)
{
	return frame->route_commit->plan;
}

static const char *route_change_subject(const Tandem__Frame *frame)
{
	static char both[96]; // copied at once

	snprintf(both, sizeof(both), "%.31s %.60s", frame->route_change->plan,
		frame->route_change->match);
	return both;
}

static bool route_goes(const Tandem__Frame *frame)
{
	return frame->route_change->remove;
}

static const char *route_remove_subject(const Tandem__Frame *frame)
{
	return frame->route_remove->plan;
}

static const char *subscriber_subject(const Tandem__Frame *frame)
{
	return frame->body_case == TANDEM__FRAME__BODY_SUBSCRIBER_ADD
		       ? frame->subscriber_add->aor
		       : frame->subscriber_remove->aor;
}

static const char *subscriber_set_subject(const Tandem__Frame *frame)
{
	return frame->subscriber_set->to ? frame->subscriber_set->to->aor : "";
}

static const char *number_subject(const Tandem__Frame *frame)
{
	static char both[96]; // copied at once

	if (frame->body_case != TANDEM__FRAME__BODY_NUMBER_ADD)
		return frame->number_remove->number;
	snprintf(both, sizeof(both), "%.30s %.60s", frame->number_add->number,
		frame->number_add->aor);
	return both;
}

static bool trunk_enables(const Tandem__Frame *frame)
{
	return frame->trunk_set->enabled;
}

static bool trunk_is_new(const Tandem__Frame *frame)
{
	return frame->trunk_put->create;
}

// Named as the command is that asks for it.
static const struct {
	Tandem__Frame__BodyCase body;
	const char *what;
	const char *(*subject)(const Tandem__Frame *frame);
	bool (*otherwise)(const Tandem__Frame *frame); // NULL: it is one thing only
	const char *other;                             // what it is then
} changes[] = {
	{ TANDEM__FRAME__BODY_RELOAD, "reload", reload_subject },
	{ TANDEM__FRAME__BODY_HANGUP, "hangup", hangup_subject },
	{ TANDEM__FRAME__BODY_DRAIN, "drain", drain_subject },
	{ TANDEM__FRAME__BODY_TRUNK_SET, "trunk disable", trunk_subject, trunk_enables,
		"trunk enable" },
	{ TANDEM__FRAME__BODY_TRUNK_PUT, "trunk set", stored_trunk_subject, trunk_is_new,
		"trunk add" },
	{ TANDEM__FRAME__BODY_TRUNK_REMOVE, "trunk del", stored_trunk_subject },
	{ TANDEM__FRAME__BODY_DNS_REFRESH, "dns refresh", dns_subject },
	{ TANDEM__FRAME__BODY_SUBSCRIBER_ADD, "subscriber add", subscriber_subject },
	{ TANDEM__FRAME__BODY_SUBSCRIBER_SET, "subscriber set", subscriber_set_subject },
	{ TANDEM__FRAME__BODY_SUBSCRIBER_REMOVE, "subscriber del", subscriber_subject },
	{ TANDEM__FRAME__BODY_NUMBER_ADD, "number add", number_subject },
	{ TANDEM__FRAME__BODY_NUMBER_REMOVE, "number del", number_subject },
	{ TANDEM__FRAME__BODY_ROUTE_LOAD, "route load", route_load_subject },
	{ TANDEM__FRAME__BODY_ROUTE_COMMIT, "route commit", route_commit_subject },
	{ TANDEM__FRAME__BODY_ROUTE_CHANGE, "route add", route_change_subject, route_goes,
		"route del" },
	{ TANDEM__FRAME__BODY_ROUTE_REMOVE, "route remove", route_remove_subject },
};

// --- who ---

void td_actor_name(struct td_actor *actor)
{
	// Not getpwuid(): a directory service that hangs must not hang the loop.
	FILE *passwd = fopen("/etc/passwd", "re");

	snprintf(actor->user, sizeof(actor->user), "%u", actor->uid);
	for (struct passwd *entry; passwd && (entry = fgetpwent(passwd));) {
		if (entry->pw_uid == actor->uid) {
			snprintf(actor->user, sizeof(actor->user), "%s", entry->pw_name);
			break;
		}
	}
	if (passwd)
		fclose(passwd);
}

// --- the file ---

static void path_of(const struct td_control *control, int n, char *path, size_t cap)
{
	int len = snprintf(path, cap, "%s/audit.log", control->conf->state_dir);

	if (n > 0 && len > 0 && (size_t)len < cap)
		snprintf(path + len, cap - (size_t)len, ".%d", n);
}

static void file_turn_over(const struct td_control *control)
{
	char from[TD_PATH_LEN + 16], to[TD_PATH_LEN + 16];

	for (int n = FILES_KEPT; n > 0; n--) {
		path_of(control, n - 1, from, sizeof(from));
		path_of(control, n, to, sizeof(to));
		rename(from, to);
	}
}

static void line_write(struct td_control *control, const char *line, size_t len)
{
	char path[TD_PATH_LEN + 16];
	struct stat st;

	path_of(control, 0, path, sizeof(path));
	if (stat(path, &st) == 0 && st.st_size > FILE_MAX_BYTES)
		file_turn_over(control);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	off_t before = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t n = fd >= 0 ? write(fd, line, len) : -1;
	// The rest of a line would be glued to the next one.
	if (n > 0 && (size_t)n < len) {
		errno = ftruncate(fd, before) == 0 ? ENOSPC : errno;
		n = -1;
	}
	if (n < 0)
		td_alarm_raise(&control->alarms, TD_WARNING, "audit.down", path,
			"see to the disk and the folder's permissions; the log has the lines that "
			"the file lacks (journalctl -u tandem-control)",
			"who changed what cannot be written: %s", strerror(errno));
	else
		td_alarm_clear(&control->alarms, "audit.down", path);
	if (fd >= 0)
		close(fd);
}

// A field has neither tab nor end of line.
static void field_clean(const char *src, char *dst, size_t cap)
{
	td_text_clean(src, cap, true, dst, cap);
	for (char *c = dst; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = c[1] ? ';' : '\0';
}

void td_audit_write(struct td_control *control, const struct td_actor *who, const char *what,
	const char *subject, int code, const char *text)
{
	char on[96], words[512], line[900];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	field_clean(subject, on, sizeof(on));
	field_clean(text, words, sizeof(words));
	uint64_t us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	int len = snprintf(line, sizeof(line), "%" PRIu64 "\t%s\t%u\t%u\t%s\t%s\t%d\t%s\n", us,
		who->user, who->uid, who->pid, what, on, code, words);
	if (len > 0 && (size_t)len < sizeof(line))
		line_write(control, line, (size_t)len);
	td_log(TD_LOG_INFO, "audit",
		"user=%s uid=%u pid=%u what=\"%s\" on=\"%s\" code=%d text=\"%s\"", who->user,
		who->uid, who->pid, what, on, code, words);
	struct td_event event = { .kind = TD_EVENT_AUDIT, .time_us = us };
	snprintf(event.subject, sizeof(event.subject), "%.20s%s%.40s", what, on[0] ? " " : "", on);
	snprintf(event.state, sizeof(event.state), "%s", code == 0 ? "done" : "refused");
	snprintf(event.text, sizeof(event.text), "%.255s", words);
	td_event_detail(&event, "user", "%s", who->user);
	td_event_detail(&event, "pid", "%u", who->pid);
	td_events_post(&control->events, &event);
}

// --- from request to answer ---

static const char *change_name(size_t i, const Tandem__Frame *frame)
{
	return changes[i].otherwise && changes[i].otherwise(frame) ? changes[i].other
								   : changes[i].what;
}

void td_audit_asked(struct td_client *client, const Tandem__Frame *frame)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const char *subject =
			changes[i].body == frame->body_case ? changes[i].subject(frame) : NULL;
		if (!subject)
			continue;
		for (int p = 0; p < TD_AUDIT_PENDING; p++) {
			struct td_audit_pending *pending = &client->audits[p];
			if (pending->what)
				continue;
			pending->id = frame->id;
			pending->what = change_name(i, frame);
			snprintf(pending->subject, sizeof(pending->subject), "%s", subject);
			return;
		}
		td_audit_write(client->server->control, &client->actor, change_name(i, frame),
			subject, EINPROGRESS, "asked; its end was not followed");
		return;
	}
}

static void pending_end(
	struct td_client *client, struct td_audit_pending *pending, int code, const char *text)
{
	const char *what = pending->what;

	pending->what = NULL;
	td_audit_write(client->server->control, &client->actor, what, pending->subject, code, text);
}

void td_audit_answered(struct td_client *client, const Tandem__Frame *frame)
{
	for (int i = 0; i < TD_AUDIT_PENDING; i++) {
		struct td_audit_pending *pending = &client->audits[i];
		if (!pending->what || pending->id != frame->id)
			continue;
		if (frame->body_case == TANDEM__FRAME__BODY_DONE)
			pending_end(client, pending, 0, frame->done->text);
		else if (frame->body_case == TANDEM__FRAME__BODY_ERROR)
			pending_end(client, pending, frame->error->code ? frame->error->code : EIO,
				frame->error->text);
		return;
	}
}

void td_audit_left(struct td_client *client)
{
	for (int i = 0; i < TD_AUDIT_PENDING; i++)
		if (client->audits[i].what)
			pending_end(client, &client->audits[i], EINPROGRESS,
				"asked; left before the answer");
}

// --- the table ---

// Cuts a line into its fields, in place. false: it is none of ours.
static bool fields_cut(char *line, char *fields[FIELDS])
{
	for (int i = 0; i < FIELDS; i++) {
		fields[i] = line;
		line = strchr(line, '\t');
		if (!line)
			return i == FIELDS - 1;
		*line++ = '\0';
	}
	return false;
}

static bool row_send(struct td_client *client, uint64_t id, char *line)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Audit row = TANDEM__AUDIT__INIT;
	char *fields[FIELDS];

	if (!fields_cut(line, fields))
		return false;
	item.row_case = TANDEM__ITEM__ROW_AUDIT;
	item.audit = &row;
	row.time_us = strtoull(fields[0], NULL, 10);
	row.user = fields[1];
	row.uid = (uint32_t)strtoul(fields[2], NULL, 10);
	row.pid = (uint32_t)strtoul(fields[3], NULL, 10);
	row.what = fields[4];
	row.subject = fields[5];
	row.code = (int32_t)strtol(fields[6], NULL, 10);
	row.text = fields[7];
	td_conn_item(client->conn, id, &item);
	return true;
}

// The end of a file, whole lines and a NUL, into text of TAIL_BYTES + 1; "" where there is none.
// Returns its length.
static size_t tail_read(const struct td_control *control, int n_old, char *text)
{
	char path[TD_PATH_LEN + 16];
	struct stat st;

	text[0] = '\0';
	path_of(control, n_old, path, sizeof(path));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	off_t from = fstat(fd, &st) == 0 && st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0;
	ssize_t n = pread(fd, text, TAIL_BYTES, from);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	char *first = from > 0 ? strchr(text, '\n') : NULL; // that line was cut
	if (first)
		memmove(text, first + 1, strlen(first + 1) + 1);
	return strlen(text);
}

// What was turned over last, and the file of now: it may have been begun a moment ago.
static char *tails_read(const struct td_control *control)
{
	char *text = malloc(2 * TAIL_BYTES + 1);

	if (text)
		tail_read(control, 0, text + tail_read(control, 1, text));
	return text;
}

void td_audit_show(struct td_client *client, const Tandem__Frame *frame)
{
	uint32_t limit = frame->show->limit ? frame->show->limit : ROWS_DEFAULT, lines = 0, n = 0;
	char *text = tails_read(client->server->control);

	if (!text) {
		td_conn_error(client->conn, frame->id, ENOMEM, "no memory");
		return;
	}
	for (const char *c = text; (c = strchr(c, '\n')); c++)
		lines++;
	char *line = text;
	for (char *end; (end = strchr(line, '\n')); line = end + 1, lines--) {
		*end = '\0';
		if (lines <= limit)
			n += row_send(client, frame->id, line);
	}
	free(text);
	td_conn_done(client->conn, frame->id, n, "");
}
