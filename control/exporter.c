// SPDX-License-Identifier: BSD-3-Clause
#include "control/exporter.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct page {                    // freed with its last reader
	unsigned int references; // under the exporter's lock
	struct td_exporter *exporter;
	size_t len;
	char *text;
};

struct td_exporter {
	struct MHD_Daemon *daemon;
	pthread_mutex_t lock; // held for a few instructions: what follows
	struct page *page;    // NULL: nothing published yet
	struct td_health health;
	uint64_t told_ms;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void page_put(struct page *page)
{
	struct td_exporter *exporter = page->exporter;

	pthread_mutex_lock(&exporter->lock);
	bool last = --page->references == 0;
	pthread_mutex_unlock(&exporter->lock);
	if (!last)
		return;
	free(page->text);
	free(page);
}

static struct page *page_get(struct td_exporter *exporter)
{
	pthread_mutex_lock(&exporter->lock);
	struct page *page = exporter->page;
	if (page)
		page->references++;
	pthread_mutex_unlock(&exporter->lock);
	return page;
}

// --- answers; on the HTTP thread ---

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned int status,
	struct MHD_Response *response, const char *type)
{
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	enum MHD_Result queued = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

static enum MHD_Result respond_text(
	struct MHD_Connection *connection, unsigned int status, const char *text)
{
	return respond(connection, status,
		MHD_create_response_from_buffer(
			strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY),
		"text/plain; charset=utf-8");
}

static ssize_t page_read(void *user, uint64_t at, char *dst, size_t max)
{
	const struct page *page = user;
	size_t left = page->len - (size_t)at;
	size_t n = left < max ? left : max;

	memcpy(dst, page->text + at, n);
	return (ssize_t)n;
}

static void page_read_end(void *user)
{
	page_put(user);
}

static enum MHD_Result metrics(struct td_exporter *exporter, struct MHD_Connection *connection)
{
	struct page *page = page_get(exporter);

	if (!page)
		return respond_text(
			connection, MHD_HTTP_SERVICE_UNAVAILABLE, "nothing was collected yet\n");
	struct MHD_Response *response =
		MHD_create_response_from_callback(page->len, 16384, page_read, page, page_read_end);
	if (!response)
		page_put(page);
	return respond(
		connection, MHD_HTTP_OK, response, "text/plain; version=0.0.4; charset=utf-8");
}

// What the loop said last; where that is long ago, that it stands.
static struct td_health health_get(struct td_exporter *exporter)
{
	static const char stands[] = "tandem-control does not keep up";

	pthread_mutex_lock(&exporter->lock);
	struct td_health health = exporter->health;
	bool late = now_ms() - exporter->told_ms > TD_EXPORTER_STALE_MS;
	pthread_mutex_unlock(&exporter->lock);
	if (late) {
		snprintf(health.sick, sizeof(health.sick), "%s", stands);
		snprintf(health.missing, sizeof(health.missing), "%s", stands);
	}
	return health;
}

static enum MHD_Result respond_health(
	struct MHD_Connection *connection, const char *fault, const char *good)
{
	char text[sizeof(((struct td_health *)0)->missing) + 1];

	snprintf(text, sizeof(text), "%s\n", fault[0] ? fault : good);
	return respond_text(
		connection, fault[0] ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, text);
}

static enum MHD_Result healthz(struct td_exporter *exporter, struct MHD_Connection *connection)
{
	struct td_health health = health_get(exporter);

	return respond_health(connection, health.sick, "well");
}

static enum MHD_Result readyz(struct td_exporter *exporter, struct MHD_Connection *connection)
{
	struct td_health health = health_get(exporter);

	return respond_health(connection, health.missing, "ready");
}

static const struct {
	const char *path;
	enum MHD_Result (*answer)(struct td_exporter *exporter, struct MHD_Connection *connection);
} pages[] = { { "/metrics", metrics }, { "/healthz", healthz }, { "/readyz", readyz } };

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **request)
{
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return respond_text(
			connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD are served\n");
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(url, pages[i].path) == 0)
			return pages[i].answer(user, connection);
	return respond_text(connection, MHD_HTTP_NOT_FOUND, "/metrics, /healthz, /readyz\n");
}

// --- life ---

static socklen_t socket_address(const struct td_sockaddr *from, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	*to = (struct sockaddr_storage){ 0 };
	if (from->family == TD_IPV6) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(from->port);
		memcpy(&v6->sin6_addr, from->ip, 16);
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(from->port);
	memcpy(&v4->sin_addr, from->ip, 4);
	return sizeof(*v4);
}

struct td_exporter *td_exporter_start(const struct td_sockaddr *address, const char **error)
{
	struct td_exporter *exporter = calloc(1, sizeof(*exporter));
	struct sockaddr_storage to;
	unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;

	*error = "no memory";
	if (!exporter)
		return NULL;
	socket_address(address, &to);
	pthread_mutex_init(&exporter->lock, NULL);
	exporter->told_ms = now_ms();
	snprintf(exporter->health.missing, sizeof(exporter->health.missing), "it begins");
	if (address->family == TD_IPV6)
		flags |= MHD_USE_IPv6;
	errno = 0;
	exporter->daemon = MHD_start_daemon(flags, address->port, NULL, NULL, on_request, exporter,
		MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&to, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)TD_EXPORTER_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)TD_EXPORTER_TIMEOUT_S, MHD_OPTION_END);
	if (exporter->daemon)
		return exporter;
	*error = errno ? strerror(errno) : "the HTTP library refused";
	td_exporter_stop(exporter);
	return NULL;
}

void td_exporter_stop(struct td_exporter *exporter)
{
	if (!exporter)
		return;
	if (exporter->daemon)
		MHD_stop_daemon(exporter->daemon); // ends the thread and every answer
	if (exporter->page)
		page_put(exporter->page); // nobody else reads it any more
	pthread_mutex_destroy(&exporter->lock);
	free(exporter);
}

void td_exporter_tell(struct td_exporter *exporter, const char *sick, const char *missing)
{
	pthread_mutex_lock(&exporter->lock);
	snprintf(exporter->health.sick, sizeof(exporter->health.sick), "%s", sick);
	snprintf(exporter->health.missing, sizeof(exporter->health.missing), "%s", missing);
	exporter->told_ms = now_ms();
	pthread_mutex_unlock(&exporter->lock);
}

void td_exporter_publish(struct td_exporter *exporter, char *text, size_t len)
{
	struct page *page = text ? calloc(1, sizeof(*page)) : NULL;

	if (page)
		*page = (struct page){
			.references = 1, .exporter = exporter, .len = len, .text = text
		};
	else
		free(text);
	pthread_mutex_lock(&exporter->lock);
	struct page *before = exporter->page;
	if (page)
		exporter->page = page;
	pthread_mutex_unlock(&exporter->lock);
	if (page && before)
		page_put(before);
}
