// SPDX-License-Identifier: BSD-3-Clause
#include "control/dns_answers.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct td_host_conf host;
	struct td_dns_answer *answer; // owned; cut behind its last record: most have one of sixteen
};

struct td_dns_answers {
	uint32_t n;
	struct entry list[]; // in the order of entry_compare()
};

static int host_compare(const struct td_host_conf *a, const struct td_host_conf *b)
{
	int order = strcmp(a->name, b->name);

	return order ? order : (a->port > b->port) - (a->port < b->port);
}

static int entry_compare(const void *a, const void *b)
{
	return host_compare(&((const struct entry *)a)->host, &((const struct entry *)b)->host);
}

static struct td_dns_answer *answer_copy(const struct td_dns_answer *answer)
{
	size_t len = offsetof(struct td_dns_answer, records) +
		     answer->n * sizeof(answer->records[0]);
	void *copy = malloc(len);

	return copy ? memcpy(copy, answer, len) : NULL;
}

static bool entry_take(struct entry *entry, const struct td_dns_name *name)
{
	*entry = (struct entry){ .host.port = name->port, .answer = answer_copy(&name->answer) };
	memcpy(entry->host.name, name->name, sizeof(entry->host.name));
	return entry->answer != NULL;
}

struct td_dns_answers *td_dns_answers_take(const struct td_dns_names *names)
{
	struct td_dns_answers *answers =
		malloc(sizeof(*answers) + names->n * sizeof(answers->list[0]));

	if (!answers)
		return NULL;
	answers->n = 0;
	for (uint32_t i = 0; i < names->n; i++) {
		const struct td_dns_name *name = names->list[i];
		if (!name->wanted || name->answer.n == 0)
			continue;
		if (!entry_take(&answers->list[answers->n], name)) {
			td_dns_answers_free(answers);
			return NULL;
		}
		answers->n++;
	}
	qsort(answers->list, answers->n, sizeof(answers->list[0]), entry_compare);
	return answers;
}

void td_dns_answers_free(struct td_dns_answers *answers)
{
	for (uint32_t i = 0; answers && i < answers->n; i++)
		free(answers->list[i].answer);
	free(answers);
}

static int key_compare(const void *key, const void *at)
{
	return host_compare(key, &((const struct entry *)at)->host);
}

const struct td_dns_answer *td_dns_answers_find(void *ctx, const struct td_host_conf *host)
{
	const struct td_dns_answers *answers = ctx;
	const struct entry *found = bsearch(
		host, answers->list, answers->n, sizeof(answers->list[0]), key_compare);

	return found ? found->answer : NULL;
}
