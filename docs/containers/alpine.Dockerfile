# A worker on Alpine (musl). The context is your application; amqp1's source is a second one:
#   docker build -f alpine.Dockerfile --build-context amqp1=../amqp1 -t app-worker .
ARG PHP=8.4

FROM php:${PHP}-cli-alpine AS extension
SHELL ["/bin/ash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3018
RUN apk add --no-cache clang-dev gcc linux-headers make musl-dev
ENV CARGO_HOME=/opt/cargo RUSTUP_HOME=/opt/rustup PATH=/opt/cargo/bin:$PATH
RUN curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
# Without +crt-static, which is musl's default, Rust makes libraries, and programs that can load libclang. Alpine keeps that in a
# folder of its version.
ENV RUSTFLAGS="-C target-feature=-crt-static -C link-arg=-Wl,--allow-shlib-undefined"
# hadolint ignore=DL3022
COPY --from=amqp1 . /amqp1
WORKDIR /amqp1
# Alpine has no bash, so cargo is called without scripts/build.
RUN LIBCLANG_PATH="$(echo /usr/lib/llvm*/lib)" cargo build --release --locked -p amqp1 && docker-php-ext-install pcntl \
    && folder="/out$(php-config --extension-dir)" && mkdir -p "$folder" /out/usr/local/etc/php/conf.d \
    && strip --strip-unneeded -o "$folder/amqp1.so" target/release/libamqp1.so && cp "$(php-config --extension-dir)/pcntl.so" "$folder/" \
    && for name in amqp1 pcntl; do echo "extension=$name" >"/out/usr/local/etc/php/conf.d/$name.ini"; done

FROM php:${PHP}-cli-alpine
# hadolint ignore=DL3018
RUN apk add --no-cache libgcc
COPY --from=extension /out /
WORKDIR /app
COPY . .
RUN php -r 'exit(extension_loaded("amqp1") ? 0 : 1);'
# www-data
USER 82
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["php", "vendor/bin/amqp1", "health", "--state-file", "/tmp/worker.state"]
ENTRYPOINT ["php", "vendor/bin/amqp1"]
CMD ["work", "--queue", "orders", "--handlers", "handlers.php", "--state-file", "/tmp/worker.state", "--memory-limit", "96"]
