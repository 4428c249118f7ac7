# The commands of this project; `make help` lists them. Variables that a user may set stand first.

LUA_VERSION ?= 5.4
LUA_INCDIR  ?= $(firstword $(wildcard /usr/include/lua$(LUA_VERSION) /usr/local/include/lua$(LUA_VERSION) /usr/local/include /usr/include/lua))
PREFIX      ?= /usr/local
LUA_LIBDIR  ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
LUA_SHAREDIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
BUILD       ?= build
CC          ?= gcc
CFLAGS      ?= -O2 -fPIC
LIBFLAG     ?= -shared
DESTDIR     ?=

# LuaJIT loads what is built with the headers of 5.1
VERSIONS = 5.1 5.2 5.3 5.4
LUAS     = lua5.1 lua5.2 lua5.3 lua5.4 luajit

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
LAUNCHER_CFLAGS = -std=gnu11 -Os $(WARNINGS) -Wconversion -ffreestanding -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-pic -no-pie -nostdlib -static \
	-Wl,--build-id=none,-z,noseparate-code,-z,norelro,-z,noexecstack,-n,-s
CORE_CFLAGS = -std=gnu11 -D_GNU_SOURCE -fvisibility=hidden $(WARNINGS) -DLAUNCHER='"$(LAUNCHER)"'

LAUNCHER = $(BUILD)/launcher
CORE     = $(BUILD)/$(LUA_VERSION)/ns/core.so
PLAYER_C = $(filter-out src/launcher/start.c,$(wildcard src/launcher/*.c))
CORE_C   = $(wildcard src/core/*.c) $(PLAYER_C)
HEADERS  = src/plan.h $(wildcard src/core/*.h src/launcher/*.h)
LUA_FILES = $(wildcard lua/ns/*.lua)

all: $(CORE)

$(LAUNCHER): $(wildcard src/launcher/*.c) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(LAUNCHER_CFLAGS) $(wildcard src/launcher/*.c) -o $@

$(CORE): $(CORE_C) $(HEADERS) $(LAUNCHER) Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fPIC $(CORE_CFLAGS) -I$(LUA_INCDIR) $(LIBFLAG) $(CORE_C) -o $@

versions: $(LAUNCHER)
	@set -e; for v in $(VERSIONS); do $(MAKE) --no-print-directory -s LUA_VERSION=$$v; done

install: all
	install -d $(DESTDIR)$(LUA_LIBDIR)/ns $(DESTDIR)$(LUA_SHAREDIR)/ns
	install -m 755 $(CORE) $(DESTDIR)$(LUA_LIBDIR)/ns/core.so
	install -m 644 $(LUA_FILES) $(DESTDIR)$(LUA_SHAREDIR)/ns

# ---- what a user runs ----

NEED = sh tools/need.sh
LUA_ENV = LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;' LUA_CPATH='$(CURDIR)/$(BUILD)/5.4/?.so;;'

demo:
	@$(NEED) demo
	@$(MAKE) --no-print-directory -s LUA_VERSION=5.4
	@$(LUA_ENV) lua5.4 examples/newns.lua $(DEMO)

test:
	@$(NEED) test proof
	@$(MAKE) --no-print-directory versions
	@sh tools/test.sh "$(LUAS)" $(SPEC)

proof:
	@$(NEED) test proof
	@$(MAKE) --no-print-directory versions
	@sh proof/run.sh long $(PART)

# on other kernels, in a virtual machine
KERNELS = linux-image-6.12-cloud-amd64 linux-image-cloud-amd64

vm-test:
	@$(NEED) test vm
	@$(MAKE) --no-print-directory versions
	@set -e; for kernel in $(KERNELS); do bash proof/vm.sh $$kernel sh tools/test.sh lua5.4 $(or $(SPEC),spec); done

bench:
	@$(NEED) bench
	@$(MAKE) --no-print-directory -s LUA_VERSION=5.4
	@sh bench/run.sh

# ---- the house ----

STRICT = -fsyntax-only -Wconversion -Wformat=2 -Werror

lint: $(LAUNCHER)
	@$(NEED) lint
	luacheck -q .
	$(CC) $(STRICT) $(CORE_CFLAGS) -I/usr/include/lua5.4 $(CORE_C)
	$(CC) $(STRICT) $(CORE_CFLAGS) -I/usr/include/lua5.1 $(CORE_C)
	$(CC) $(STRICT) -std=gnu11 -Os $(WARNINGS) -ffreestanding $(wildcard src/launcher/*.c)
	cppcheck -q --error-exitcode=1 --std=c11 --enable=warning,portability,performance --inline-suppr \
	  --suppress=comparePointers -D__x86_64__ -D_GNU_SOURCE '-DLAUNCHER="x"' src
	clang-format -n --Werror src/*.h src/*/*.[ch]

docs:
	@$(NEED) docs
	ldoc --fatalwarnings .

clean:
	rm -rf $(BUILD)

.PHONY: all versions install demo test proof vm-test bench lint docs clean
