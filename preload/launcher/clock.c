// SPDX-License-Identifier: MIT
#include "preload/launcher/clock.h"

#include <time.h>

static void format_date(time_t when, char text[static CLOCK_TEXT_SIZE])
{
	struct tm parts;

	gmtime_r(&when, &parts);
	strftime(text, CLOCK_TEXT_SIZE, "%Y-%m-%d %H:%M:%SZ", &parts);
}

struct clock_reading clock_read(void)
{
	time_t built = (time_t)AIRLOCK_BUILD_TIME;
	time_t now = time(NULL);
	struct clock_reading reading = {.is_wrong = now < built};

	format_date(now, reading.now);
	format_date(built, reading.built);
	return reading;
}
