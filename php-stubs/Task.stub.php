<?php

// Amqp1\Task: see amqp1.stub.php.

namespace Amqp1;

/**
 * One job that a worker has taken. Created by a Consumer; it cannot be cloned or serialized.
 *
 * A job is settled once, by ack(), nack(), release(), deadLetter(), reject(), discard() or defer().
 * Calls after the first do nothing. A job that is never settled is delivered again when its consumer
 * closes, or when its lock expires. If a call throws and isCompleted() is false, the job can still be settled in
 * another way; if it is dropped instead, it goes back to its queue at once.
 *
 * Id, name, pipeline, trace id, header names and header values are UTF-8 in jobs that this
 * extension pushed. In a foreign message they are the bytes that were received, for example the raw
 * UUIDs of AMQP 0-9-1 clients.
 */
final class Task implements TaskInterface
{
    private function __construct() {}

    /** The job's id. */
    public function getId(): string {}

    /** The job's name. */
    public function getName(): string {}

    /**
     * The payload that the producer passed.
     *
     * @return mixed a string payload unchanged; a JSON payload decoded, with objects as
     *     associative arrays. A foreign message's AMQP value is decoded the same way, with binary as
     *     a string, and the items of its AMQP sequences are one list.
     *
     * @throws Exception\SerializationException the body is marked as JSON but is not JSON
     */
    public function getPayload(): mixed {}

    /**
     * The payload as it was sent, any bytes, without the wrapper or envelope of its format.
     *
     * A foreign message's AMQP value or sequence is returned as JSON. Its strings contain binary
     * values unchanged, so if they are not UTF-8, only lenient parsers can read the JSON.
     */
    public function getBody(): string {}

    /** The message's body as it was received, with its format's wrapper or envelope. */
    public function getRawBody(): string {}

    /**
     * All headers: name => values.
     *
     * @return array<string, non-empty-list<string>>
     */
    public function getHeaders(): array {}

    /**
     * Whether the job has a header of this name.
     *
     * @param string $name Case-insensitive.
     */
    public function hasHeader(string $name): bool {}

    /**
     * The values of a header.
     *
     * @param string $name Case-insensitive.
     *
     * @return list<string> empty if there is no header of that name
     */
    public function getHeader(string $name): array {}

    /**
     * The values of a header, in one string.
     *
     * @param string $name Case-insensitive.
     *
     * @return string the values joined by ", "; empty if there is no header of that name
     */
    public function getHeaderLine(string $name): string {}

    /**
     * The name of the AmqpQueue (the pipeline) that the job was taken from.
     */
    public function getQueue(): string {}

    /** The name of the pipeline that the producer pushed the job to. */
    public function getPipeline(): string {}

    /** The address at the broker that the job was taken from. */
    public function getSource(): string {}

    /**
     * Which attempt this is: 1, plus one for each earlier delivery that may have run. Deliveries that were returned
     * without being handed out do not count. If a process is killed, the broker cannot tell which of its buffered jobs
     * ran: this number includes one such delivery, but max_attempts does not count it. If the broker does not count
     * deliveries (RabbitMQ 3, classic queues of 4.0, ActiveMQ Classic), only nack() and release() count: a job at
     * attempt 1 may then have killed workers before. Artemis misses some killed workers.
     *
     * @return int<1, max> 1 for the first attempt
     */
    public function getAttempts(): int {}

    /**
     * The priority that the producer requested.
     */
    public function getPriority(): int {}

    /**
     * The delay that the producer requested, in seconds.
     *
     * @return int|float an int if it is a whole number
     */
    public function getDelay(): int|float {}

    /**
     * The format of the message, whatever format the queue writes.
     *
     * @return 'roadrunner'|'amqp1'|'babelqueue'|'raw'
     */
    public function getFormat(): string {}

    /**
     * The trace id; null if the producer set none.
     */
    public function getTraceId(): ?string {}

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
    public function getProperties(): array {}

    /**
     * The message annotations: those of the producer, and those that the broker added.
     *
     * @return array<string, mixed> timestamps are DateTimeImmutable, binary is a string, lists and maps are arrays
     */
    public function getAnnotations(): array {}

    /**
     * The message's content-type, such as "application/json".
     */
    public function getContentType(): ?string {}

    /**
     * The message's content-encoding. The payload is neither compressed nor decompressed by this extension.
     */
    public function getContentEncoding(): ?string {}

    /**
     * The address for answers, to which reply() sends. RabbitMQ 4.3 makes an address of the queue name that a 0-9-1 client sets: "/queues/name".
     */
    public function getReplyTo(): ?string {}

    /**
     * The message's correlation-id, which is also the trace id of a job that this extension pushed.
     */
    public function getCorrelationId(): ?string {}

    /**
     * The message's subject: the job's name, unless its producer set another one.
     */
    public function getSubject(): ?string {}

    /**
     * The message's "to". It does not affect the route. RabbitMQ 4: if its producer set none, it may be the address by
     * which the message was routed.
     */
    public function getTo(): ?string {}

    /**
     * The user who sent the message. RabbitMQ has checked it, other brokers may not.
     */
    public function getUserId(): ?string {}

    /**
     * The message's group-id; on Service Bus the session.
     */
    public function getGroup(): ?string {}

    /**
     * The message's place in its group.
     *
     * @return int<0, max>|null
     */
    public function getGroupSequence(): ?int {}

    /**
     * The routing key with which the message came to its queue (RabbitMQ 4), or that its format carries ("amqp1").
     */
    public function getRoutingKey(): ?string {}

    /**
     * When the producer made the message, in UTC. Retries and replays keep it.
     */
    public function getCreationTime(): ?\DateTimeImmutable {}

    /**
     * When the broker got the message, in UTC: on Service Bus, and on RabbitMQ 4 with its interceptor for timestamps.
     */
    public function getEnqueuedTime(): ?\DateTimeImmutable {}

    /**
     * When the message expires, in UTC: its absolute-expiry-time, or else its creation time plus delay and TTL.
     */
    public function getExpiry(): ?\DateTimeImmutable {}

    /**
     * Whether the broker says that it delivered this message before, to whomever: by its delivery-count or, on RabbitMQ 4
     * and embedded, by first-acquirer. A copy (see nack()) is a new message. To count attempts, use getAttempts().
     */
    public function isRedelivered(): bool {}

    /**
     * AMQP's delivery-count: how many earlier deliveries of this message failed, as the broker counts them. To count
     * attempts, use getAttempts().
     *
     * @return int<0, max>
     */
    public function getDeliveryCount(): int {}

    /**
     * Whether the job has been settled, in any way.
     */
    public function isCompleted(): bool {}

    /**
     * Whether the delivery is lost: its connection or its Service Bus lock is gone, or RabbitMQ 4.3 has taken the job
     * back because it was held for longer than the consumer timeout (docs/brokers.md). The job is delivered again, so
     * stop working on it if you can: ack() throws a TaskLostException, nack() and release() do nothing. This is known
     * locally and costs no round trip. False for a job that was settled in time.
     */
    public function isLost(): bool {}

    /**
     * How the job was settled; null if it is not settled yet, or if its delivery was lost.
     *
     * @return 'acked'|'retried'|'released'|'dead_lettered'|'rejected'|'discarded'|'deferred'|null
     */
    public function getOutcome(): ?string {}

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
    public function getFailure(): ?array {}

    /**
     * Sends a reply to the producer of the job, if it waits for one (getReplyTo()), and returns once the broker has
     * confirmed it. The job stays unsettled: call ack() afterwards, or return from the worker's handler. If the worker ends
     * in between, the job is handled again and its second reply is dropped.
     *
     * The reply has the format of the request and its correlation id (its message id, if it has none). It expires after as
     * many seconds as the request.
     *
     * @param mixed $payload As for AmqpQueue::push().
     * @param array<string, mixed> $options Those of AmqpQueue::push(), without delay, routing_key, partition_key,
     *     correlation_id and trace_id.
     *
     * @return bool false if the requester is gone, so that no one gets the reply: there is nothing to try again. True if the
     *     broker has the reply. RabbitMQ's direct reply-to, RabbitMQ 3 and Artemis say so even if the requester is gone.
     *
     * @throws Exception\UnsupportedException the job has no reply-to
     * @throws Exception\ConfigException|Exception\SerializationException
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     * @throws Exception\RejectedException
     */
    public function reply(mixed $payload = null, array $options = []): bool {}

    /**
     * Acknowledges the job: it is done.
     *
     * @throws Exception\TaskLostException the delivery was lost with its connection or lock, and
     *     the job will be delivered again
     * @throws Exception\TimeoutException
     */
    public function ack(): void {}

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
    public function nack(\Stringable|\Throwable|string|null $error = null, ?bool $requeue = null): void {}

    /**
     * Returns the job to its queue. This counts as an attempt, except if the attempt needs a copy (see nack()) that the
     * broker does not accept, because the queue is full for example: the job then goes back as it is.
     *
     * @param int|float $delay The job is not delivered again for this many seconds.
     * @param array<non-empty-string, scalar|\Stringable|non-empty-list<scalar|\Stringable>> $headers
     *     Added to the job's headers. They replace headers of the same name.
     * @param string|null $reason Why, for getReleaseReason() of the next delivery. RabbitMQ keeps it on quorum queues, and
     *     in copies.
     *
     * @throws Exception\ConfigException a negative delay, a wrong header
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     * @throws Exception\RejectedException
     * @throws Exception\UnsupportedException the broker cannot delay
     */
    public function release(int|float $delay = 0, array $headers = [], ?string $reason = null): void {}

    /**
     * The reason of the last release() that gave one. Null if there was none, or if the broker does not keep it.
     */
    public function getReleaseReason(): ?string {}

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
    public function deadLetter(\Throwable|string $reason, ?string $description = null): void {}

    /**
     * Rejects the job with AMQP's outcome "rejected", so that the broker dead-letters it: to the queue's dead-letter
     * exchange (RabbitMQ, embedded), or to the dead-letter queue (Service Bus).
     *
     * deadLetter() instead sends a confirmed copy to the failed queue, with the reason, the error and the attempts.
     *
     * @param string|null $reason Kept on Service Bus (DeadLetterReason). RabbitMQ records only that the job was rejected.
     * @param string|null $description Details, for Service Bus (DeadLetterErrorDescription).
     *
     * @throws Exception\UnsupportedException the broker would drop the job, because the queue has no dead-letter exchange,
     *     or may drop it; the job is not settled
     * @throws Exception\TimeoutException
     */
    public function reject(?string $reason = null, ?string $description = null): void {}

    /**
     * Removes the job without processing it, on purpose. The broker is told the same as by ack(); only getOutcome() differs.
     *
     * @throws Exception\TaskLostException as by ack()
     * @throws Exception\TimeoutException
     */
    public function discard(): void {}

    /**
     * Sets the job aside (Service Bus). It stays in the queue, but is delivered only by AmqpQueue::receiveDeferred(), with
     * its getSequenceNumber(): store that number first.
     *
     * @throws Exception\UnsupportedException the broker is not Service Bus; the job is not settled
     * @throws Exception\TimeoutException
     */
    public function defer(): void {}

    /**
     * Renews the lock on the job now (Service Bus), for as long as the queue's lock duration says; the background renews it
     * for another max_lock_renewal seconds. On a broker that lets a consumer hold a job for any time, this does nothing. It
     * also does nothing on a settled job.
     *
     * @throws Exception\TaskLostException the lock or the connection is lost, and the job will be delivered again
     * @throws Exception\UnsupportedException the broker takes the job back after a time that cannot be moved: RabbitMQ's
     *     consumer timeout. Set the option consumer_timeout.
     * @throws Exception\TimeoutException
     */
    public function renew(): void {}

    /**
     * When the lock on the job ends, in UTC (Service Bus). Null without a lock, and after the job is settled.
     */
    public function getLockedUntil(): ?\DateTimeImmutable {}

    /**
     * The broker's number of the message (Service Bus), by which a deferred job is received.
     */
    public function getSequenceNumber(): ?int {}
}
