// SPDX-License-Identifier: BSD-3-Clause
// What every micro benchmark needs: a seed, a clock, the median of N samples, and the contract's
// JSON line. Single-threaded; nothing here allocates.
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

enum { BENCH_SAMPLES_MAX = 1001 };

struct bench {
	const char *name, *unit;
	const char *yardstick; // what the figure is to be held against
	const char *method;    // what one sample is
	uint64_t seed;
	uint64_t checked; // units whose output was verified
	double quiet; // median of the samples that were taken while the yardstick ran best; 0: not
		      // known
	unsigned n;
	double sample[BENCH_SAMPLES_MAX];
};

static inline uint64_t bench_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// What this process had of the processors: a neighbour on the machine is not in it.
static inline uint64_t bench_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// TSC cycles; nanoseconds where there is no TSC.
static inline uint64_t bench_cycles(void)
{
#if defined(__x86_64__)
	unsigned aux;
	return __rdtscp(&aux);
#else
	return bench_ns();
#endif
}

// SEED from the environment, else one from the clock: it is printed, so that a run can be repeated.
static inline uint64_t bench_seed(void)
{
	const char *text = getenv("SEED");

	return text && *text ? strtoull(text, NULL, 0) : bench_ns() % 1000000;
}

// How many samples are taken: ROUNDS from the environment, where somebody counts instructions
// instead of time, else the usual number.
static inline unsigned bench_rounds(unsigned usual)
{
	const char *text = getenv("ROUNDS");
	unsigned long n = text && *text ? strtoul(text, NULL, 0) : usual;

	return n < 1 ? 1 : n > BENCH_SAMPLES_MAX ? BENCH_SAMPLES_MAX : (unsigned)n;
}

// splitmix64: good enough to shuffle with, and the same everywhere.
static inline uint64_t bench_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline void bench_shuffle(uint32_t *order, uint32_t n, uint64_t *state)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j = (uint32_t)(bench_random(state) % i), t = order[i - 1];
		order[i - 1] = order[j];
		order[j] = t;
	}
}

static inline void bench_add(struct bench *b, double value)
{
	if (b->n < BENCH_SAMPLES_MAX)
		b->sample[b->n++] = value;
}

static inline int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_pair {
	double yardstick, sample;
};

static inline int bench_compare_pair(const void *a, const void *b)
{
	return bench_compare(&((const struct bench_pair *)a)->yardstick,
		&((const struct bench_pair *)b)->yardstick);
}

// yardstick[i] was taken beside sample i: fills quiet from the quarter of the samples whose
// yardstick was lowest. So the machine's state and not the figure itself says which they are.
// Before bench_report(), which sorts.
static inline void bench_quiet(struct bench *b, const struct bench *yardstick)
{
	static struct bench_pair pair[BENCH_SAMPLES_MAX];
	static double sample[BENCH_SAMPLES_MAX];
	unsigned n = (b->n + 3) / 4;

	for (unsigned i = 0; i < b->n; i++)
		pair[i] = (struct bench_pair){ yardstick->sample[i], b->sample[i] };
	qsort(pair, b->n, sizeof(pair[0]), bench_compare_pair);
	for (unsigned i = 0; i < n; i++)
		sample[i] = pair[i].sample;
	qsort(sample, n, sizeof(sample[0]), bench_compare);
	b->quiet = n > 0 ? sample[n / 2] : 0;
}

// Prints the line. Sorts the samples. The texts must need no escaping.
static inline void bench_report(struct bench *b)
{
	qsort(b->sample, b->n, sizeof(b->sample[0]), bench_compare);
	printf("{\"name\": \"%s\", \"unit\": \"%s\", \"value\": %.1f, \"min\": %.1f, \"n\": %u, "
	       "\"seed\": %" PRIu64 ", \"checked\": %" PRIu64
	       ", \"yardstick\": \"%s\", \"method\": \"%s\"",
		b->name, b->unit, b->sample[b->n / 2], b->sample[0], b->n, b->seed, b->checked,
		b->yardstick, b->method);
	if (b->quiet > 0)
		printf(", \"quiet\": %.1f", b->quiet);
	printf("}\n");
}
