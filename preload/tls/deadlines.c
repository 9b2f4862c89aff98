// SPDX-License-Identifier: MIT
#include "preload/tls/deadlines.h"

#include <limits.h>
#include <utlist.h>

// The last one that is due no later, searched from the end; NULL: none.
static struct deadline *find_predecessor(const struct deadline_list *list, uint64_t due)
{
	struct deadline *at =
		list->first ? list->first->prev : NULL; // utlist: first's prev is last

	while (at && at->due > due)
		at = at == list->first ? NULL : at->prev;
	return at;
}

void deadline_arm(struct deadline_list *list, struct deadline *deadline, uint64_t due)
{
	struct deadline *before;

	deadline_cancel(deadline);
	before = find_predecessor(list, due);
	deadline->due = due;
	deadline->list = list;
	if (before)
		DL_APPEND_ELEM(list->first, before, deadline);
	else
		DL_PREPEND(list->first, deadline);
}

void deadline_cancel(struct deadline *deadline)
{
	if (!deadline->list)
		return;
	DL_DELETE(deadline->list->first, deadline);
	deadline->list = NULL;
}

int deadlines_wait(const struct deadline_list *lists, size_t count, uint64_t now)
{
	uint64_t wait = UINT64_MAX;

	for (size_t i = 0; i < count; i++) {
		const struct deadline *first = lists[i].first;

		if (first && first->due <= now)
			return 0;
		if (first && first->due - now < wait)
			wait = first->due - now;
	}
	if (wait == UINT64_MAX)
		return -1;
	return wait > INT_MAX ? INT_MAX : (int)wait;
}

struct deadline *deadlines_take(struct deadline_list *lists, size_t count, uint64_t now)
{
	for (size_t i = 0; i < count; i++) {
		struct deadline *first = lists[i].first;

		if (first && first->due <= now) {
			deadline_cancel(first);
			return first;
		}
	}
	return NULL;
}
