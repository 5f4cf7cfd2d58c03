// SPDX-License-Identifier: BSD-3-Clause
// The management socket with a handler of the test's: frames in pieces, garbage, too long, too
// many, nobody reading.
#include "dataplane/mgmt.h"

#include "include/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct td_mgmt mgmt;
static char path[64];
static uint32_t n_opened, n_frames, job_turns;

static void on_opened(void *ctx, struct td_mgmt_conn *conn)
{
	n_opened++;
}

// StatusRequest is answered at once, Drain by a job of three turns, Show by more than a connection
// may be owed.
static void on_frame(void *ctx, struct td_mgmt_conn *conn, const Tandem__Frame *frame)
{
	n_frames++;
	if (frame->body_case == TANDEM__FRAME__BODY_DRAIN) {
		conn->job = (struct td_mgmt_job){ .kind = 1, .id = frame->id };
	} else if (frame->body_case == TANDEM__FRAME__BODY_SHOW) {
		static char text[100000];
		memset(text, 'x', sizeof(text) - 1);
		for (int i = 0; i < 50; i++)
			td_mgmt_send_error(conn, frame->id, 1, text);
	} else {
		td_mgmt_send_done(conn, frame->id, n_frames);
	}
}

static void on_resume(void *ctx, struct td_mgmt_conn *conn)
{
	if (++job_turns < 3)
		return;
	uint64_t id = conn->job.id;
	conn->job.kind = 0;
	td_mgmt_send_done(conn, id, 77);
}

static int setup(void **state)
{
	struct td_mgmt_handler handler = { on_opened, on_frame, on_resume, NULL };

	n_opened = n_frames = job_turns = 0;
	snprintf(path, sizeof(path), "/tmp/td-mgmt-%d.sock", getpid());
	return td_mgmt_open(&mgmt, path, &handler);
}

static int teardown(void **state)
{
	td_mgmt_close(&mgmt);
	return access(path, F_OK) == 0 ? -1 : 0;
}

static int client(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	struct timeval patience = { .tv_sec = 5 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void turns(int n)
{
	while (n-- > 0) {
		td_mgmt_wait(&mgmt, 10);
		td_mgmt_turn(&mgmt);
	}
}

static size_t frame_make(uint8_t *dst, uint64_t id, Tandem__Frame__BodyCase body)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__StatusRequest status = TANDEM__STATUS_REQUEST__INIT;
	Tandem__Drain drain = TANDEM__DRAIN__INIT;
	Tandem__Show show = TANDEM__SHOW__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = body;
	if (body == TANDEM__FRAME__BODY_DRAIN)
		frame.drain = &drain;
	else if (body == TANDEM__FRAME__BODY_SHOW)
		frame.show = &show;
	else
		frame.status_request = &status;
	size_t len = tandem__frame__pack(&frame, dst + TD_FRAME_HEADER);
	td_frame_header(dst, (uint32_t)len);
	return TD_FRAME_HEADER + len;
}

static Tandem__Frame *frame_read(int fd)
{
	static uint8_t bytes[1 << 20];

	assert_int_equal(recv(fd, bytes, TD_FRAME_HEADER, MSG_WAITALL), TD_FRAME_HEADER);
	uint32_t len = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
		       (uint32_t)bytes[2] << 8 | bytes[3];
	assert_true(len < sizeof(bytes));
	assert_int_equal(recv(fd, bytes, len, MSG_WAITALL), len);
	return tandem__frame__unpack(NULL, len, bytes);
}

static void expect_done(int fd, uint64_t id)
{
	Tandem__Frame *frame = frame_read(fd);

	assert_non_null(frame);
	assert_int_equal(frame->body_case, TANDEM__FRAME__BODY_DONE);
	assert_int_equal(frame->id, id);
	tandem__frame__free_unpacked(frame, NULL);
}

static void expect_error_and_end(int fd, int code)
{
	Tandem__Frame *frame = frame_read(fd);
	char rest;

	assert_non_null(frame);
	assert_int_equal(frame->body_case, TANDEM__FRAME__BODY_ERROR);
	assert_int_equal(frame->error->code, code);
	tandem__frame__free_unpacked(frame, NULL);
	assert_int_equal(recv(fd, &rest, 1, 0), 0);
}

static void test_frames_come_in_any_pieces(void **state)
{
	uint8_t bytes[256];
	size_t len = 0;
	int fd = client();

	for (uint64_t id = 1; id <= 3; id++)
		len += frame_make(bytes + len, id, TANDEM__FRAME__BODY_STATUS_REQUEST);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(send(fd, bytes + i, 1, 0), 1);
		turns(1);
	}
	turns(2);
	assert_int_equal(n_opened, 1);
	for (uint64_t id = 1; id <= 3; id++)
		expect_done(fd, id);
	close(fd);
	turns(2);
	assert_int_equal(mgmt.conns[0].fd, -1);
}

static void test_a_job_holds_what_follows(void **state)
{
	uint8_t bytes[256];
	size_t len;
	int fd = client();

	len = frame_make(bytes, 5, TANDEM__FRAME__BODY_DRAIN);
	len += frame_make(bytes + len, 6, TANDEM__FRAME__BODY_STATUS_REQUEST);
	assert_int_equal(send(fd, bytes, len, 0), len);
	turns(2);
	assert_int_equal(n_frames, 1);
	turns(4);
	assert_int_equal(n_frames, 2);
	expect_done(fd, 5);
	expect_done(fd, 6);
	close(fd);
}

static void test_at_most_64_frames_a_turn(void **state)
{
	uint8_t bytes[100 * 32];
	size_t len = 0;
	int fd = client();

	for (uint64_t id = 1; id <= 100; id++)
		len += frame_make(bytes + len, id, TANDEM__FRAME__BODY_STATUS_REQUEST);
	turns(1);
	assert_int_equal(send(fd, bytes, len, 0), len);
	td_mgmt_wait(&mgmt, 100);
	assert_true(td_mgmt_turn(&mgmt) <= TD_MGMT_FRAMES_PER_TURN);
	turns(3);
	assert_int_equal(n_frames, 100);
	close(fd);
}

static void test_garbage_is_answered_and_closed(void **state)
{
	int fd = client();

	assert_int_equal(send(fd, "\0\0\0\4\xff\xff\xff\xff", 8, 0), 8);
	turns(3);
	expect_error_and_end(fd, EBADMSG);
	close(fd);
}

static void test_a_long_frame_is_refused_by_its_length(void **state)
{
	int fd = client();

	assert_int_equal(send(fd, "\xff\xff\xff\xff", 4, 0), 4);
	turns(3);
	expect_error_and_end(fd, EMSGSIZE);
	close(fd);
}

static void test_another_version_is_refused(void **state)
{
	int fd = client();

	assert_int_equal(send(fd, "\0\0\0\2\x08\x02", 6, 0), 6); // version = 2
	turns(3);
	expect_error_and_end(fd, EPROTONOSUPPORT);
	close(fd);
}

static void test_who_does_not_read_is_closed(void **state)
{
	uint8_t bytes[64];
	int fd = client();
	size_t len = frame_make(bytes, 1, TANDEM__FRAME__BODY_SHOW);

	assert_int_equal(send(fd, bytes, len, 0), len);
	turns(3);
	assert_int_equal(mgmt.conns[0].fd, -1);
	close(fd);
}

static void test_more_connections_than_slots(void **state)
{
	int fds[TD_MGMT_CONNS + 1];
	char byte;

	for (int i = 0; i <= TD_MGMT_CONNS; i++) {
		fds[i] = client();
		turns(1);
	}
	turns(1);
	assert_int_equal(recv(fds[TD_MGMT_CONNS], &byte, 1, 0), 0);
	assert_int_equal(n_opened, TD_MGMT_CONNS);
	for (int i = 0; i <= TD_MGMT_CONNS; i++)
		close(fds[i]);
}

static void test_a_tag_dies_with_its_connection(void **state)
{
	int fd = client();

	turns(1);
	uint64_t tag = td_mgmt_tag(&mgmt.conns[0]);
	assert_ptr_equal(td_mgmt_tagged(&mgmt, tag), &mgmt.conns[0]);
	close(fd);
	turns(2);
	assert_null(td_mgmt_tagged(&mgmt, tag));
	fd = client();
	turns(1);
	assert_null(td_mgmt_tagged(&mgmt, tag));
	assert_null(td_mgmt_tagged(&mgmt, 0));
	close(fd);
}

static void test_the_socket_is_private_and_single(void **state)
{
	struct td_mgmt second;
	struct td_mgmt_handler handler = { on_opened, on_frame, on_resume, NULL };
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(td_mgmt_open(&second, path, &handler), -EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
}

// Two bytes of an empty submessage unpack to hundreds: the arena says no in time.
static void test_the_arena_is_bounded(void **state)
{
	struct td_arena arena;
	void *ptr = &arena;
	size_t n = 0;

	td_arena_init(&arena);
	while (n < 1000 && (ptr = arena.allocator.alloc(arena.allocator.allocator_data, 1 << 20)))
		n++;
	assert_null(ptr);
	assert_int_equal(n, TD_ARENA_MAX >> 20);
	td_arena_reset(&arena);
	assert_non_null(arena.allocator.alloc(arena.allocator.allocator_data, 100));
	assert_null(arena.allocator.alloc(arena.allocator.allocator_data, SIZE_MAX));
	td_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames_come_in_any_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_job_holds_what_follows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_at_most_64_frames_a_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_garbage_is_answered_and_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_long_frame_is_refused_by_its_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_version_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_does_not_read_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_connections_than_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_tag_dies_with_its_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_socket_is_private_and_single, setup, teardown),
		cmocka_unit_test(test_the_arena_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
