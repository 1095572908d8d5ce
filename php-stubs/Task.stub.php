<?php

// Amqp1\Task: see amqp1.stub.php.

namespace Amqp1;

/**
 * One job that a worker has taken. Created by a Consumer; it cannot be cloned or serialized.
 *
 * A job is settled once, by ack(), nack(), release() or deadLetter(). Calls after the
 * first do nothing. A job that is never settled is delivered again when its consumer
 * closes.
 *
 * Id, name, pipeline, trace id, header names and header values are UTF-8 in jobs that this
 * extension pushed. In a foreign message they are the bytes that were received, for example the raw
 * UUIDs of AMQP 0-9-1 clients.
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
     * The payload that the producer passed.
     *
     * @return mixed a string payload unchanged; a JSON payload decoded, with objects as
     *     associative arrays. A foreign message's AMQP value is decoded the same way, with binary as
     *     a string, and the items of its AMQP sequences are one list.
     *
     * @throws Exception\SerializationException the body is marked as JSON but is not JSON
     */
    public function getPayload(): mixed
    {
    }

    /**
     * The payload as it was sent, any bytes, without the wrapper or envelope of its format.
     *
     * A foreign message's AMQP value or sequence is returned as JSON. Its strings contain binary
     * values unchanged, so if they are not UTF-8, only lenient parsers can read the JSON.
     */
    public function getBody(): string
    {
    }

    /**
     * All headers: name => values.
     *
     * @return array<string, non-empty-list<string>>
     */
    public function getHeaders(): array
    {
    }

    /**
     * Whether the job has a header of this name.
     *
     * @param string $name Case-insensitive.
     */
    public function hasHeader(string $name): bool
    {
    }

    /**
     * The values of a header.
     *
     * @param string $name Case-insensitive.
     *
     * @return list<string> empty if there is no header of that name
     */
    public function getHeader(string $name): array
    {
    }

    /**
     * The values of a header, in one string.
     *
     * @param string $name Case-insensitive.
     *
     * @return string the values joined by ", "; empty if there is no header of that name
     */
    public function getHeaderLine(string $name): string
    {
    }

    /**
     * The name of the AmqpQueue (the pipeline) that the job was taken from.
     */
    public function getQueue(): string
    {
    }

    /**
     * The name of the pipeline that the producer pushed the job to.
     */
    public function getPipeline(): string
    {
    }

    /**
     * The address at the broker that the job was taken from.
     */
    public function getSource(): string
    {
    }

    /**
     * Which attempt this is: 1, plus one for each earlier delivery that may have run. Deliveries that were returned
     * without being handed out do not count. If a process is killed, the broker cannot tell which of its buffered jobs
     * ran: this number includes one such delivery, but max_attempts does not count it. If the broker does not count
     * deliveries (RabbitMQ 3, classic queues of 4.0, ActiveMQ Classic), only nack() and release() count: a job at
     * attempt 1 may then have killed workers before. Artemis misses some killed workers.
     *
     * @return int<1, max> 1 for the first attempt
     */
    public function getAttempts(): int
    {
    }

    /**
     * The priority that the producer requested.
     */
    public function getPriority(): int
    {
    }

    /**
     * The delay that the producer requested, in seconds.
     *
     * @return int|float an int if it is a whole number
     */
    public function getDelay(): int|float
    {
    }

    /**
     * The format of the message, whatever format the queue writes.
     *
     * @return 'roadrunner'|'amqp1'|'babelqueue'|'raw'
     */
    public function getFormat(): string
    {
    }

    /**
     * The trace id; null if the producer set none.
     */
    public function getTraceId(): ?string
    {
    }

    /**
     * The AMQP properties that the message has, by their AMQP names with underscores. Missing ones are left out.
     *
     * @return array{
     *     message_id?: string|int,
     *     user_id?: string,
     *     to?: string,
     *     subject?: string,
     *     reply_to?: string,
     *     correlation_id?: string|int,
     *     content_type?: string,
     *     content_encoding?: string,
     *     absolute_expiry_time?: \DateTimeImmutable,
     *     creation_time?: \DateTimeImmutable,
     *     group_id?: string,
     *     group_sequence?: int,
     *     reply_to_group_id?: string,
     * } an id that is a UUID is a string
     */
    public function getProperties(): array
    {
    }

    /**
     * The message annotations: those of the producer, and those that the broker added.
     *
     * @return array<string, mixed> timestamps are DateTimeImmutable, binary is a string, lists and maps are arrays
     */
    public function getAnnotations(): array
    {
    }

    /**
     * The message's content-type, such as "application/json".
     */
    public function getContentType(): ?string
    {
    }

    /**
     * The message's content-encoding. The payload is neither compressed nor decompressed by this extension.
     */
    public function getContentEncoding(): ?string
    {
    }

    /**
     * The address for answers. RabbitMQ 4.3 makes an address of the queue name that a 0-9-1 client sets: "/queues/name".
     */
    public function getReplyTo(): ?string
    {
    }

    /**
     * The message's correlation-id, which is also the trace id of a job that this extension pushed.
     */
    public function getCorrelationId(): ?string
    {
    }

    /**
     * The message's subject: the job's name, unless its producer set another one.
     */
    public function getSubject(): ?string
    {
    }

    /**
     * The message's "to". It does not affect the route. RabbitMQ 4: if its producer set none, it may be the address by
     * which the message was routed.
     */
    public function getTo(): ?string
    {
    }

    /**
     * The user who sent the message. RabbitMQ has checked it, other brokers may not.
     */
    public function getUserId(): ?string
    {
    }

    /**
     * The message's group-id; on Service Bus the session.
     */
    public function getGroup(): ?string
    {
    }

    /**
     * The message's place in its group.
     *
     * @return int<0, max>|null
     */
    public function getGroupSequence(): ?int
    {
    }

    /**
     * The routing key with which the message came to its queue (RabbitMQ 4), or that its format carries ("amqp1").
     */
    public function getRoutingKey(): ?string
    {
    }

    /**
     * When the producer made the message, in UTC. Retries and replays keep it.
     */
    public function getCreationTime(): ?\DateTimeImmutable
    {
    }

    /**
     * When the broker got the message, in UTC: on Service Bus, and on RabbitMQ 4 with the message interceptor for
     * timestamps.
     */
    public function getEnqueuedTime(): ?\DateTimeImmutable
    {
    }

    /**
     * When the message expires, in UTC: its absolute-expiry-time, or else its creation time plus delay and TTL.
     */
    public function getExpiry(): ?\DateTimeImmutable
    {
    }

    /**
     * Whether the broker says that it delivered this message before, to whomever: by its delivery-count or, on RabbitMQ 4
     * and embedded, by first-acquirer. A copy (see nack()) is a new message. To count attempts, use getAttempts().
     */
    public function isRedelivered(): bool
    {
    }

    /**
     * AMQP's delivery-count: how many earlier deliveries of this message failed, as the broker counts them. To count
     * attempts, use getAttempts().
     *
     * @return int<0, max>
     */
    public function getDeliveryCount(): int
    {
    }

    /**
     * Whether the job has been settled, in any way.
     */
    public function isCompleted(): bool
    {
    }

    /**
     * Whether the delivery is lost: its connection or its Service Bus lock is gone, or RabbitMQ 4.3 has taken the job
     * back because it was held for longer than the consumer timeout (docs/brokers.md). The job is delivered again, so
     * stop working on it if you can: ack() throws a TaskLostException, nack() and release() do nothing. This is known
     * locally and costs no round trip. False for a job that was settled in time.
     */
    public function isLost(): bool
    {
    }

    /**
     * How the job was settled; null if it is not settled yet, or if its delivery was lost.
     *
     * @return 'acked'|'retried'|'released'|'dead_lettered'|null
     */
    public function getOutcome(): ?string
    {
    }

    /**
     * Why the job is in a failed queue; null if it is not in one.
     *
     * @return array{
     *     reason: string,
     *     error: string|null,
     *     exception: string|null,
     *     queue: string|null,
     *     attempts: int<0, max>,
     *     failed_at: float|null,
     * }|null reason: "failed" (its attempts are used up), "lost" (its deliveries ended without an
     *     answer until its attempts were used up), "poison" (it cannot be decoded), "unknown" (it
     *     has no handler), or the reason that its worker gave; error and exception: the message and
     *     class of the last error; queue: the broker's name of the queue it came from; failed_at:
     *     Unix time in seconds
     */
    public function getFailure(): ?array
    {
    }

    /**
     * Acknowledges the job: it is done.
     *
     * @throws Exception\TaskLostException the delivery was lost with its connection or lock, and
     *     the job will be delivered again
     * @throws Exception\TimeoutException
     */
    public function ack(): void
    {
    }

    /**
     * Marks the job as failed. It is attempted again after a pause, or goes to the failed queue if
     * its attempts are used up (options max_attempts, backoff, failed_queue, requeue_on_fail).
     *
     * If the broker counts and delays redeliveries itself (quorum queues of RabbitMQ 4.3, embedded),
     * only the outcome is sent. Otherwise, a copy with the attempts is confirmed before the job
     * itself is acknowledged. A crash in between leaves two copies of the job.
     *
     * @param string|\Stringable|\Throwable|null $error Why it failed. The message and class of an
     *     exception are recorded.
     * @param bool|null $requeue Overrides the options: true attempts the job again at once; false
     *     moves it to the failed queue.
     *
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     * @throws Exception\RejectedException
     */
    public function nack(\Stringable|\Throwable|string|null $error = null, ?bool $requeue = null): void
    {
    }

    /**
     * Returns the job to its queue. This counts as an attempt, except if the attempt needs a copy (see nack()) that the
     * broker does not accept, because the queue is full for example: the job then goes back as it is.
     *
     * @param int|float $delay The job is not delivered again for this many seconds.
     * @param array<non-empty-string, scalar|\Stringable|non-empty-list<scalar|\Stringable>> $headers
     *     Added to the job's headers. They replace headers of the same name.
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
     * Moves the job to the failed queue (or the broker's own dead-letter queue), whatever the
     * retry options say.
     *
     * @param string|\Throwable $reason "failed", "poison", "unknown", or a word of your own. For an
     *     exception, the reason is "failed", and its message and class are recorded.
     * @param string|null $description Details for the person who inspects the failed queue.
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
