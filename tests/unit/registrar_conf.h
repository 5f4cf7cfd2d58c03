// SPDX-License-Identifier: BSD-3-Clause
// The registrar of tandem.example that the tests' engines have; they change what they look at.
#pragma once

#include "include/config.h"

static inline struct td_registrar_conf registrar_conf(void)
{
	return (struct td_registrar_conf){
		.n_domains = 1,
		.domains = { "tandem.example" },
		.n_algorithms = 2,
		.algorithms = { TD_DIGEST_SHA256, TD_DIGEST_MD5 },
		.nonce_lifetime_s = 300,
		.max_contacts = 5,
		.min_expires_s = 60,
		.max_expires_s = 3600,
		.default_expires_s = 3600,
	};
}
