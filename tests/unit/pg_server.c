// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/pg_server.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char bin[256];

static bool programs_find(void)
{
	glob_t found;

	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0) {
		fprintf(stderr, "# no PostgreSQL: apt-get install postgresql\n");
		return false;
	}
	snprintf(bin, sizeof(bin), "%s", found.gl_pathv[found.gl_pathc - 1]);
	*strrchr(bin, '/') = '\0';
	globfree(&found);
	return true;
}

// The server refuses to run as root.
static const struct passwd *user_of(void)
{
	const struct passwd *user = getpwnam("postgres");

	return geteuid() != 0 ? NULL : user ? user : getpwnam("nobody");
}

static pid_t run(const struct pg_server *pg, const char *program, char *argv[])
{
	char path[300], log[100];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	const struct passwd *user = user_of();
	if (user &&
		(setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	setpgid(0, 0);
	snprintf(log, sizeof(log), "%s/log", pg->dir);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	snprintf(path, sizeof(path), "%s/%s", bin, program);
	argv[0] = path; // they look for their siblings beside it, then in PATH
	execv(path, argv);
	_exit(127);
}

// What the server said before it failed; always false.
static bool log_show(const struct pg_server *pg)
{
	char command[80];

	snprintf(command, sizeof(command), "tail -5 %s/log >&2", pg->dir);
	return system(command) != 0 && false;
}

bool pg_server_make(struct pg_server *pg)
{
	const struct passwd *user = user_of();
	char data[80];
	int status;

	memset(pg, 0, sizeof(*pg));
	snprintf(pg->dir, sizeof(pg->dir), "/tmp/td_pg_XXXXXX");
	if (!programs_find() || !mkdtemp(pg->dir) ||
		(user && chown(pg->dir, user->pw_uid, user->pw_gid) != 0))
		return false;
	snprintf(data, sizeof(data), "%s/data", pg->dir);
	char *argv[] = { "initdb", "--no-sync", "-A", "trust", "-U", "tandem", "-E", "UTF8",
		"--locale=C", "-D", data, NULL };
	pid_t pid = run(pg, "initdb", argv);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return log_show(pg);
	snprintf(pg->url, sizeof(pg->url), "postgresql://tandem@/postgres?host=%s", pg->dir);
	return pg_server_start(pg);
}

bool pg_server_start(struct pg_server *pg)
{
	char data[80], sockets[100];

	snprintf(data, sizeof(data), "%s/data", pg->dir);
	snprintf(sockets, sizeof(sockets), "unix_socket_directories=%s", pg->dir);
	char *argv[] = { "postgres", "-D", data, "-c", "listen_addresses=", "-c", sockets, "-c",
		"fsync=off", "-c", "client_min_messages=warning", NULL };
	pg->pid = run(pg, "postgres", argv);
	for (int i = 0; i < 300; i++) {
		if (pg_server_ask(pg, "SELECT 1"))
			return true;
		usleep(50000);
		// It gives up where the memory of one that was killed is not free yet.
		if (waitpid(pg->pid, NULL, WNOHANG) == pg->pid)
			pg->pid = run(pg, "postgres", argv);
	}
	return log_show(pg);
}

// Every process of the server: its children have process groups of their own.
static void signal_all(const struct pg_server *pg, int number)
{
	char path[64];
	int children[256], n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pg->pid, (int)pg->pid);
	FILE *f = fopen(path, "r");
	while (f && n < 256 && fscanf(f, "%d", &children[n]) == 1)
		n++;
	if (f)
		fclose(f);
	kill(pg->pid, number);
	while (n > 0)
		kill(children[--n], number);
}

void pg_server_kill(struct pg_server *pg)
{
	char path[100];

	if (pg->pid == 0)
		return;
	signal_all(pg, SIGKILL);
	waitpid(pg->pid, NULL, 0);
	pg->pid = 0;
	snprintf(path, sizeof(path), "%s/data/postmaster.pid", pg->dir);
	unlink(path);
}

void pg_server_pause(struct pg_server *pg, bool on)
{
	signal_all(pg, on ? SIGSTOP : SIGCONT);
}

void pg_server_remove(struct pg_server *pg)
{
	char command[100];

	pg_server_kill(pg);
	snprintf(command, sizeof(command), "rm -rf %s", pg->dir);
	if (pg->dir[0] && system(command) != 0)
		fprintf(stderr, "# %s is left\n", pg->dir);
}

const char *pg_server_ask(const struct pg_server *pg, const char *sql)
{
	static char answer[4096];
	PGconn *conn = PQconnectdb(pg->url);
	PGresult *result = PQstatus(conn) == CONNECTION_OK ? PQexec(conn, sql) : NULL;
	ExecStatusType status = PQresultStatus(result);
	bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;

	snprintf(answer, sizeof(answer), "none");
	if (PQntuples(result) > 0)
		snprintf(answer, sizeof(answer), "%s",
			PQgetisnull(result, 0, 0) ? "NULL" : PQgetvalue(result, 0, 0));
	PQclear(result);
	PQfinish(conn);
	return good ? answer : NULL;
}
