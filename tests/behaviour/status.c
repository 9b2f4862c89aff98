// SPDX-License-Identifier: MIT
// Says that it ran and ends with 42: a program whose file the launcher's tests make unfit for the
// preload.
#include <stdio.h>

int main(void)
{
	puts("ran");
	return 42;
}
