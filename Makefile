# `make` alone lists the verbs. Each is short here; the work is in cluster/ and in SwiftPM.

# Warnings about the shell are errors, and a failing pipe fails its line.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
DEBUG_BINARY := .build/debug/starling
RELEASE_BINARY := .build-release/release/starling
# On Linux the runtime is linked in: calls into it get cheaper (12 % of a request) and the binary runs without Swift installed.
# macOS has the runtime in the system.
RELEASE_FLAGS := $(if $(filter Linux,$(shell uname -s)),--static-swift-stdlib)

.PHONY: help demo test core-test sim-test sim-nightly fuzz lint build release bench acceptance contract contract-all real-worker clean install ready system-packages

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## three replicas, three pretended Macs, a key and commands to paste; Ctrl-C ends it all
	@"$$(cluster/python)" cluster/demo.py

test: system-packages sim-test ## all tests of the Swift code (real processes are `make acceptance`)
	swift build --build-tests
	swift test --skip-build --parallel

core-test: ## the pure rooms alone: a minute, no package but ours
	CORE_ONLY=1 swift test --scratch-path .build-core -debug-info-format none

# As shipped, but for the tests' view of what is internal.
CORE_RELEASE := CORE_ONLY=1 swift test -c release --scratch-path .build-core-release -Xswiftc -enable-testing -debug-info-format none

sim-test: ## the pure rooms optimised: thousands of simulated flocks, a million broken packets
	SIM_SEEDS=$${SIM_SEEDS:-2000} FUZZ_INPUTS=$${FUZZ_INPUTS:-1000000} $(CORE_RELEASE)

sim-nightly: ## a hundred thousand simulated flocks, fresh seeds (hours)
	SIM_SEEDS=100000 SIM_BASE=$$(date +%s) $(CORE_RELEASE) --filter ClusterSimulatorTests

fuzz: ## ten million broken packets, frames and files
	FUZZ_INPUTS=10000000 $(CORE_RELEASE) --filter WireCodingTests

lint: ## layout of the Swift code, syntax of scripts
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	cluster/lint-scripts

build: system-packages ## the debug binary, .build/debug/starling
	swift build --product starling

release: system-packages ## the binary that is measured and installed, .build-release/release/starling
	swift build --configuration release --product starling --scratch-path .build-release $(RELEASE_FLAGS)

acceptance: build ## real processes: SDK, aborts, failover, bytes, manners, configuration, README
	cluster/system-packages acceptance
	cluster/acceptance/run

contract: build ## what each kind of worker does, simulated and real (mlx_lm, vllm-mlx), against one table
	cluster/system-packages acceptance
	cluster/contracts/run

contract-all: build ## the same with the real llama-server, which is built once (about six minutes)
	cluster/system-packages acceptance llama-server
	CONTRACTS_ALL=1 cluster/contracts/run

bench: release ## figures against nginx, haproxy and smg, and our own bars (about ten minutes)
	cluster/system-packages bench
	cluster/bench/run

real-worker: build ## Apple's MLX with a tiny model behind Starling, a key and a curl; Ctrl-C ends it all
	@"$$(cluster/python)" cluster/real_worker.py

install: release ## the release binary and an example configuration into $(PREFIX)
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/starling"
	install -m 755 $(RELEASE_BINARY) "$(DESTDIR)$(PREFIX)/bin/starling"
	install -m 644 config/gateway.yaml "$(DESTDIR)$(PREFIX)/share/starling/gateway.yaml"

clean: ## everything that was built or fetched for tests; configuration and its data stay
	rm -rf .build .build-core .build-core-release .build-release .build-benchmarks cluster/acceptance/.venv cluster/bench/.work cluster/.run
	rm -rf cluster/workers/venv* cluster/workers/models cluster/workers/state-* cluster/workers/.work

ready: lint ## what the continuous integration runs, and the linter before it
	.ci/run

system-packages: ## install what the operating system must bring, or print the exact command
	@cluster/system-packages build acceptance
