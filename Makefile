# amqp1: `make` without a target lists all targets.

# rustup's folder is in the PATH of new login shells only.
CARGO ?= $(or $(shell command -v cargo 2>/dev/null),$(wildcard $(or $(CARGO_HOME),$(HOME)/.cargo)/bin/cargo),cargo)
.DEFAULT_GOAL := help
.PHONY: help deps build install uninstall demo test fresh test-rust test-php test-zts matrix test-frameworks test-sdks test-brokers live lint fmt fuzz valgrind bench soak \
	brokers-up brokers-down brokers-status clean distclean
.PHONY: split package test-package reproduce release

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## Install missing dependencies: compiler, PHP headers, test tools, mmdebstrap (Debian, Ubuntu)
	@scripts/deps build test rabbitmq

build: ## Build the extension (target/release/libamqp1.so) and the small broker (amqp1-broker)
	@scripts/deps build
	@scripts/build

install: ## Install the extension into PHP and enable it (run make build first; needs root)
	@scripts/install

uninstall: ## Remove the extension from PHP
	@scripts/install --uninstall

demo: ## Build, then let two PHP processes work through ten jobs; FRAMEWORK=symfony (or another), BROKER=rabbitmq, BROKER=servicebus, AMQP1_DSN=amqp://…
	@scripts/demo

test: ## Run all checks: build, lint, Rust tests, PHP tests on RabbitMQ 3.10, 4.0 and 4.3, Artemis and amqp1-broker
	@scripts/test

test-rust: ## Run only the Rust tests; FILTER=name for some of them
	@scripts/test $(if $(FILTER),--filter '$(FILTER)') rust

test-php: ## Run only the PHP tests; FILTER=NameOfTest for some of them (AMQP1_TEST_LANES=1 runs them one at a time)
	@scripts/test $(if $(FILTER),--filter '$(FILTER)') php

test-frameworks: ## Run only the tests of the packages in integrations/ with Symfony, Laravel and the others; FILTER=NameOfTest for some
	@scripts/test $(if $(FILTER),--filter '$(FILTER)') frameworks

test-zts: ## Run the PHP tests on a thread-safe PHP (ZTS), built from Debian's sources; FILTER=ThreadsTest or CORE=1 for some of them
	@FILTER='$(FILTER)' CORE='$(CORE)' scripts/matrix 8.2-zts

matrix: ## Run the PHP tests on PHPs built from Debian's sources; PHP=8.2-zts for one of them (scripts/matrix)
	@FILTER='$(FILTER)' CORE='$(CORE)' scripts/matrix $(PHP)

test-sdks: ## Run only Microsoft's Service Bus SDKs against amqp1-broker; FILTER=case for some of their cases
	@scripts/test $(if $(FILTER),--filter '$(FILTER)') sdks

test-brokers: ## Run the PHP tests on Artemis, ActiveMQ Classic and Qpid Broker-J only; FILTER=NameOfTest for some of them
	@AMQP1_TEST_BROKERS=artemis,activemq,qpid scripts/test $(if $(FILTER),--filter '$(FILTER)') php

live: ## Compare amqp1-broker's dialect with a real Service Bus namespace; needs AMQP1_LIVE_SERVICEBUS (scripts/live)
	@scripts/live

lint: ## Check formatting, clippy, shellcheck, the oldest supported Rust and the Composer packages
	@scripts/test lint

fresh: ## Run the README's commands on a bare Debian 12 and 13; SUITE=trixie for one of them (needs root, mmdebstrap)
	@scripts/fresh $(SUITE)

fmt: ## Format the Rust code
	@scripts/deps lint
	$(CARGO) fmt --all

soak: build ## Run the soak tests: RabbitMQ killed under load, a cluster broken, a million jobs, an idle worker; PARTS='cluster' for some
	@scripts/deps rabbitmq cluster
	@scripts/soak $(PARTS)

fuzz: ## Fuzz each parser for FUZZ_SECONDS (600); TARGET=dsn for one of them
	@scripts/fuzz $(TARGET)

valgrind: build ## Run the core PHP tests under valgrind's memcheck; FILTER=NameOfTest for others
	@scripts/valgrind $(if $(FILTER),'$(FILTER)')

bench: build ## Benchmark against php-amqp and php-amqplib, 15 minutes; FULL=1 for growth tables and more clients, 90 (bench/run --help)
	@scripts/deps bench rabbitmq
	@bench/run $(if $(FULL),--full) $(BENCH)
	@$(if $(FULL),bench/frameworks,:)

brokers-up: ## Start RabbitMQ 3.10, 4.0 and 4.3 for tests (scripts/brokers help lists more commands)
	@scripts/deps rabbitmq
	@scripts/brokers up

brokers-down: ## Stop the test brokers and delete their queues
	@scripts/brokers down

brokers-status: ## Show which test brokers run, and where
	@scripts/brokers status

package: ## Build the archives and Debian packages of a release for the PHP at hand, or PHP=… PHP_CONFIG=… (build/dist)
	@scripts/deps build package
	@scripts/package

test-package: ## Install the Debian packages of build/dist on a bare Debian, run the README's start there, remove them
	@scripts/deps package
	@scripts/test-package

release: ## Check that all files agree on VERSION=…, build and try the packages, write the release notes; publishes nothing
	@scripts/release $(or $(VERSION),$(error say which: make release VERSION=0.1.0))

reproduce: ## Build the packages again in another folder, and compare them with build/dist
	@scripts/reproduce

split: ## Make a tree for each Composer package (build/split): worker, stubs, integrations; and install each into an empty project
	@scripts/deps lint
	@scripts/split --check $(if $(REPOSITORY),--repository '$(REPOSITORY)')

clean: ## Delete build outputs; keep the unpacked RabbitMQ
	rm -rf "$(or $(CARGO_TARGET_DIR),target)"
	rm -rf build/php build/php-* build/test

distclean: clean ## Delete build outputs and the test brokers
	@[ ! -d build/brokers ] || scripts/brokers clean
	rm -rf build
