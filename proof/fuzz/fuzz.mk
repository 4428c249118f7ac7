# The fuzzers, below build/fuzz. usage: make -f proof/fuzz/fuzz.mk
# After long runs `make -f proof/fuzz/fuzz.mk corpus` takes what they have found into the corpus, and what adds nothing out.
BUILD  ?= build
OUT     = $(BUILD)/fuzz
CLANG  ?= clang
FLAGS   = -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-omit-frame-pointer -Wall -Wextra
SAN     = -fsanitize=address,undefined -fno-sanitize-recover=all -fprofile-instr-generate -fcoverage-mapping
MODEL   = -include proof/fuzz/model.h
LUA     = -I/usr/include/lua5.4
LIBS    = /usr/lib/$(shell $(CLANG) -print-multiarch)/liblua5.4.a -lm -ldl

PLAYER  = $(filter-out src/launcher/start.c,$(wildcard src/launcher/*.c)) proof/fuzz/model.c
CORE    = $(wildcard src/core/*.c)
HEADERS = src/plan.h $(wildcard src/launcher/*.h src/core/*.h) proof/fuzz/model.h proof/fuzz/fuzz.mk

all: $(addprefix $(OUT)/,player plan parsers records)

$(OUT)/player: proof/fuzz/player.c $(PLAYER) $(HEADERS)
	@mkdir -p $(@D)
	$(CLANG) $(FLAGS) $(SAN) -fsanitize=fuzzer $(MODEL) $(filter %.c,$^) -o $@

# the archive has a handle.o, too: it stays there, as this one is linked before
$(OUT)/records: proof/fuzz/records.c $(OUT)/core.a $(OUT)/model.a src/core/handle.c src/core/hear.c src/core/launch.c src/core/process.c
	$(CLANG) $(FLAGS) $(SAN) -fsanitize=fuzzer $(LUA) $(filter-out src/%,$^) $(LIBS) -o $@

$(OUT)/model.a: $(PLAYER) $(HEADERS)
	@rm -rf $(OUT)/model
	@mkdir -p $(OUT)/model
	cd $(OUT)/model && $(CLANG) $(FLAGS) $(SAN) -include $(abspath proof/fuzz/model.h) -c \
	  $(abspath $(PLAYER))
	rm -f $@
	ar rc $@ $(OUT)/model/*.o

$(OUT)/core.a: $(CORE) $(HEADERS) $(BUILD)/launcher
	@rm -rf $(OUT)/core
	@mkdir -p $(OUT)/core
	cd $(OUT)/core && $(CLANG) $(FLAGS) $(SAN) -fsanitize=fuzzer-no-link -I/usr/include/lua5.4 \
	  -DLAUNCHER='"$(abspath $(BUILD)/launcher)"' -c $(abspath $(CORE))
	rm -f $@
	ar rc $@ $(OUT)/core/*.o

$(OUT)/%: proof/fuzz/lua.c $(OUT)/core.a $(OUT)/model.a
	$(CLANG) $(FLAGS) $(SAN) -fsanitize=fuzzer $(LUA) -DTARGET='"$*"' $^ $(LIBS) -o $@

corpus: all
	for t in plan player parsers records; do \
	  mkdir -p $(OUT)/found/$$t $(OUT)/least/$$t; \
	  LLVM_PROFILE_FILE=/dev/null $(OUT)/$$t -merge=1 -use_counters=0 -detect_leaks=0 $(OUT)/least/$$t proof/fuzz/corpus/$$t $(OUT)/found/$$t; \
	  rm -rf proof/fuzz/corpus/$$t; mv $(OUT)/least/$$t proof/fuzz/corpus/$$t; \
	done

.PHONY: all corpus
