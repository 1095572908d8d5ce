# cargo knows what is up to date: ask it every time.
.PHONY: amqp1-cargo

amqp1-cargo:
	cd "$(AMQP1_SOURCE)" && PHP_CONFIG="$(AMQP1_PHP_CONFIG)" PHP="$(PHP_EXECUTABLE)" \
		"$(CARGO)" build --locked --release --package amqp1 --target-dir target

$(phplibdir)/amqp1.so: amqp1-cargo
	@mkdir -p "$(phplibdir)"
	cp "$(AMQP1_SOURCE)/target/release/libamqp1.so" "$(phplibdir)/amqp1.so"
