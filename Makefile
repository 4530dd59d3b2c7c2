# `make help` says what there is. DRIVER=NAME runs any of it on one software driver of scripts/drivers (lavapipe-old,
# lavapipe-new, swiftshader, gl); without it programs choose an adapter as they always do.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where rustup puts cargo, for shells that have not read its profile; an installed cargo comes first.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

# A layer of Mesa's looks for a screen, and where there is none it prints errors that are of no account.
export NODEVICE_SELECT ?= 1

DRIVER ?=
DRIVERS := lavapipe-old lavapipe-new swiftshader gl
CARGO = $(if $(DRIVER),scripts/drivers cargo $(DRIVER),cargo)
EXAMPLES = $(basename $(notdir $(wildcard examples/*.rs)))
TARGET = $(or $(CARGO_TARGET_DIR),target)
VENV = $(TARGET)/venv-golden

.PHONY: help demo test lint examples golden doc kernels-all-drivers golden-all-drivers fixtures fixtures-check storyteller storyteller-golden toolchain driver

help:
	@echo 'make demo                 build, list the GPUs, and have one tell a story; QUERNEL_MODEL=DIR runs yours too'
	@echo 'make test                 everything that is checked before a change is accepted'
	@echo 'make kernels-NAME         the tests of one kernel, as in: make kernels-rms_norm'
	@echo 'make kernels-all-drivers  every kernel on four software drivers'
	@echo 'make golden               the golden checkpoints; golden-all-drivers: on four software drivers'
	@echo 'make examples             runs each example'
	@echo 'make fixtures             makes the fixtures in assets anew (needs 5 GB for torch); fixtures-check only compares'
	@echo 'make storyteller          trains the model inside anew: two hours on 2 cores (needs 5 GB for torch)'
	@echo 'make toolchain            installs Rust if there is none; make driver: a software GPU driver if there is none'
	@echo
	@echo 'With DRIVER=NAME any of these runs on one software driver: $(DRIVERS).'

toolchain:
	@scripts/toolchain

driver:
	@$(if $(DRIVER),scripts/drivers setup $(DRIVER),scripts/drivers ensure)

demo: toolchain driver
	$(CARGO) build --release
	$(CARGO) run -q --release -- devices
	@echo; echo 'The model inside, 4 million parameters, tells a story:'
	$(CARGO) run -q --release -- generate 'Once upon a time' --echo --timings
ifdef QUERNEL_MODEL
	@echo; echo 'Your model:'
	$(CARGO) run -q --release -- generate -m '$(QUERNEL_MODEL)' -p 'Once upon a time, there was a little girl' -n 200 --temp 0 --echo --timings
endif

# One profile for all of it, so that the dependencies are built once.
test: lint driver
	$(CARGO) test --release
	$(MAKE) --no-print-directory doc examples

lint: toolchain
	cargo fmt --check
	cargo clippy --release --all-targets -- -D warnings

doc: toolchain
	RUSTDOCFLAGS='-D warnings' cargo doc --release --no-deps

# The chat example reads what is said to it; the others read nothing.
examples: toolchain driver
	@for example in $(EXAMPLES); do \
		echo "== example $$example"; \
		printf 'Tell me a story about a fox and a lantern.\nThank you!\n' | $(CARGO) run -q --release --example "$$example"; \
	done

# Besides the golden tests, those of a long run's memory: drivers leak too.
golden-all-drivers: TESTS = --test golden --test steady
kernels-all-drivers: TESTS = --test kernels
kernels-all-drivers golden-all-drivers: %-all-drivers: toolchain
	@for driver in $(DRIVERS); do \
		scripts/drivers setup "$$driver"; \
		echo "== $* on $$driver"; \
		scripts/drivers cargo "$$driver" test --release $(TESTS); \
	done

kernels-%: toolchain driver
	$(CARGO) test --release --test kernels -- '$*'

golden: toolchain driver
	$(CARGO) test --release --test golden

fixtures: $(VENV)/ready
	for script in golden templates tokenizers_parity; do PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python scripts/$$script.py; done

fixtures-check: $(VENV)/ready
	for script in golden templates tokenizers_parity; do PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python scripts/$$script.py --check; done

# The corpus, the training, and what is committed of it: weights in q8, and what transformers computes with them.
storyteller: toolchain $(VENV)/ready
	mkdir -p $(TARGET)/story
	cargo run -q --release --no-default-features --features story --example stories -- 450000 1 >$(TARGET)/story/corpus.jsonl
	MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 \
		$(VENV)/bin/python scripts/train_story.py $(TARGET)/story
	rm -rf assets/storyteller
	cargo run -q --release --no-default-features --features cli -- \
		quantize -m $(TARGET)/story/model --weights q8 -o assets/storyteller
	$(MAKE) --no-print-directory storyteller-golden

storyteller-golden: $(VENV)/ready
	PYTHONDONTWRITEBYTECODE=1 $(VENV)/bin/python scripts/golden_storyteller.py

$(VENV)/ready: scripts/requirements-golden.txt
	@command -v python3 >/dev/null && python3 -c 'import ensurepip' 2>/dev/null || scripts/packages python3-venv
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q -r scripts/requirements-golden.txt
	touch $@
