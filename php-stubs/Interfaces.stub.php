<?php

// Amqp1\QueueInterface, ConsumerInterface and TaskInterface: see amqp1.stub.php.

namespace Amqp1;

/**
 * A queue: AmqpQueue, or Testing\FakeQueue in tests. The methods are those of AmqpQueue.
 *
 * Type-hint it where a test passes something else. Do not implement it yourself: later versions add methods.
 */
interface QueueInterface extends \Countable
{
    /** @see AmqpQueue::push() */
    public function push(string $name, mixed $payload = null, array $options = []): string;

    /** @see AmqpQueue::request() */
    public function request(string $name, mixed $payload = null, array $options = []): Reply;

    /** @see AmqpQueue::requestAsync() */
    public function requestAsync(string $name, mixed $payload = null, array $options = []): PendingReply;

    /** @see AmqpQueue::schedule() */
    public function schedule(string $name, mixed $payload, \DateTimeInterface|int|float $delay, array $options = []): string;

    /** @see AmqpQueue::cancel() */
    public function cancel(string $scheduled): bool;

    /** @see AmqpQueue::pushMany() */
    public function pushMany(iterable $jobs, array $options = []): array;

    /** @see AmqpQueue::reserve() */
    public function reserve(?float $timeout = 0.0): ?TaskInterface;

    /** @see AmqpQueue::receiveDeferred() */
    public function receiveDeferred(array|int $sequenceNumbers, ?string $session = null): array;

    /** @see AmqpQueue::peek() */
    public function peek(int $max = 10, int $from = 0): array;

    /** @see AmqpQueue::failed() */
    public function failed(): QueueInterface;

    /** @see AmqpQueue::retryFailed() */
    public function retryFailed(?int $max = null, ?array $ids = null): int;

    /** @see AmqpQueue::setup() */
    public function setup(): void;

    /** @see AmqpQueue::purge() */
    public function purge(): int;

    /** @see AmqpQueue::count() */
    public function count(): int;

    /** @see AmqpQueue::stats() */
    public function stats(): array;

    /** @see AmqpQueue::ping() */
    public function ping(): float;

    /** @see AmqpQueue::pause() */
    public function pause(): void;

    /** @see AmqpQueue::resume() */
    public function resume(): void;

    /** @see AmqpQueue::isPaused() */
    public function isPaused(): bool;

    /** @see AmqpQueue::getName() */
    public function getName(): string;

    /** @see AmqpQueue::getBroker() */
    public function getBroker(): array;
}

/**
 * A consumer: Consumer, or Testing\FakeConsumer in tests. The methods are those of Consumer.
 *
 * Type-hint it where a test passes something else. Do not implement it yourself: later versions add methods.
 *
 * @extends \IteratorAggregate<int, TaskInterface>
 */
interface ConsumerInterface extends \IteratorAggregate
{
    /** @see Consumer::waitTask() */
    public function waitTask(?float $timeout = null): ?TaskInterface;

    /** @see Consumer::waitTasks() */
    public function waitTasks(int $max, ?float $timeout = null): array;

    /** @see Consumer::getIterator() */
    public function getIterator(): \Iterator;

    /** @see Consumer::onLost() */
    public function onLost(?callable $listener = null): void;

    /** @see Consumer::pause() */
    public function pause(): void;

    /** @see Consumer::resume() */
    public function resume(): void;

    /** @see Consumer::isPaused() */
    public function isPaused(): bool;

    /** @see Consumer::stop() */
    public function stop(): void;

    /** @see Consumer::receiveDeferred() */
    public function receiveDeferred(array|int $sequenceNumbers): array;

    /** @see Consumer::getSession() */
    public function getSession(): ?string;

    /** @see Consumer::getSessionState() */
    public function getSessionState(): ?string;

    /** @see Consumer::setSessionState() */
    public function setSessionState(?string $state = null): void;

    /** @see Consumer::close() */
    public function close(): void;
}

/**
 * A job: Task, or Testing\FakeTask in tests. The methods are those of Task.
 *
 * Type-hint it where a test passes something else. Do not implement it yourself: later versions add methods.
 */
interface TaskInterface
{
    /** @see Task::getId() */
    public function getId(): string;

    /** @see Task::getName() */
    public function getName(): string;

    /** @see Task::getPayload() */
    public function getPayload(): mixed;

    /** @see Task::getBody() */
    public function getBody(): string;

    /** @see Task::getRawBody() */
    public function getRawBody(): string;

    /** @see Task::getHeaders() */
    public function getHeaders(): array;

    /** @see Task::hasHeader() */
    public function hasHeader(string $name): bool;

    /** @see Task::getHeader() */
    public function getHeader(string $name): array;

    /** @see Task::getHeaderLine() */
    public function getHeaderLine(string $name): string;

    /** @see Task::getQueue() */
    public function getQueue(): string;

    /** @see Task::getPipeline() */
    public function getPipeline(): string;

    /** @see Task::getSource() */
    public function getSource(): string;

    /** @see Task::getAttempts() */
    public function getAttempts(): int;

    /** @see Task::getPriority() */
    public function getPriority(): int;

    /** @see Task::getDelay() */
    public function getDelay(): int|float;

    /** @see Task::getFormat() */
    public function getFormat(): string;

    /** @see Task::getTraceId() */
    public function getTraceId(): ?string;

    /** @see Task::getProperties() */
    public function getProperties(): array;

    /** @see Task::getAnnotations() */
    public function getAnnotations(): array;

    /** @see Task::getContentType() */
    public function getContentType(): ?string;

    /** @see Task::getContentEncoding() */
    public function getContentEncoding(): ?string;

    /** @see Task::getReplyTo() */
    public function getReplyTo(): ?string;

    /** @see Task::getCorrelationId() */
    public function getCorrelationId(): ?string;

    /** @see Task::getSubject() */
    public function getSubject(): ?string;

    /** @see Task::getTo() */
    public function getTo(): ?string;

    /** @see Task::getUserId() */
    public function getUserId(): ?string;

    /** @see Task::getGroup() */
    public function getGroup(): ?string;

    /** @see Task::getGroupSequence() */
    public function getGroupSequence(): ?int;

    /** @see Task::getRoutingKey() */
    public function getRoutingKey(): ?string;

    /** @see Task::getCreationTime() */
    public function getCreationTime(): ?\DateTimeImmutable;

    /** @see Task::getEnqueuedTime() */
    public function getEnqueuedTime(): ?\DateTimeImmutable;

    /** @see Task::getExpiry() */
    public function getExpiry(): ?\DateTimeImmutable;

    /** @see Task::isRedelivered() */
    public function isRedelivered(): bool;

    /** @see Task::getDeliveryCount() */
    public function getDeliveryCount(): int;

    /** @see Task::isCompleted() */
    public function isCompleted(): bool;

    /** @see Task::isLost() */
    public function isLost(): bool;

    /** @see Task::getOutcome() */
    public function getOutcome(): ?string;

    /** @see Task::getFailure() */
    public function getFailure(): ?array;

    /** @see Task::reply() */
    public function reply(mixed $payload = null, array $options = []): bool;

    /** @see Task::ack() */
    public function ack(): void;

    /** @see Task::nack() */
    public function nack(\Stringable|\Throwable|string|null $error = null, ?bool $requeue = null): void;

    /** @see Task::release() */
    public function release(int|float $delay = 0, array $headers = [], ?string $reason = null): void;

    /** @see Task::getReleaseReason() */
    public function getReleaseReason(): ?string;

    /** @see Task::deadLetter() */
    public function deadLetter(\Throwable|string $reason, ?string $description = null): void;

    /** @see Task::reject() */
    public function reject(?string $reason = null, ?string $description = null): void;

    /** @see Task::discard() */
    public function discard(): void;

    /** @see Task::defer() */
    public function defer(): void;

    /** @see Task::renew() */
    public function renew(): void;

    /** @see Task::getLockedUntil() */
    public function getLockedUntil(): ?\DateTimeImmutable;

    /** @see Task::getSequenceNumber() */
    public function getSequenceNumber(): ?int;
}
