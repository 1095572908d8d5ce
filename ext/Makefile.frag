# cargo knows what is up to date: ask it every time. But not in `sudo make install` after `make`: root has no toolchain of
# its own, and would leave files that belong to it.
.PHONY: amqp1-cargo

amqp1-cargo:
	cd "$(AMQP1_SOURCE)" && PHP_CONFIG="$(AMQP1_PHP_CONFIG)" PHP="$(PHP_EXECUTABLE)" CARGO_TARGET_DIR=target \
		PATH="$(AMQP1_CARGO_FOLDER):$$PATH" scripts/build --locked

$(phplibdir)/amqp1.so: $(if $(filter install%,$(MAKECMDGOALS)),$(if $(wildcard $(phplibdir)/amqp1.so),,amqp1-cargo),amqp1-cargo)
	@mkdir -p "$(phplibdir)"
	cp "$(AMQP1_SOURCE)/target/release/libamqp1.so" "$(phplibdir)/amqp1.so"
