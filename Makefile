# Everything this repository can do, by name. `make` alone lists it.
#
# Artefacts lie outside the checkout, so that a fresh clone reuses what an earlier one built; every target
# builds with `--workspace` and the same RUSTFLAGS, so that no target compiles a dependency that another
# one already has.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE_HOME := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
CARGO_TARGET_DIR ?= $(CACHE_HOME)/gridtrail/target
export CARGO_TARGET_DIR

# Looked up when a recipe runs, not when this file is read: `setup` may have installed the linker meanwhile.
ifeq ($(origin RUSTFLAGS),undefined)
RUSTFLAGS = $(shell scripts/linker-flag)
endif
export RUSTFLAGS

# `make demo SERVE=1` leaves the server up.
SERVE ?=

.PHONY: help setup console build demo test check deny sbom fmt bench prove clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

setup: ## install what the build needs and is missing (Debian, Ubuntu)
	@scripts/setup

console: setup ## build the pages of the console, which needs Node: it is fetched; without, the command has none
	@scripts/console --if-can

build: console ## build the gridtrail command
	cargo build --workspace

demo: build ## show the whole thing working; SERVE=1 leaves the server up
	"$(CARGO_TARGET_DIR)/debug/gridtrail" demo $(if $(SERVE),--serve)

test: console ## run every check and every test, at everyday size
	scripts/test

check: setup ## formatting, lints and, where cargo-deny is installed, dependencies; warnings of our own crates are errors
	scripts/check

deny: ## licences, sources and advisories of the dependencies, against deny.toml
	scripts/deny

sbom: ## what the command is made of, as CycloneDX, for a release
	scripts/sbom

fmt: ## format the sources
	cargo fmt --all

bench: setup ## run the benches, optimised
	cargo bench --workspace

prove: setup ## run the proofs at full size (hours)
	scripts/prove

clean: ## delete the artefacts, of every checkout that shares them
	cargo clean
