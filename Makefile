# amqp1: `make` alone lists what there is.

# rustup's folder is in the PATH of new login shells only.
CARGO ?= $(or $(shell command -v cargo 2>/dev/null),$(wildcard $(or $(CARGO_HOME),$(HOME)/.cargo)/bin/cargo),cargo)
.DEFAULT_GOAL := help
.PHONY: help deps build install uninstall demo test fresh test-rust test-php test-sdks test-brokers live lint fmt fuzz valgrind bench soak \
	brokers-up brokers-down brokers-status clean distclean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## Install what is missing: compiler, PHP headers, test tools, mmdebstrap (Debian, Ubuntu)
	@scripts/deps build test rabbitmq

build: ## Build the extension (target/release/libamqp1.so) and the small broker (amqp1-broker)
	@scripts/deps build
	@scripts/build

install: ## Install the built extension into PHP and enable it (run make build first; needs root)
	@scripts/install

uninstall: ## Take it out of PHP again
	@scripts/install --uninstall

demo: ## Two PHP processes work off ten jobs; BROKER=rabbitmq or AMQP1_DSN=amqp://… for another broker
	@scripts/demo

test: ## Everything that is checked: build, lint, Rust tests, PHP tests on RabbitMQ 3.10, 4.0, 4.3, Artemis and the own broker
	@scripts/test

test-rust: ## Only the Rust tests
	@scripts/test $(if $(FILTER),--filter '$(FILTER)') rust

test-php: ## Only the PHP tests; FILTER=NameOfTest for some of them (AMQP1_TEST_LANES=1: one after the other)
	@scripts/test $(if $(FILTER),--filter '$(FILTER)') php

test-sdks: ## Only Microsoft's Service Bus SDKs against the own broker; FILTER=case for some of their cases
	@scripts/test $(if $(FILTER),--filter '$(FILTER)') sdks

test-brokers: ## The PHP tests on Artemis, ActiveMQ Classic and Qpid Broker-J alone; FILTER=NameOfTest for some of them
	@AMQP1_TEST_BROKERS=artemis,activemq,qpid scripts/test $(if $(FILTER),--filter '$(FILTER)') php

live: ## A real Service Bus namespace beside the own broker's dialect; only with AMQP1_LIVE_SERVICEBUS (scripts/live)
	@scripts/live

lint: ## Formatting, clippy, shellcheck, the promised Rust
	@scripts/test lint

fresh: ## The README's commands on a bare Debian 12 and 13, made for it; SUITE=trixie for one of them (root, mmdebstrap)
	@scripts/fresh $(SUITE)

fmt: ## Format the Rust code
	@scripts/deps lint
	$(CARGO) fmt --all

soak: build ## Long runs: RabbitMQ killed under load, a cluster broken, a million jobs, an idle worker; PARTS='cluster' for some
	@scripts/deps rabbitmq cluster
	@scripts/soak $(PARTS)

fuzz: ## Fuzz each parser for FUZZ_SECONDS (600); TARGET=dsn for one of them
	@scripts/fuzz $(TARGET)

valgrind: build ## The PHP tests' core part under valgrind's memcheck; FILTER=NameOfTest for others
	@scripts/valgrind $(if $(FILTER),'$(FILTER)')

bench: build ## Measure against php-amqp (see bench/)
	@scripts/deps php rabbitmq
	@bench/run

brokers-up: ## Start RabbitMQ 3.10, 4.0 and 4.3 for tests (scripts/brokers help: one of them, stop, kill, rabbitmqctl)
	@scripts/deps rabbitmq
	@scripts/brokers up

brokers-down: ## Stop them and forget their queues
	@scripts/brokers down

brokers-status: ## What runs, and where
	@scripts/brokers status

clean: ## Delete what was built; the unpacked RabbitMQ stays
	rm -rf "$(or $(CARGO_TARGET_DIR),target)"
	rm -rf build/php build/php-* build/test

distclean: clean ## Delete the test brokers too
	@[ ! -d build/brokers ] || scripts/brokers clean
	rm -rf build
