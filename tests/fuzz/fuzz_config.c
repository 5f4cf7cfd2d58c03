// SPDX-License-Identifier: BSD-3-Clause
// The configuration loader on any text: taken or refused with words, nothing else.
#include "control/config.h"

#include <stdlib.h>

// libconfig 1.5 loses the buffer of a string that a syntax error cuts short.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct td_faults faults = { 0 };
	struct td_config *conf = NULL;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	// A file may include others; a fuzzer may not read the machine's.
	if (!strstr(text, "@include")) {
		// The first line may be an override as well.
		const char *sets[] = { text };
		char *line = strchr(text, '\n');
		bool set = text[0] == '#' && line;
		if (set) {
			*line = '\0';
			sets[0] = text + 1;
		}
		int rc = td_config_load_text(
			set ? line + 1 : text, "fuzz.conf", sets, set, &conf, &faults);
		assert((rc == 0) == (conf != NULL) && (rc == 0) == (faults.n == 0));
	}
	td_faults_free(&faults);
	td_config_free(conf);
	free(text);
	return 0;
}
