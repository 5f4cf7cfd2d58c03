# SPDX-License-Identifier: BSD-3-Clause
# A thin front of meson: `make help` says what there is.
BUILD ?= build
SUITE ?=
ONLY ?=
T ?= 60
PYTHON ?= /usr/bin/python3

.PHONY: all help deps test bench budget lint asan fuzz install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@mkdir -p $(BUILD)
	@meson setup $(BUILD) $(MESON_ARGS) >$(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log; exit 1; }

help:
	@echo 'make            build both daemons and tandemctl into $(BUILD)/'
	@echo 'make deps       install what building and testing need (Debian packages; root)'
	@echo 'make test       everything; SUITE=lint|unit|fuzz|sim|gates|e2e for one part'
	@echo 'make bench      one JSON object a line; ONLY=name, SEED=n, DATA=folder'
	@echo 'make budget     count instructions anew and write perf/budget.json, which SUITE=gates holds to'
	@echo 'make lint       the house rules: layers, lengths, headers that compile alone'
	@echo 'make asan       unit tests, fuzz replay and simulator under ASan + UBSan, gcc and clang'
	@echo 'make fuzz T=60  every fuzzer for T seconds'
	@echo 'make install    DESTDIR= and PREFIX= as usual'

deps:
	@./quickstart deps

test: all
	@BUILD=$(BUILD) $(PYTHON) tests/run.py $(SUITE)

# Nothing but the benchmarks' lines on standard output.
bench: $(BUILD)/build.ninja
	@ninja -C $(BUILD) >&2
	@BUILD=$(BUILD) $(PYTHON) perf/bench.py $(ONLY)

budget: all
	@BUILD=$(BUILD) $(PYTHON) tests/gates/gate_budget.py --write

lint:
	@BUILD=$(BUILD) $(PYTHON) tests/run.py lint

asan:
	@for cc in gcc clang; do \
	  CC=$$cc; export CC; \
	  [ -f $(BUILD)-asan-$$cc/build.ninja ] || meson setup $(BUILD)-asan-$$cc \
	    -Db_sanitize=address,undefined -Db_lundef=false --buildtype=debugoptimized || exit 1; \
	  ninja -C $(BUILD)-asan-$$cc && BUILD=$(BUILD)-asan-$$cc $(PYTHON) tests/run.py unit fuzz sim || exit 1; \
	done

fuzz:
	@[ -f $(BUILD)-fuzz/build.ninja ] || CC=clang meson setup $(BUILD)-fuzz -Dfuzz=true --buildtype=debugoptimized
	@ninja -C $(BUILD)-fuzz
	@$(PYTHON) tests/fuzz/run.py $(BUILD)-fuzz $(T)

install: all
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir $(DESTDIR))

clean:
	@rm -rf $(BUILD) $(BUILD)-asan-gcc $(BUILD)-asan-clang $(BUILD)-fuzz $(BUILD)-pure
