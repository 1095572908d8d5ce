# amqp1-broker, for development and tests. The context is amqp1's source:
#   docker build -f docs/containers/broker.Dockerfile -t amqp1-broker .
FROM rust:1-slim-bookworm AS build
COPY . /amqp1
WORKDIR /amqp1
RUN cargo build --release --locked -p amqp1-broker && strip target/release/amqp1-broker

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /amqp1/target/release/amqp1-broker /amqp1-broker
EXPOSE 5672
ENTRYPOINT ["/amqp1-broker", "--listen", "0.0.0.0:5672"]
