<?php

// Amqp1\Task: see amqp1.stub.php.

namespace Amqp1;

/**
 * One job in a worker's hands. Made by a Consumer; cannot be cloned or serialized.
 *
 * It is settled once, by ack(), nack(), release() or deadLetter(): calls after
 * the first do nothing. One that is never settled is delivered again when its
 * consumer closes.
 *
 * Id, name, pipeline, trace id, headers and their names are UTF-8 in jobs that this extension
 * pushed. Those of a foreign message are the bytes that came, as raw UUIDs of AMQP 0-9-1 clients.
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
     *     associative arrays; so is a foreign message's AMQP value, binary as a string, and the
     *     items of its AMQP sequences are one list
     *
     * @throws Exception\SerializationException the body says it is JSON and is not
     */
    public function getPayload(): mixed
    {
    }

    /**
     * The payload as it travelled, any bytes: out of the wrapper or envelope of its format.
     *
     * A foreign message's AMQP value or sequence is JSON here. Binary stays as it is in its
     * strings, so that what is not UTF-8 makes it JSON for lenient readers only.
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
     * Which attempt this is, as far as anybody knows: 1, and one more for each earlier delivery that may have run. What
     * went back unseen does not count. When a process is killed, the jobs that waited in its buffer may have run, too,
     * as far as the broker knows: one such delivery is in this number, and is not held against the job by max_attempts.
     * Where the broker does not count deliveries (RabbitMQ 3, classic queues of 4.0) only nack() and release() count.
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
     * The format it travelled in, whatever the queue's own is.
     *
     * @return 'roadrunner'|'amqp1'|'babelqueue'|'raw'
     */
    public function getFormat(): string
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
     * Whether its delivery is lost: the connection or Service Bus' lock on it is gone, or RabbitMQ 4.3 has taken it
     * back because it was held for longer than the consumer timeout (docs/brokers.md). It is delivered again, so stop
     * what can be stopped: ack() throws a TaskLostException, nack() and release() do nothing. Asks the client, not the
     * broker, and costs no round trip; false for a job that was settled in time.
     */
    public function isLost(): bool
    {
    }

    /**
     * What was made of it; null while it is not settled, and when its delivery was lost.
     *
     * @return 'acked'|'retried'|'released'|'dead_lettered'|null
     */
    public function getOutcome(): ?string
    {
    }

    /**
     * Why it is in a failed queue; null for a job that is in none.
     *
     * @return array{
     *     reason: string,
     *     error: string|null,
     *     exception: string|null,
     *     queue: string|null,
     *     attempts: int<0, max>,
     *     failed_at: float|null,
     * }|null reason: "failed" (its attempts are used up), "poison" (it cannot be decoded),
     *     "unknown" (no handler for it), or what its worker said; error and exception: the
     *     message and class of the last error; queue: the broker's name of the queue that it
     *     came from; failed_at: Unix time in seconds
     */
    public function getFailure(): ?array
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
     * The job failed: it is tried again after a pause, or goes to the failed queue when its
     * attempts are used up (options max_attempts, backoff, failed_queue, requeue_on_fail).
     *
     * Where the broker counts and delays redeliveries by itself (quorum queues of RabbitMQ
     * 4.3, embedded) nothing is sent but the outcome. Elsewhere a copy with the attempts is
     * confirmed before the job itself is acknowledged: a crash in between makes two of it.
     *
     * @param string|\Stringable|\Throwable|null $error Why. Of an exception, its message
     *     and class are recorded.
     * @param bool|null $requeue In place of the policy: true, try again at once; false, to
     *     the failed queue.
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
     * @param string|\Throwable $reason "failed", "poison", "unknown", or a word of your own.
     *     Of an exception, its message and class are recorded; the reason is "failed".
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
