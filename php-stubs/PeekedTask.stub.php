<?php

// Amqp1\PeekedTask: see amqp1.stub.php.

namespace Amqp1;

/**
 * One job as AmqpQueue::peek() saw it. It stays in its queue, so it cannot be settled: nothing is
 * locked or counted, and the job may be gone the next moment. It cannot be cloned or serialized.
 *
 * The methods return the same as those of Task, unless they say otherwise.
 */
final class PeekedTask
{
    private function __construct()
    {
    }

    /**
     * The job's id; empty if its message has none.
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
     * @throws Exception\SerializationException the body is marked as JSON but is not JSON
     */
    public function getPayload(): mixed
    {
    }

    /**
     * The payload as it was sent, any bytes.
     */
    public function getBody(): string
    {
    }

    /**
     * The message's body as it was received, with the wrapper or envelope of its format. The same as getBody() in the
     * formats "roadrunner" and "raw".
     */
    public function getRawBody(): string
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
     * Whether there is a header with this name, regardless of case.
     */
    public function hasHeader(string $name): bool
    {
    }

    /**
     * The values of a header, regardless of case.
     *
     * @return list<string> empty if it is missing
     */
    public function getHeader(string $name): array
    {
    }

    /**
     * The values of a header as one string, separated by ", ".
     */
    public function getHeaderLine(string $name): string
    {
    }

    /**
     * The name of the AmqpQueue that it is in.
     */
    public function getQueue(): string
    {
    }

    /**
     * The pipeline that its producer named.
     */
    public function getPipeline(): string
    {
    }

    /**
     * The attempts so far: 0 for a job that no worker has had. The next worker's Task::getAttempts() is
     * one more.
     */
    public function getAttempts(): int
    {
    }

    /**
     * The priority that its producer set, or else the queue's.
     */
    public function getPriority(): int
    {
    }

    /**
     * The format of its message.
     *
     * @return 'roadrunner'|'amqp1'|'babelqueue'|'raw'
     */
    public function getFormat(): string
    {
    }

    /**
     * The trace id, if the producer set one.
     */
    public function getTraceId(): ?string
    {
    }

    /**
     * The message's group: on Service Bus, its session.
     */
    public function getGroup(): ?string
    {
    }

    /**
     * All AMQP properties that are set, by name.
     *
     * @return array<string, mixed>
     */
    public function getProperties(): array
    {
    }

    /**
     * All message annotations, by name. On Service Bus, "x-opt-scheduled-enqueue-time" says when a scheduled job can be
     * delivered.
     *
     * @return array<string, mixed>
     */
    public function getAnnotations(): array
    {
    }

    /**
     * When its producer made it.
     */
    public function getCreationTime(): ?\DateTimeImmutable
    {
    }

    /**
     * When the broker got it (Service Bus).
     */
    public function getEnqueuedTime(): ?\DateTimeImmutable
    {
    }

    /**
     * When it expires.
     */
    public function getExpiry(): ?\DateTimeImmutable
    {
    }

    /**
     * Why it is in a failed queue.
     *
     * @return array{
     *     reason: string,
     *     error: string|null,
     *     exception: string|null,
     *     queue: string|null,
     *     attempts: int<0, max>,
     *     failed_at: float|null,
     * }|null null if it is not in one
     */
    public function getFailure(): ?array
    {
    }

    /**
     * The broker's number of the job. For the next page, look from the last one's number plus one. A scheduled job gets
     * another number when it is due.
     */
    public function getSequenceNumber(): int
    {
    }

    /**
     * "active": it can be delivered, or a worker has it in hand; "deferred": Task::defer() has set it aside (Service
     * Bus); "scheduled": it waits for its time.
     *
     * @return 'active'|'deferred'|'scheduled'
     */
    public function getState(): string
    {
    }
}
