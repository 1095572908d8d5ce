# php-fpm that pushes jobs. The context is your application; amqp1's source is a second one:
#   docker build -f fpm.Dockerfile --build-context amqp1=../amqp1 -t app-web .
ARG PHP=8.4

FROM php:${PHP}-fpm-bookworm AS extension
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libclang-dev && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/opt/cargo RUSTUP_HOME=/opt/rustup PATH=/opt/cargo/bin:$PATH
RUN curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
# hadolint ignore=DL3022
COPY --from=amqp1 . /amqp1
WORKDIR /amqp1
RUN scripts/build --locked \
    && folder="/out$(php-config --extension-dir)" && install -d "$folder" /out/usr/local/etc/php/conf.d \
    && strip --strip-unneeded -o "$folder/amqp1.so" target/release/libamqp1.so \
    && echo "extension=amqp1" >/out/usr/local/etc/php/conf.d/amqp1.ini

FROM php:${PHP}-fpm-bookworm
COPY --from=extension /out /
WORKDIR /app
COPY . .
RUN php -r 'exit(extension_loaded("amqp1") ? 0 : 1);'
# php-fpm ends its requests first at SIGQUIT; at SIGTERM, it breaks them off.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["php", "-n", "-r", "exit(@fsockopen('127.0.0.1', 9000, $number, $text, 2) ? 0 : 1);"]
