// SPDX-License-Identifier: BSD-3-Clause
// Runs a fuzz target over its seeds, so that every build replays them: replay_NAME SEEDS-FOLDER.
// Prints TAP.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The input lies on a heap block of exactly its size, so that a sanitizer sees one byte too many.
static int file_replay(const char *folder, const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END) != 0)
		return -1;
	long size = ftell(file);
	rewind(file);
	uint8_t *data = size >= 0 ? malloc((size_t)size ? (size_t)size : 1) : NULL;
	int rc = data && fread(data, 1, (size_t)size, file) == (size_t)size ? 0 : -1;
	if (rc == 0)
		LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	fclose(file);
	return rc;
}

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	int n = 0, failed = 0;

	if (!folder) {
		fprintf(stderr, "usage: %s SEEDS-FOLDER\n", argv[0]);
		return 2;
	}
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		int rc = file_replay(argv[1], entry->d_name);
		failed += rc < 0;
		printf("%s %d - %s\n", rc < 0 ? "not ok" : "ok", ++n, entry->d_name);
	}
	closedir(folder);
	printf("1..%d\n", n);
	return failed > 0 || n == 0;
}
