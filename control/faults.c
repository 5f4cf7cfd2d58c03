// SPDX-License-Identifier: BSD-3-Clause
#include "control/faults.h"

#include <stdio.h>
#include <stdlib.h>

void td_faults_free(struct td_faults *faults)
{
	for (uint32_t i = 0; i < faults->kept; i++)
		free(faults->texts[i]);
	faults->n = 0;
	faults->kept = 0;
}

void td_faults_addv(struct td_faults *faults, const char *format, va_list ap)
{
	char *text;

	faults->n++;
	if (faults->kept == TD_FAULTS_MAX || vasprintf(&text, format, ap) < 0)
		return;
	faults->texts[faults->kept++] = text;
}

void td_faults_add(struct td_faults *faults, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	td_faults_addv(faults, format, ap);
	va_end(ap);
}

void td_faults_print(const struct td_faults *faults, int fd)
{
	for (uint32_t i = 0; i < faults->kept; i++)
		dprintf(fd, "%s\n", faults->texts[i]);
	if (faults->n > faults->kept)
		dprintf(fd, "and %u more\n", faults->n - faults->kept);
}

char *td_faults_text(const struct td_faults *faults)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (uint32_t i = 0; i < faults->kept; i++)
		fprintf(out, "%s\n", faults->texts[i]);
	if (faults->n > faults->kept)
		fprintf(out, "and %u more\n", faults->n - faults->kept);
	fclose(out);
	return text;
}
