// SPDX-License-Identifier: MIT
#include "wire/buffer.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#ifdef __aarch64__
#define TRAP SIGTRAP
#else
#define TRAP SIGILL
#endif

static size_t pieces_length(const struct iovec *pieces, int count)
{
	size_t length = 0;

	for (int i = 0; i < count; i++)
		length += pieces[i].iov_len;
	return length;
}

Test(buffer, nothing_attached_has_neither_space_nor_data)
{
	struct buffer buffer = {.data = NULL};
	struct iovec pieces[2];

	cr_assert_eq(buffer_space(&buffer), 0);
	cr_assert_eq(buffer_space_pieces(&buffer, pieces), 0);
	cr_assert_eq(buffer_data_pieces(&buffer, 99, pieces), 0);
}

Test(buffer, detaching_gives_the_memory_back)
{
	uint8_t memory[8];
	struct buffer buffer;

	buffer_attach(&buffer, memory, sizeof(memory));
	cr_assert_eq(buffer_space(&buffer), 8);
	cr_assert_eq(buffer_detach(&buffer), memory);
	cr_assert_eq(buffer_space(&buffer), 0);
	cr_assert_null(buffer.data);
}

Test(buffer, data_that_runs_past_the_end_is_two_pieces)
{
	uint8_t memory[8];
	struct buffer buffer;
	struct iovec pieces[2];

	buffer_attach(&buffer, memory, sizeof(memory));
	buffer_produce(&buffer, 6);
	buffer_consume(&buffer, 4);
	cr_assert_eq(buffer_space_pieces(&buffer, pieces), 2);
	cr_assert_eq(pieces[0].iov_base, memory + 6);
	cr_assert_eq(pieces[0].iov_len, 2);
	cr_assert_eq(pieces[1].iov_base, memory);
	cr_assert_eq(pieces[1].iov_len, 4);

	buffer_produce(&buffer, 5);
	cr_assert_eq(buffer_data_pieces(&buffer, 99, pieces), 2);
	cr_assert_eq(pieces[0].iov_base, memory + 4);
	cr_assert_eq(pieces[0].iov_len, 4);
	cr_assert_eq(pieces[1].iov_base, memory);
	cr_assert_eq(pieces[1].iov_len, 3);
	cr_assert_eq(buffer_space_pieces(&buffer, pieces), 1);
	cr_assert_eq(pieces[0].iov_base, memory + 3);
	cr_assert_eq(pieces[0].iov_len, 1);
}

Test(buffer, a_limit_cuts_the_data_but_not_the_buffer)
{
	uint8_t memory[8];
	struct buffer buffer;
	struct iovec pieces[2];

	buffer_attach(&buffer, memory, sizeof(memory));
	buffer_produce(&buffer, 7);
	buffer_consume(&buffer, 6);
	buffer_produce(&buffer, 5); // bytes 6, 7, 0, 1, 2, 3
	cr_assert_eq(buffer_data_pieces(&buffer, 0, pieces), 0);
	cr_assert_eq(buffer_data_pieces(&buffer, 2, pieces), 1);
	cr_assert_eq(buffer_data_pieces(&buffer, 3, pieces), 2);
	cr_assert_eq(pieces[1].iov_len, 1);
	cr_assert_eq(buffer.length, 6);
}

Test(buffer, a_full_buffer_has_no_space)
{
	uint8_t memory[8];
	struct buffer buffer;
	struct iovec pieces[2];

	buffer_attach(&buffer, memory, sizeof(memory));
	buffer_produce(&buffer, 8);
	cr_assert_eq(buffer_space(&buffer), 0);
	cr_assert_eq(buffer_space_pieces(&buffer, pieces), 0);
	cr_assert_eq(buffer_data_pieces(&buffer, 99, pieces), 1);
	cr_assert_eq(pieces[0].iov_len, 8);
}

Test(buffer, an_emptied_buffer_is_one_piece_again)
{
	uint8_t memory[8];
	struct buffer buffer;
	struct iovec pieces[2];

	buffer_attach(&buffer, memory, sizeof(memory));
	buffer_produce(&buffer, 5);
	buffer_consume(&buffer, 5);
	cr_assert_eq(buffer_space_pieces(&buffer, pieces), 1);
	cr_assert_eq(pieces[0].iov_base, memory);
	cr_assert_eq(pieces[0].iov_len, 8);
}

// Bytes counted up on one side must come out counted up on the other, whatever the sizes.
Test(buffer, bytes_come_out_in_the_order_they_went_in)
{
	uint8_t memory[7], written = 0, expected = 0;
	struct buffer buffer;
	struct iovec pieces[2];

	srandom(1);
	buffer_attach(&buffer, memory, sizeof(memory));
	for (int round = 0; round < 10000; round++) {
		int count = buffer_space_pieces(&buffer, pieces);
		cr_assert_eq(pieces_length(pieces, count), buffer_space(&buffer));
		size_t wanted = (size_t)random() % (buffer_space(&buffer) + 1), done = 0;
		for (int i = 0; i < count; i++)
			for (size_t j = 0; j < pieces[i].iov_len && done < wanted; j++, done++)
				((uint8_t *)pieces[i].iov_base)[j] = written++;
		buffer_produce(&buffer, done);

		wanted = (size_t)random() % (buffer.length + 1);
		count = buffer_data_pieces(&buffer, wanted, pieces);
		cr_assert_eq(pieces_length(pieces, count), wanted);
		for (int i = 0; i < count; i++)
			for (size_t j = 0; j < pieces[i].iov_len; j++)
				cr_assert_eq(((uint8_t *)pieces[i].iov_base)[j], expected++);
		buffer_consume(&buffer, wanted);
	}
}

Test(buffer, producing_past_the_space_traps, .signal = TRAP)
{
	uint8_t memory[8];
	struct buffer buffer;

	buffer_attach(&buffer, memory, sizeof(memory));
	buffer_produce(&buffer, 9);
}

Test(buffer, consuming_past_the_data_traps, .signal = TRAP)
{
	uint8_t memory[8];
	struct buffer buffer;

	buffer_attach(&buffer, memory, sizeof(memory));
	buffer_produce(&buffer, 3);
	buffer_consume(&buffer, 4);
}
