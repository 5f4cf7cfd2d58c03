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
#define TD_EXPORTER_STALE_MS 5000 // a page that old means that the loop stands: /healthz says 503

struct td_exporter;

// Listens. NULL: *error says why (static text or errno's).
struct td_exporter *td_exporter_start(const struct td_sockaddr *address, const char **error);
void td_exporter_stop(struct td_exporter *exporter); // NULL is fine

// From the loop: takes text (malloc'd; NULL: as before) as the page from now on. missing: what
// keeps the switch from taking calls, "" where nothing does.
void td_exporter_publish(struct td_exporter *exporter, char *text, size_t len, const char *missing);
