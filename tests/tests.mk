# SPDX-License-Identifier: MIT
test:
	scripts/test --no-setup
.PHONY: test
