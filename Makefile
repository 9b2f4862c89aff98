# SPDX-License-Identifier: MIT
# make            everything into build/bin and build/lib
# make test       unit, behaviour and system tests (scripts/test adds the set-up)
# make demo       the demonstration (scripts/demo adds the set-up)
# make fuzz       every fuzz target for FUZZ_SECONDS each (clang)
# make bench      ratios against peers, into build/bench/
# make check      formatting, cppcheck, shellcheck, man page syntax
# make image      the enclave image of Dockerfile.enclave, by buildah or Docker; make eif its image file too
# make install    PREFIX, DESTDIR
# SANITIZE=address,undefined or thread (tests/README.md says how the library runs so); WERROR=1;
# BUILD=dir for a second tree beside the first.

BUILD  ?= build
PREFIX ?= /usr/local
CC     ?= cc
CLANG  ?= clang
FUZZ_SECONDS ?= 20

VERSION := $(shell cat VERSION)
# make V=1 shows the commands, otherwise only what is made.
Q = $(if $(V),,@echo "  MAKE $@";)
# What `airlock doctor` and airlock-tls hold the clock against: the newest change of the sources, so
# that a build repeats.
BUILD_TIME := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y VERSION))

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wconversion -Wno-sign-conversion
HARDENING := -fstack-protector-strong -fstack-clash-protection
# clang 14 wants a second flag, of a name that it promises to remove, before it accepts this one.
HARDENING += $(shell $(CC) -Werror -ftrivial-auto-var-init=zero -E -xc /dev/null >/dev/null 2>&1 && \
	echo -ftrivial-auto-var-init=zero)
ifeq ($(shell uname -m),x86_64)
HARDENING += -fcf-protection
endif
OPTIMISE ?= -O2
CFLAGS  ?= -g
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -I. $(WARNINGS) $(HARDENING) $(OPTIMISE) $(CFLAGS) \
	-DAIRLOCK_VERSION='"$(VERSION)"' -MMD -MP
ALL_LDFLAGS = -Wl,-z,relro,-z,now $(LDFLAGS)
ifdef WERROR
ALL_CFLAGS += -Werror
endif
ifdef SANITIZE
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
# The library has no runtime for undefined behaviour: where it meets any, it traps.
LIBRARY_TRAPS = -fsanitize-undefined-trap-on-error
else
ALL_CFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif

# airlock is also what is neither the library nor a program of its own in preload/: see the lists.
WIRE     := $(wildcard wire/*.c)
# Used by the library and by the launcher alike.
SHARED   := $(wildcard preload/shared/*.c)
LIBRARY  := $(wildcard preload/library/*.c)
LAUNCHER := $(wildcard preload/launcher/*.c)
HOSTD    := $(wildcard hostd/*.c)
TLS      := $(wildcard preload/tls/*.c)
TLS_LIBS = -lgnutls -lseccomp -lcbor
HOSTD_LIBS = -lmicrohttpd
ATTEST   := $(wildcard attest/*.c)
# What attested TLS needs of attest/: documents and their verification, and the NSM.
ATTESTED := $(addprefix attest/,exchange.c evidence.c trusted_files.c files.c error.c verify.c \
	result.c document.c cbor_reader.c chain.c certificate.c constraints.c der.c revocation.c \
	roots.c policy.c policy_check.c nsm.c nsm_message.c)
ATTEST_LIBS = -lcbor -lgnutls -lhogweed -lnettle -lgmp -lz

objects = $(patsubst %.c,$(BUILD)/obj/$(1)/%.o,$(2))

BINARIES := $(BUILD)/bin/airlock $(BUILD)/bin/airlock-hostd $(BUILD)/bin/airlock-tls \
	$(BUILD)/bin/airlock-attest
LIBAIRLOCK := $(BUILD)/lib/libairlock.so

all: $(BINARIES) $(LIBAIRLOCK)

# Programs.
$(BUILD)/obj/program/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIE -c -o $@ $<

DATED := preload/launcher/clock.o preload/tls/main.o preload/tls/tls_open.o
$(DATED:%=$(BUILD)/obj/program/%) $(DATED:%=$(BUILD)/obj/fuzz/%): ALL_CFLAGS += -DAIRLOCK_BUILD_TIME=$(BUILD_TIME)

$(BUILD)/bin/airlock: $(call objects,program,$(WIRE) $(SHARED) $(LAUNCHER))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^

$(BUILD)/bin/airlock-hostd: $(call objects,program,$(WIRE) $(HOSTD))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -pthread -o $@ $^ -lcares $(HOSTD_LIBS)

$(BUILD)/bin/airlock-tls: $(call objects,program,$(WIRE) $(SHARED) $(TLS) $(ATTESTED))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -pthread -o $@ $^ $(TLS_LIBS)

$(BUILD)/bin/airlock-attest: $(call objects,program,$(WIRE) $(ATTEST))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(ATTEST_LIBS)

# The library: wire/ and preload/shared/ again, with the socket calls bound to libc's own functions
# instead of to the hooks that this very library exports. Every program maps it: without separate
# code pages it has two segments less to map, which is a tenth of what loading it costs.
$(BUILD)/obj/library/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LIBRARY_TRAPS) -fPIC -fvisibility=hidden -ftls-model=initial-exec \
		$(if $(filter preload/library/%,$<),,-include preload/library/real_names.h) -c -o $@ $<

$(LIBAIRLOCK): $(call objects,library,$(WIRE) $(SHARED) $(LIBRARY)) preload/library/libairlock.map
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) $(LIBRARY_TRAPS) -shared -Wl,--version-script=preload/library/libairlock.map \
		-Wl,-z,noseparate-code -Wl,-O1 -Wl,-soname,libairlock.so -o $@ $(filter %.o,$^)

include tests/tests.mk

demo: all
	demo/run

# The enclave image and its file; see README.md.
image:
	BUILD=$(BUILD) scripts/build-image

eif: image $(BUILD)/bin/airlock-attest
	BUILD=$(BUILD) scripts/build-eif

check:
	scripts/check

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/airlock \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/doc/airlock/examples \
		$(DESTDIR)$(PREFIX)/lib/systemd/system
	install $(BINARIES) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(LIBAIRLOCK) $(DESTDIR)$(PREFIX)/lib/airlock
	for section in 1 5 8; do install -m 644 man/*.$$section \
		$(DESTDIR)$(PREFIX)/share/man/man$$section || exit 1; done
	install -m 644 man/examples/* $(DESTDIR)$(PREFIX)/share/doc/airlock/examples
	sed 's|@PREFIX@|$(PREFIX)|' man/airlock-hostd.service.in \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/airlock-hostd.service

clean:
	rm -rf $(BUILD)

.PHONY: all demo image eif check install clean
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
