// SPDX-License-Identifier: BSD-3-Clause
// Counts what a turn of the worker must never do: allocate (libc's and DPDK's functions are
// replaced here, jemalloc's own count of the thread's bytes is compared) and enter the kernel
// (syscall user dispatch: SIGSYS instead of the call, while a byte of ours says so; a seccomp
// filter could not let the far ends' calls pass on the same thread).
//
// The report goes to standard error when the program ends.
#include "turn.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <jemalloc/jemalloc.h>
#include <linux/prctl.h>
#include <rte_malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define SITES_MAX 16
#define SYSCALL_INSTRUCTION_LEN 2

struct site {
	const char *what;
	const void *caller;
	int number; // of the system call
	uint64_t times;
};

static struct site sites[SITES_MAX];
static uint32_t n_sites;
static uint64_t allocations, system_calls, jemalloc_bytes, bytes_before;
static uint64_t *allocated, *deallocated; // jemalloc's, of this thread
static volatile char selector = SYSCALL_DISPATCH_FILTER_ALLOW;
static __thread bool armed;

// One row for each caller; what comes after SITES_MAX of them is in the sums alone.
static void site_note(const char *what, int number, const void *caller)
{
	for (uint32_t i = 0; i < n_sites; i++) {
		if (sites[i].caller == caller && sites[i].number == number) {
			sites[i].times++;
			return;
		}
	}
	if (n_sites < SITES_MAX)
		sites[n_sites++] = (struct site){ what, caller, number, 1 };
}

static void allocation_note(const char *what, const void *caller)
{
	if (!armed)
		return;
	allocations++;
	site_note(what, -1, caller);
}

#define NOTE(name) allocation_note(name, __builtin_return_address(0))

// --- libc's functions, over jemalloc's other interface ---

void *malloc(size_t bytes)
{
	NOTE("malloc");
	return mallocx(bytes ? bytes : 1, 0);
}

void free(void *ptr)
{
	if (!ptr)
		return;
	NOTE("free");
	dallocx(ptr, 0);
}

void *calloc(size_t n, size_t bytes)
{
	size_t all;

	NOTE("calloc");
	if (__builtin_mul_overflow(n, bytes, &all))
		return NULL;
	return mallocx(all ? all : 1, MALLOCX_ZERO);
}

void *realloc(void *ptr, size_t bytes)
{
	NOTE("realloc");
	return ptr ? rallocx(ptr, bytes ? bytes : 1, 0) : mallocx(bytes ? bytes : 1, 0);
}

void *aligned_alloc(size_t align, size_t bytes)
{
	NOTE("aligned_alloc");
	return mallocx(bytes ? bytes : 1, MALLOCX_ALIGN(align));
}

int posix_memalign(void **ptr, size_t align, size_t bytes)
{
	NOTE("posix_memalign");
	*ptr = mallocx(bytes ? bytes : 1, MALLOCX_ALIGN(align));
	return *ptr ? 0 : ENOMEM;
}

// --- DPDK's ---

#define NEXT(name)                                                                                 \
	({                                                                                         \
		static typeof(&name) next;                                                         \
		if (!next)                                                                         \
			next = dlsym(RTLD_NEXT, #name);                                            \
		NOTE(#name);                                                                       \
		next;                                                                              \
	})

void *rte_malloc(const char *type, size_t bytes, unsigned align)
{
	return NEXT(rte_malloc)(type, bytes, align);
}

void *rte_zmalloc(const char *type, size_t bytes, unsigned align)
{
	return NEXT(rte_zmalloc)(type, bytes, align);
}

void *rte_calloc(const char *type, size_t n, size_t bytes, unsigned align)
{
	return NEXT(rte_calloc)(type, n, bytes, align);
}

void *rte_realloc(void *ptr, size_t bytes, unsigned align)
{
	return NEXT(rte_realloc)(ptr, bytes, align);
}

void *rte_malloc_socket(const char *type, size_t bytes, unsigned align, int socket)
{
	return NEXT(rte_malloc_socket)(type, bytes, align, socket);
}

void *rte_zmalloc_socket(const char *type, size_t bytes, unsigned align, int socket)
{
	return NEXT(rte_zmalloc_socket)(type, bytes, align, socket);
}

void *rte_calloc_socket(const char *type, size_t n, size_t bytes, unsigned align, int socket)
{
	return NEXT(rte_calloc_socket)(type, n, bytes, align, socket);
}

void rte_free(void *ptr)
{
	NEXT(rte_free)(ptr);
}

// --- system calls ---

// The call is noted and then made: the rest of the turn goes unwatched, the next is watched again.
static void on_system_call(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	system_calls++;
	site_note("system call", info->si_syscall, info->si_call_addr);
	u->uc_mcontext.gregs[REG_RIP] -= SYSCALL_INSTRUCTION_LEN;
}

static void quiet_start(void)
{
	struct sigaction action = { .sa_sigaction = on_system_call, .sa_flags = SA_SIGINFO };
	size_t size = sizeof(allocated);

	if (mallctl("thread.allocatedp", &allocated, &size, NULL, 0) != 0 ||
		mallctl("thread.deallocatedp", &deallocated, &size, NULL, 0) != 0) {
		dprintf(STDERR_FILENO, "quiet: jemalloc counts nothing\n");
		exit(1);
	}
	if (sigaction(SIGSYS, &action, NULL) < 0 ||
		prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) < 0) {
		dprintf(STDERR_FILENO,
			"quiet: this kernel has no syscall user dispatch (Linux 5.11): %s\n",
			strerror(errno));
		exit(1);
	}
}

// --- around a turn ---

void quiet_arm(void)
{
	if (!allocated)
		quiet_start();
	bytes_before = *allocated + *deallocated;
	armed = true;
	selector = SYSCALL_DISPATCH_FILTER_BLOCK;
}

void quiet_disarm(void)
{
	selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	armed = false;
	jemalloc_bytes += *allocated + *deallocated - bytes_before;
}

// "quiet: malloc 12 times from PROGRAM+0x1234": for addr2line.
static void __attribute__((destructor)) quiet_report(void)
{
	for (uint32_t i = 0; i < n_sites; i++) {
		Dl_info where = { .dli_fname = "?" };
		dladdr(sites[i].caller, &where);
		dprintf(STDERR_FILENO, "quiet: %s", sites[i].what);
		if (sites[i].number >= 0)
			dprintf(STDERR_FILENO, " %d", sites[i].number);
		dprintf(STDERR_FILENO, " %" PRIu64 " times from %s+%#tx\n", sites[i].times,
			where.dli_fname,
			(const char *)sites[i].caller - (const char *)where.dli_fbase);
	}
	dprintf(STDERR_FILENO,
		"quiet: {\"allocations\": %" PRIu64 ", \"jemalloc_bytes\": %" PRIu64
		", \"system_calls\": %" PRIu64 "}\n",
		allocations, jemalloc_bytes, system_calls);
}
