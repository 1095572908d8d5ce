# A worker. The context is your application; amqp1's source is a second one:
#   docker build -f cli.Dockerfile --build-context amqp1=../amqp1 -t app-worker .
ARG PHP=8.4

FROM php:${PHP}-cli-bookworm AS extension
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libclang-dev && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/opt/cargo RUSTUP_HOME=/opt/rustup PATH=/opt/cargo/bin:$PATH
RUN curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
# hadolint ignore=DL3022
COPY --from=amqp1 . /amqp1
WORKDIR /amqp1
# /out is what the image below gets: the extension and pcntl, and the files that enable them.
RUN scripts/build --locked && docker-php-ext-install pcntl \
    && folder="/out$(php-config --extension-dir)" && install -d "$folder" /out/usr/local/etc/php/conf.d \
    && strip --strip-unneeded -o "$folder/amqp1.so" target/release/libamqp1.so && cp "$(php-config --extension-dir)/pcntl.so" "$folder/" \
    && for name in amqp1 pcntl; do echo "extension=$name" >"/out/usr/local/etc/php/conf.d/$name.ini"; done

FROM composer:2 AS vendor
WORKDIR /app
COPY composer.json composer.lock ./
RUN composer install --no-dev --no-scripts --no-progress --prefer-dist --ignore-platform-req=ext-*

FROM php:${PHP}-cli-bookworm
COPY --from=extension /out /
WORKDIR /app
COPY . .
COPY --from=vendor /app/vendor vendor
RUN php -r 'exit(extension_loaded("amqp1") ? 0 : 1);'
# www-data
USER 33
# The worker is the first process, so `docker stop` sends it this: it finishes its job and ends.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["php", "vendor/bin/amqp1", "health", "--state-file", "/tmp/worker.state"]
ENTRYPOINT ["php", "vendor/bin/amqp1"]
CMD ["work", "--queue", "orders", "--handlers", "handlers.php", "--state-file", "/tmp/worker.state", "--memory-limit", "96"]
