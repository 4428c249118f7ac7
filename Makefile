# The commands of this project; `make help` lists them. Variables that a user may set stand first.

LUA_VERSION ?= 5.4
LUA_INCDIR  ?= $(patsubst %/lua.h,%,$(firstword $(wildcard $(LUA_PLACES:=/lua.h))))
PREFIX      ?= /usr/local
LUA_LIBDIR  ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
LUA_SHAREDIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
BINDIR      ?= $(PREFIX)/bin
LUA         ?= lua$(LUA_VERSION)
CC          ?= gcc
CPPFLAGS    ?=
CFLAGS      ?= -O2 -fPIC
LDFLAGS     ?=
LIBFLAG     ?= -shared
DESTDIR     ?=
# not from the environment, where they may mean something else
BUILD        = build
FORM         = long

LUA_PLACES = /usr/include/lua$(LUA_VERSION) /usr/local/include/lua$(LUA_VERSION) /usr/include/lua-$(LUA_VERSION) \
	/usr/include/lua$(subst .,,$(LUA_VERSION)) /usr/local/include /usr/include/lua $(BUILD)/lua$(LUA_VERSION)/include

# LuaJIT loads what is built with the headers of 5.1
VERSIONS = 5.1 5.2 5.3 5.4 $(if $(wildcard /usr/include/lua5.5/lua.h $(BUILD)/lua5.5),5.5)
LUAS     = lua5.1 lua5.2 lua5.3 lua5.4 luajit

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
LAUNCHER_CFLAGS = -std=gnu11 -Os $(WARNINGS) -Wconversion -ffreestanding -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-pic -no-pie -nostdlib -static \
	-Wl,--build-id=none,-z,noseparate-code,-z,norelro,-z,noexecstack,-n,-s
CORE_CFLAGS = -std=gnu11 -D_GNU_SOURCE -fvisibility=hidden $(WARNINGS) -DLAUNCHER='"$(LAUNCHER)"'
LUA_CFLAGS = -DNS_LUA=$(subst .,0,$(LUA_VERSION)) $(if $(LUA_INCDIR),-I$(call quoted,$(LUA_INCDIR)))

# It is never unloaded: a Lua state that is closed finalizes what finalizers have made when its libraries are gone.
STAYS = -Wl,-z,nodelete

LAUNCHER = $(BUILD)/launcher
CORE     = $(BUILD)/$(LUA_VERSION)/ns/core.so
PLAYER_C = $(filter-out src/launcher/start.c,$(wildcard src/launcher/*.c))
CORE_C   = $(wildcard src/core/*.c) $(PLAYER_C)
HEADERS  = src/plan.h $(wildcard src/core/*.h src/launcher/*.h)
ROOMS    = $(patsubst lua/ns/%/,%,$(wildcard lua/ns/*/))
LUA_FILES = $(patsubst lua/ns/%,%,$(wildcard lua/ns/*.lua lua/ns/*/*.lua))

# a text as one word of the shell, whatever is in it
quoted = '$(subst ','\'',$1)'
TO_LIB   = $(call quoted,$(DESTDIR)$(LUA_LIBDIR)/ns)
TO_SHARE = $(call quoted,$(DESTDIR)$(LUA_SHAREDIR)/ns)
TO_BIN   = $(call quoted,$(DESTDIR)$(BINDIR))

all: $(CORE) ## builds the module for Lua LUA_VERSION (5.4)

$(LAUNCHER): $(wildcard src/launcher/*.c) $(HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(LAUNCHER_CFLAGS) $(wildcard src/launcher/*.c) -o $@

$(CORE): $(CORE_C) $(HEADERS) $(LAUNCHER) Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC $(CORE_CFLAGS) $(LUA_CFLAGS) $(LDFLAGS) $(LIBFLAG) $(STAYS) $(CORE_C) -o $@

versions: $(LAUNCHER) ## builds it for Lua 5.1 to 5.5 and LuaJIT
	@printf '%s\n' $(VERSIONS) | xargs -P "$$(nproc)" -I {} $(MAKE) --no-print-directory -s LUA_VERSION={}

install: all ## installs it below PREFIX (/usr/local)
	install -d $(TO_LIB) $(TO_BIN) $(TO_SHARE) $(addprefix $(TO_SHARE)/,$(ROOMS))
	install -m 755 $(CORE) $(TO_LIB)/core.so
	for f in $(LUA_FILES); do install -m 644 lua/ns/$$f $(TO_SHARE)/$$f || exit; done
	for f in nsbox nsbox-oci; do sed '1s|lua$$|$(LUA)|' bin/$$f >$(TO_BIN)/$$f && chmod 755 $(TO_BIN)/$$f || exit; done

uninstall: ## removes what was installed, with the same variables
	rm -f $(TO_LIB)/core.so $(TO_BIN)/nsbox $(TO_BIN)/nsbox-oci $(addprefix $(TO_SHARE)/,$(LUA_FILES))
	for d in $(TO_LIB) $(addprefix $(TO_SHARE)/,$(ROOMS)) $(TO_SHARE); do [ ! -d "$$d" ] || rmdir --ignore-fail-on-non-empty "$$d"; done

# ---- what a user runs ----

NEED = sh tools/need.sh
LUA_ENV = LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;' LUA_CPATH='$(CURDIR)/$(BUILD)/5.4/?.so;;'

demo: ## a shell in new namespaces; DEMO=-i: with you at it
	@$(NEED) demo
	@$(MAKE) --no-print-directory -s LUA_VERSION=5.4
	@$(LUA_ENV) lua5.4 examples/newns.lua $(DEMO)

test: ## all specs on all Luas, and the short form of the proof; SPEC=spec/x_spec.lua: these alone
	@$(NEED) test
	@$(if $(filter lua5.5,$(LUAS)),sh tools/lua55.sh || true)
	@$(MAKE) --no-print-directory versions
	@sh tools/test.sh "$(LUAS)" $(SPEC)

proof: ## the long form of the proof; PART="...": some parts, FORM=short: the short form
	@$(NEED) test $(FORM)
	@$(MAKE) --no-print-directory versions
	@sh proof/run.sh $(FORM) $(PART)

hosts: ## the specs on the hosts that people have; HOSTS="systemd|docker": some of them, SPEC=spec/x_spec.lua: these alone
	@$(NEED) test $(FORM)
	@sh tools/lua55.sh || true
	@$(MAKE) --no-print-directory versions
	@HOSTS='$(HOSTS)' SPEC='$(SPEC)' sh proof/run.sh $(FORM) hosts

cluster-test: ## ns.slurm with a Slurm of three nodes, which is started on this machine's loopback
	@$(NEED) test cluster
	@$(MAKE) --no-print-directory -s LUA_VERSION=5.4
	@LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;proof/?.lua;;' LUA_CPATH='$(BUILD)/5.4/?.so;;' \
	  lua5.4 proof/cluster.lua $(FORM) $(PART) </dev/null

bench: ## figures beside a C floor, unshare and bwrap
	@$(NEED) bench
	@$(MAKE) --no-print-directory -s LUA_VERSION=5.4
	@sh bench/run.sh

# ---- the house ----

STRICT = -fsyntax-only -Wconversion -Wformat=2 -Werror

lint: $(LAUNCHER) ## looks at all C and Lua; prints its commands, and nothing else if all is well
	@$(NEED) lint
	luacheck -q .
	$(CC) $(STRICT) $(CORE_CFLAGS) -I/usr/include/lua5.4 $(CORE_C)
	$(CC) $(STRICT) $(CORE_CFLAGS) -I/usr/include/lua5.1 $(CORE_C)
	$(CC) $(STRICT) -std=gnu11 -Os $(WARNINGS) -ffreestanding $(wildcard src/launcher/*.c)
	cppcheck -q --error-exitcode=1 --std=c11 --enable=warning,portability,performance --inline-suppr \
	  --suppress=comparePointers -D__x86_64__ -D_GNU_SOURCE '-DLAUNCHER="x"' src
	clang-format -n --Werror src/*.h src/*/*.[ch]

docs: ## the manual, below build/docs; fails where words are missing
	@$(NEED) docs
	@sh tools/docs.sh

clean: ## removes what was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

.PHONY: all versions install uninstall demo test proof hosts cluster-test bench lint docs clean help
