// SPDX-License-Identifier: BSD-3-Clause
// A management frame from an untrusted peer: length, Protobuf, and the policy inside held against
// every ceiling.
#include "control/policy_pb.h"
#include "include/frame.h"

#include <stdlib.h>

static void policy_take(const Tandem__Policy *policy)
{
	const char *error = NULL;
	struct td_policy_conf *conf = td_policy_from_pb(policy, &error);
	size_t len;

	assert((conf != NULL) == (error == NULL));
	if (!conf)
		return;
	// What was taken once is taken again, and is the same.
	uint8_t *bytes = td_policy_pack(conf, &len);
	struct td_policy_conf *again = bytes ? td_policy_unpack(bytes, len, &error) : NULL;
	assert(!bytes || again);
	assert(!again || td_policy_generation_of(again) == td_policy_generation_of(conf));
	td_policy_conf_free(again);
	free(bytes);
	td_policy_conf_free(conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct td_frames in = {
		.bytes = (uint8_t *)(uintptr_t)data, .end = size, .cap = size, .max = TD_FRAME_MAX
	};
	const uint8_t *payload;
	size_t len;

	if (td_frames_next(&in, &payload, &len) <= 0)
		return 0;
	assert(payload == data + TD_FRAME_HEADER && len + TD_FRAME_HEADER == in.begin &&
		in.begin <= size);
	Tandem__Frame *frame = tandem__frame__unpack(NULL, len, payload);
	if (frame && frame->body_case == TANDEM__FRAME__BODY_POLICY)
		policy_take(frame->policy);
	if (frame)
		tandem__frame__free_unpacked(frame, NULL);
	return 0;
}
