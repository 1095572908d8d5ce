<?php

// Amqp1\Task: see amqp1.stub.php.

namespace Amqp1;

/**
 * One job in a worker's hands. Made by a Consumer; cannot be cloned or serialized.
 *
 * It is settled once, by ack(), nack(), release() or deadLetter(): calls after
 * the first do nothing. One that is never settled is delivered again when its
 * consumer closes.
 */
final class Task
{
    private function __construct()
    {
    }

    /**
     * The job's id.
     */
    public function getId(): string
    {
    }

    /**
     * The job's name.
     */
    public function getName(): string
    {
    }

    /**
     * What the producer gave as payload.
     *
     * @return mixed a string as it was; what travelled as JSON decoded, objects as
     *     associative arrays
     *
     * @throws Exception\SerializationException the body says it is JSON and is not
     */
    public function getPayload(): mixed
    {
    }

    /**
     * The body as it travelled, any bytes.
     */
    public function getBody(): string
    {
    }

    /**
     * All headers.
     *
     * @return array<string, non-empty-list<string>>
     */
    public function getHeaders(): array
    {
    }

    /**
     * @param string $name In any case.
     */
    public function hasHeader(string $name): bool
    {
    }

    /**
     * @param string $name In any case.
     *
     * @return list<string> empty when there is none of that name
     */
    public function getHeader(string $name): array
    {
    }

    /**
     * @param string $name In any case.
     *
     * @return string the values joined by ", "; empty when there is none of that name
     */
    public function getHeaderLine(string $name): string
    {
    }

    /**
     * Name of the AmqpQueue (the pipeline) it was taken from.
     */
    public function getQueue(): string
    {
    }

    /**
     * The pipeline its producer named.
     */
    public function getPipeline(): string
    {
    }

    /**
     * The broker's address.
     */
    public function getSource(): string
    {
    }

    /**
     * Which delivery this is.
     *
     * @return int<1, max> 1 for the first
     */
    public function getAttempts(): int
    {
    }

    /**
     * The priority its producer asked for.
     */
    public function getPriority(): int
    {
    }

    /**
     * The delay its producer asked for, in seconds.
     *
     * @return int|float an int when it is whole
     */
    public function getDelay(): int|float
    {
    }

    /**
     * The trace id, when its producer gave one.
     */
    public function getTraceId(): ?string
    {
    }

    /**
     * Whether it was settled, in any way.
     */
    public function isCompleted(): bool
    {
    }

    /**
     * The job is done.
     *
     * @throws Exception\TaskLostException the delivery died with its connection or lock:
     *     the job will be delivered again
     * @throws Exception\TimeoutException
     */
    public function ack(): void
    {
    }

    /**
     * The job failed.
     *
     * @param string|\Stringable|\Throwable|null $error Why. Of an exception, its message
     *     and class are recorded.
     * @param bool|null $requeue true: try again; false: to the failed queue; null: by the
     *     pipeline's policy (max_attempts, backoff).
     *
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     * @throws Exception\RejectedException
     */
    public function nack(\Stringable|\Throwable|string|null $error = null, ?bool $requeue = null): void
    {
    }

    /**
     * The job goes back to its queue.
     *
     * @param int|float $delay Not to be delivered again sooner than in so many seconds.
     * @param array<non-empty-string, scalar|\Stringable|non-empty-list<scalar|\Stringable>> $headers
     *     Added to its headers, replacing those of the same name.
     *
     * @throws Exception\ConfigException a negative delay, a wrong header
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     * @throws Exception\RejectedException
     * @throws Exception\UnsupportedException the broker cannot delay
     */
    public function release(int|float $delay = 0, array $headers = []): void
    {
    }

    /**
     * The job goes to the failed queue (or the broker's own dead-letter queue),
     * whatever the policy says.
     *
     * @param string|\Throwable $reason Of an exception, its class is the reason, and its
     *     message and class are recorded.
     * @param string|null $description For the person who looks at it there.
     *
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     * @throws Exception\RejectedException
     * @throws Exception\UnsupportedException
     */
    public function deadLetter(\Throwable|string $reason, ?string $description = null): void
    {
    }
}
