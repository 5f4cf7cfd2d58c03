// SPDX-License-Identifier: BSD-3-Clause
// control/state_file.h: a file is there whole, the old one or the new one, and nothing beside it.
#include "control/state_file.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[32];

static int dir_make(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/td-state-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int dir_remove(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void content(const char *name, const char *text)
{
	char path[64], there[64] = "";

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fread(there, 1, sizeof(there) - 1, file), strlen(text));
	assert_string_equal(there, text);
	fclose(file);
}

static int files(void)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int n = 0;

	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void print_twice(FILE *out, const void *what)
{
	fprintf(out, "%s%s", (const char *)what, (const char *)what);
}

static void a_file_is_replaced_whole(void **state)
{
	assert_int_equal(td_state_write(dir, "a", (const uint8_t *)"longer", 6), 0);
	assert_int_equal(td_state_write(dir, "a", (const uint8_t *)"short", 5), 0);
	content("a", "short");
	assert_int_equal(td_state_print(dir, "a", print_twice, "xy"), 0);
	content("a", "xyxy");
	assert_int_equal(td_state_write(dir, "a", NULL, 0), 0);
	content("a", "");
	assert_int_equal(files(), 1);
}

static void what_fails_leaves_the_old_one(void **state)
{
	char path[64];

	assert_int_equal(td_state_write(dir, "a", (const uint8_t *)"old", 3), 0);
	assert_int_equal(td_state_write("/tmp/td-not-there", "a", NULL, 0), -ENOENT);
	snprintf(path, sizeof(path), "%s/b", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(td_state_write(dir, "b", (const uint8_t *)"new", 3), -EISDIR);
	assert_int_equal(files(), 2); // what was written aside is gone
	snprintf(path, sizeof(path), "%s/a.new", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(td_state_print(dir, "a", print_twice, "new"), -EISDIR);
	content("a", "old");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_replaced_whole, dir_make, dir_remove),
		cmocka_unit_test_setup_teardown(
			what_fails_leaves_the_old_one, dir_make, dir_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
