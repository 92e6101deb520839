# SPDX-License-Identifier: Apache-2.0
# A thin front of Meson. Each target installs what it needs (packaging/install-deps.sh) and may be the first command in
# a fresh clone.

BUILD  ?= build
PREFIX ?= /usr/local
# Debian's own, whatever comes first in PATH: python3-pytest belongs to its python3.
MESON  ?= $(firstword $(wildcard /usr/bin/meson) meson)
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)

.PHONY: all build demo check bench fuzz lint install clean deps-build deps-check deps-bench

all: build

deps-build:
	@packaging/install-deps.sh build

deps-check:
	@packaging/install-deps.sh check

deps-bench:
	@packaging/install-deps.sh bench

build: deps-build
	@test -f $(BUILD)/release/build.ninja || \
		$(MESON) setup --buildtype=release --prefix=$(PREFIX) --libdir=lib -Dtests=false -Dwerror=false \
			$(BUILD)/release
	@$(MESON) compile -C $(BUILD)/release

demo: build
	@$(BUILD)/release/src/cli/tenure demo

check: deps-check
	@$(PYTHON) tests/run_checks.py --build $(BUILD) all

lint: deps-check
	@$(PYTHON) tests/run_checks.py --build $(BUILD) lint

fuzz: deps-check
	@$(PYTHON) tests/run_checks.py --build $(BUILD) fuzz

bench: deps-bench build
	@$(PYTHON) bench/bench.py --build $(BUILD)/release

install: build
	@$(MESON) configure $(BUILD)/release -Dprefix=$(PREFIX)
	@$(MESON) install -C $(BUILD)/release
	@test -n "$(DESTDIR)" || test "$$(id -u)" -ne 0 || ldconfig

clean:
	rm -rf $(BUILD)
