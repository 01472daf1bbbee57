# The commands of everyday work. The work itself is in tools/, and each target
# sets up what it needs.

.DEFAULT_GOAL := help
.PHONY: help setup build demo test bench bench-scale image image-test test-kube \
        test-faults test-model fuzz asan tsan lint format clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | \
	  awk -F'|' '{printf "%-20s%s\n", $$1, $$2}'

setup: ## Install Debian packages and the virtual environment
	@tools/setup.sh

build: setup ## Build build/bin/warmstart-server and build/bin/warmstart
	@tools/build.sh release warmstart-server warmstart

demo: build ## Watch a model being saved and others warm-started from it
	@tools/demo.sh

test: ## Run every test: quick linters, C++, Python, fuzzers, sanitizers
	@tools/test.sh

bench: build ## Compare the speed with Python's, and loads on a GPU with its bus
	@tools/build.sh release device_copy
	@tests/bench/run.sh
	@build/bin/device_copy

# CHECKPOINTS, CLIENTS and OPERATIONS are other numbers; STORE is where the store is
# kept for the next time.
bench-scale: build ## Measure it with a million checkpoints, 64 clients, 100,000 operations
	@tools/build.sh release fill_store load
	@tests/bench/run.sh scale $(if $(CHECKPOINTS),--checkpoints $(CHECKPOINTS)) \
	  $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(OPERATIONS),--operations $(OPERATIONS)) \
	  $(if $(STORE),--store $(STORE))

image: ## Build the container image; TARGET=cuda for GPUs
	@deploy/docker/build.sh $(or $(TARGET),cpu)

image-test: build ## Build the image without a daemon, run it, and drive it
	@tests/image/run.sh

test-kube: setup ## Try the Helm chart on a real kube-apiserver, built from source
	@tests/kube/run.sh

test-faults: build ## Kill the server under load, KILL_ROUNDS times, 200 if not given
	@tests/faults/run.sh

test-model: setup ## Compare the store with a model of it, for STEPS steps, 1000000 if not given
	@tests/store/model/run.sh $(or $(STEPS),1000000)

fuzz: setup ## Fuzz the readers; FUZZ_SECONDS=N for each, 600 if not given
	@tools/fuzz.sh $(or $(FUZZ_SECONDS),600)

asan: setup ## Run the C++ tests with AddressSanitizer and UBSan
	@tools/sanitize.sh asan

tsan: setup ## Run the C++ tests of threads with ThreadSanitizer
	@tools/sanitize.sh tsan

lint: setup ## Run every linter, clang-tidy included
	@tools/lint.sh all

format: setup ## Format C++ and Python
	@tools/format.sh

clean: ## Remove what was built here
	rm -rf build build-debug build-asan build-tsan build-fuzz
