# SPDX-License-Identifier: MIT
# make unit   builds and runs tests/unit/*.c; UNIT=name,... only those (without test_ and .c)
# make test-borrowed  CPython's tests without Airlock and with it; BORROWED= gives tests/borrowed/run arguments
# make test-image  builds the enclave image twice, measures and boots it
# make fuzz   builds tests/fuzz/fuzz_*.c and runs each for FUZZ_SECONDS; FUZZ=name,... only those
# make bench  ratios against peers (tests/bench/bench*.py); BENCH=--short shows that it runs
# make test   everything: unit, behaviour, system
# make test-vm  over AF_VSOCK, in virtual machines; VM= gives tests/vm/run arguments, such as --long
# A new file in either folder is picked up as it is: every test binary may use wire/, preload/shared/,
# preload/launcher/, hostd/, attest/ and tests/support/. They stand in an archive, so that a test links only what it calls.

comma := ,
test_choice = $(if $(3),$(addprefix $(1)_,$(subst $(comma), ,$(3))),$(2))

TESTED := $(filter-out %/main.c,$(WIRE) $(SHARED) $(LAUNCHER) $(HOSTD) $(TLS) $(ATTEST)) \
	$(wildcard tests/support/*.c)
TEST_LIBS = -lcares -pthread $(HOSTD_LIBS) $(TLS_LIBS) $(ATTEST_LIBS)

# --- unit tests (Criterion)

UNIT_NAMES := $(call test_choice,test,$(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c)),$(UNIT))
UNIT_BINARIES := $(UNIT_NAMES:%=$(BUILD)/test/unit/%)

# Rebuilt from nothing: ar would keep the members of sources that are gone.
$(BUILD)/test/unit/tested.a: $(call objects,program,$(TESTED))
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $^

$(UNIT_BINARIES): $(BUILD)/test/unit/%: $(BUILD)/obj/program/tests/unit/%.o \
		$(BUILD)/test/unit/tested.a
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ -lcriterion $(TEST_LIBS)

unit: $(UNIT_BINARIES)
	tests/unit/run $(UNIT_BINARIES)

# --- fuzzing (libFuzzer)

FUZZ_NAMES := $(call test_choice,fuzz,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c)),$(FUZZ))
FUZZ_BINARIES := $(FUZZ_NAMES:%=$(BUILD)/test/fuzz/%)
FUZZ_FLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
	-U_FORTIFY_SOURCE
# Zeroed variables would hide that one is read before it is set.
FUZZ_CFLAGS = $(filter-out -ftrivial-auto-var-init=zero,$(ALL_CFLAGS)) $(FUZZ_FLAGS)

$(BUILD)/obj/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(BUILD)/test/fuzz/tested.a: $(call objects,fuzz,$(TESTED))
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $^

$(FUZZ_BINARIES): $(BUILD)/test/fuzz/%: $(BUILD)/obj/fuzz/tests/fuzz/%.o \
		$(BUILD)/test/fuzz/tested.a
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(TEST_LIBS)

fuzz: $(FUZZ_BINARIES)
	tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ_BINARIES)

# --- benchmarks

BENCH_TOOLS := $(BUILD)/bench/pump $(BUILD)/bench/calls

$(BENCH_TOOLS): $(BUILD)/bench/%: $(BUILD)/obj/program/tests/bench/%.o $(call objects,program,$(WIRE))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ -pthread

$(BUILD)/bench/attest: $(BUILD)/obj/program/tests/bench/attest.o $(BUILD)/test/unit/tested.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(TEST_LIBS)

# What any preloaded library costs.
$(BUILD)/bench/empty.so:
	@mkdir -p $(@D)
	$(Q)$(CC) -shared -fPIC -Wl,-z,relro,-z,now -o $@ -xc /dev/null

bench: all $(BENCH_TOOLS) $(BUILD)/bench/attest $(BUILD)/bench/empty.so
	AIRLOCK_BUILD=$(BUILD) /usr/bin/python3 tests/bench/bench.py $(BENCH)
	AIRLOCK_BUILD=$(BUILD) /usr/bin/python3 tests/bench/bench_tls.py $(BENCH)
	AIRLOCK_BUILD=$(BUILD) /usr/bin/python3 tests/bench/bench_attest.py $(BENCH)

# --- everything

test:
	scripts/test --no-setup

test-vm: all
	AIRLOCK_BUILD=$(BUILD) tests/vm/run $(VM)

test-borrowed: all
	AIRLOCK_BUILD=$(BUILD) tests/borrowed/run $(BORROWED)

test-image: all
	AIRLOCK_BUILD=$(BUILD) tests/image/run

.SECONDARY: $(UNIT_NAMES:%=$(BUILD)/obj/program/tests/unit/%.o) \
	$(FUZZ_NAMES:%=$(BUILD)/obj/fuzz/tests/fuzz/%.o)
.PHONY: unit fuzz bench test test-vm test-borrowed test-image
