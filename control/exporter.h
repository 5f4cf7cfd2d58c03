// SPDX-License-Identifier: BSD-3-Clause
// HTTP for Prometheus and for whoever asks whether the switch is well: /metrics, /healthz, /readyz.
//
// A thread of its own, which sees nothing of control but the page that the loop published last: a
// scraper that is slow, or many of them, hold up nobody. Connections are bounded in number and
// time.
#pragma once

#include "include/addr.h"

#include <stdbool.h>

#define TD_EXPORTER_CONNECTIONS 32
#define TD_EXPORTER_TIMEOUT_S 10
#define TD_EXPORTER_STALE_MS 5000 // a word that old means that the loop stands: /healthz says 503

// In words, "" where nothing is.
struct td_health {
	char sick[256];    // what is wrong with the switch: /healthz
	char missing[256]; // what keeps it from taking calls: /readyz
};

struct td_exporter;

// Listens. NULL: *error says why (static text or errno's).
struct td_exporter *td_exporter_start(const struct td_sockaddr *address, const char **error);
void td_exporter_stop(struct td_exporter *exporter); // NULL is fine

// From the loop, once a second whatever else waits: as in struct td_health.
void td_exporter_tell(struct td_exporter *exporter, const char *sick, const char *missing);
// From the loop: takes text (malloc'd; NULL: as before) as the page from now on.
void td_exporter_publish(struct td_exporter *exporter, char *text, size_t len);
