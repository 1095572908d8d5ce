<?php

declare(strict_types=1);

namespace Amqp1\Testing;

use Amqp1\AmqpQueue;
use Amqp1\Console\Suggestion;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Task;
use Amqp1\TaskInterface;

/**
 * A job for tests of handlers, made by hand: it records how it was settled.
 *
 *     $task = new FakeTask('ProcessOrder', ['orderId' => 12345], ['attempts' => 3]);
 *     (new ProcessOrder($orders))($task);
 *     $task->assertAcked();
 *
 * It is pushed to and taken from the broker that the extension contains, so it has what a real job has.
 */
final class FakeTask implements TaskInterface
{
    /** Those that push() does not have; the values are the defaults. */
    private const OWN = [
        'attempts' => 1,
        'max_attempts' => 3,
        'queue' => 'default',
        'pipeline' => null,
        'source' => null,
        'delivery_count' => null,
        'redelivered' => null,
        'enqueued_time' => null,
        'failure' => null,
        'release_reason' => null,
        'locked_until' => null,
        'sequence_number' => null,
    ];

    private readonly Task $task;

    /** @var array<string, mixed> */
    private readonly array $own;

    private readonly int|float $delay;

    private ?Settlement $settlement = null;
    private bool $isLost = false;
    private int $renewed = 0;

    /** @var list<mixed> */
    private array $replies = [];

    /**
     * @param array<string, mixed> $options Those of AmqpQueue::push() (headers, id, priority, …), and what a broker says about
     *     a job: attempts, max_attempts (3; for nack()), queue ("default"), pipeline, source, delivery_count, redelivered,
     *     enqueued_time, failure, release_reason, locked_until, sequence_number. They are what the method of the same
     *     name returns.
     *
     * @throws ConfigException an option is unknown or wrong, as push() says
     */
    public function __construct(string $name, mixed $payload = null, array $options = [])
    {
        $own = array_intersect_key($options, self::OWN) + self::OWN;
        foreach (['attempts' => 1, 'max_attempts' => 0] as $option => $least) {
            if (!is_int($own[$option]) || $own[$option] < $least) {
                throw new ConfigException("FakeTask: option '$option' must be an int of at least $least");
            }
        }
        $this->own = $own;
        $job = array_diff_key($options, self::OWN);
        $delay = $job['delay'] ?? 0;
        if (!is_int($delay) && !is_float($delay) || $delay < 0) {
            throw new ConfigException("FakeTask: option 'delay' must be a number of seconds of at least 0");
        }
        $this->delay = $delay;
        unset($job['delay']);
        $this->task = self::taken((string) $own['queue'], $name, $payload, $job);
    }

    /** How it was settled; null: it is not settled. */
    public function settlement(): ?Settlement
    {
        return $this->settlement;
    }

    /** The delivery is lost from now on, as when its connection or lock is gone. */
    public function lose(): void
    {
        $this->isLost = $this->settlement === null;
    }

    /** How often it was renewed. */
    public function renewed(): int
    {
        return $this->renewed;
    }

    /** @return list<mixed> The payloads that reply() was given. */
    public function replies(): array
    {
        return $this->replies;
    }

    /** @param (callable(mixed): bool)|null $expected At least one reply for whose payload it returns true; null: any. */
    public function assertReplied(?callable $expected = null): void
    {
        $found = $expected === null ? $this->replies : array_filter($this->replies, $expected);
        Expectation::that($found !== [], "{$this->named()} has no such reply: " . Expectation::shown($this->replies));
    }

    public function assertAcked(): void
    {
        $this->assertOutcome('acked');
    }

    /** @param class-string<\Throwable>|null $error The class of the exception that nack() was given. */
    public function assertRetried(?string $error = null): void
    {
        $this->assertOutcome('retried');
        $this->assertError($error);
    }

    /** It is in the failed queue. @param class-string<\Throwable>|null $error */
    public function assertDeadLettered(?string $error = null): void
    {
        $this->assertOutcome('dead_lettered');
        $this->assertError($error);
    }

    public function assertReleased(int|float|null $delay = null): void
    {
        $this->assertOutcome('released');
        Expectation::that($delay === null || $this->settlement?->delay == $delay,
            "{$this->named()} was released for {$this->settlement?->delay} s, not for $delay s");
    }

    public function assertRejected(): void
    {
        $this->assertOutcome('rejected');
    }

    public function assertDiscarded(): void
    {
        $this->assertOutcome('discarded');
    }

    public function assertNotSettled(): void
    {
        $this->assertOutcome(null);
    }

    public function reply(mixed $payload = null, array $options = []): bool
    {
        // Checked by the real task; no one reads it there.
        $replied = $this->task->reply($payload, ['ttl' => 0.001] + $options);
        $this->replies[] = $payload;

        return $replied;
    }

    public function ack(): void
    {
        if ($this->isLost) {
            throw new TaskLostException("{$this->named()}: the delivery was lost, and the job will be delivered again");
        }
        $this->settle(new Settlement('acked'));
    }

    public function nack(\Stringable|\Throwable|string|null $error = null, ?bool $requeue = null): void
    {
        $most = $this->own['max_attempts'];
        $again = $requeue ?? ($most === 0 || $this->own['attempts'] < $most);
        $this->settle(new Settlement($again ? 'retried' : 'dead_lettered', $error, $again ? null : 'failed'));
    }

    public function release(int|float $delay = 0, array $headers = [], ?string $reason = null): void
    {
        if ($delay < 0) {
            throw new ConfigException('Task::release(): $delay: must be at least 0');
        }
        if ($headers !== []) {
            self::taken('default', 'headers', null, ['headers' => $headers]);
        }
        $this->settle(new Settlement('released', reason: $reason, delay: $delay, headers: $headers));
    }

    public function deadLetter(\Throwable|string $reason, ?string $description = null): void
    {
        $error = $reason instanceof \Throwable ? $reason : null;
        $this->settle(new Settlement('dead_lettered', $error, $error === null ? $reason : 'failed', $description));
    }

    public function reject(?string $reason = null, ?string $description = null): void
    {
        $this->settle(new Settlement('rejected', reason: $reason, description: $description));
    }

    public function discard(): void
    {
        if ($this->isLost) {
            $this->ack();
        }
        $this->settle(new Settlement('discarded'));
    }

    public function defer(): void
    {
        $this->settle(new Settlement('deferred'));
    }

    public function renew(): void
    {
        if ($this->isLost) {
            throw new TaskLostException("{$this->named()}: the delivery was lost, and the job will be delivered again");
        }
        $this->renewed++;
    }

    public function isCompleted(): bool
    {
        return $this->settlement !== null;
    }

    public function isLost(): bool
    {
        return $this->isLost;
    }

    public function getOutcome(): ?string
    {
        return $this->settlement?->outcome;
    }

    public function getAttempts(): int
    {
        return $this->own['attempts'];
    }

    public function getDelay(): int|float
    {
        return $this->delay;
    }

    public function getQueue(): string
    {
        return (string) $this->own['queue'];
    }

    public function getPipeline(): string
    {
        return $this->own['pipeline'] ?? $this->getQueue();
    }

    public function getSource(): string
    {
        return $this->own['source'] ?? '/queues/' . rawurlencode($this->getQueue());
    }

    public function isRedelivered(): bool
    {
        return $this->own['redelivered'] ?? $this->getAttempts() > 1;
    }

    public function getDeliveryCount(): int
    {
        return $this->own['delivery_count'] ?? $this->getAttempts() - 1;
    }

    public function getFailure(): ?array
    {
        return $this->own['failure'];
    }

    public function getReleaseReason(): ?string
    {
        return $this->own['release_reason'];
    }

    public function getLockedUntil(): ?\DateTimeImmutable
    {
        return $this->own['locked_until'];
    }

    public function getSequenceNumber(): ?int
    {
        return $this->own['sequence_number'];
    }

    public function getEnqueuedTime(): ?\DateTimeImmutable
    {
        return $this->own['enqueued_time'];
    }

    public function getId(): string
    {
        return $this->task->getId();
    }

    public function getName(): string
    {
        return $this->task->getName();
    }

    public function getPayload(): mixed
    {
        return $this->task->getPayload();
    }

    public function getBody(): string
    {
        return $this->task->getBody();
    }

    public function getRawBody(): string
    {
        return $this->task->getRawBody();
    }

    public function getHeaders(): array
    {
        return $this->task->getHeaders();
    }

    public function hasHeader(string $name): bool
    {
        return $this->task->hasHeader($name);
    }

    public function getHeader(string $name): array
    {
        return $this->task->getHeader($name);
    }

    public function getHeaderLine(string $name): string
    {
        return $this->task->getHeaderLine($name);
    }

    public function getPriority(): int
    {
        return $this->task->getPriority();
    }

    public function getFormat(): string
    {
        return $this->task->getFormat();
    }

    public function getTraceId(): ?string
    {
        return $this->task->getTraceId();
    }

    public function getProperties(): array
    {
        return $this->task->getProperties();
    }

    public function getAnnotations(): array
    {
        return $this->task->getAnnotations();
    }

    public function getContentType(): ?string
    {
        return $this->task->getContentType();
    }

    public function getContentEncoding(): ?string
    {
        return $this->task->getContentEncoding();
    }

    public function getReplyTo(): ?string
    {
        return $this->task->getReplyTo();
    }

    public function getCorrelationId(): ?string
    {
        return $this->task->getCorrelationId();
    }

    public function getSubject(): ?string
    {
        return $this->task->getSubject();
    }

    public function getTo(): ?string
    {
        return $this->task->getTo();
    }

    public function getUserId(): ?string
    {
        return $this->task->getUserId();
    }

    public function getGroup(): ?string
    {
        return $this->task->getGroup();
    }

    public function getGroupSequence(): ?int
    {
        return $this->task->getGroupSequence();
    }

    public function getRoutingKey(): ?string
    {
        return $this->task->getRoutingKey();
    }

    public function getCreationTime(): ?\DateTimeImmutable
    {
        return $this->task->getCreationTime();
    }

    public function getExpiry(): ?\DateTimeImmutable
    {
        return $this->task->getExpiry();
    }

    private function settle(Settlement $how): void
    {
        // Only the first counts, and nothing can be said about a lost delivery.
        if (!$this->isLost) {
            $this->settlement ??= $how;
        }
    }

    private function assertOutcome(?string $expected): void
    {
        $outcome = $this->getOutcome();
        $error = $this->settlement?->error;
        Expectation::that($outcome === $expected, "{$this->named()} " . match (true) {
            $this->isLost => 'was lost',
            $outcome === null => 'was not settled',
            default => "was $outcome" . ($error === null ? '' : ' (' . Expectation::shown($error) . ')'),
        } . ($expected === null ? '' : ", not $expected"));
    }

    private function assertError(?string $class): void
    {
        $error = $this->settlement?->error;
        Expectation::that($class === null || $error instanceof $class,
            "{$this->named()} failed with " . Expectation::shown($error) . ", not with $class");
    }

    private function named(): string
    {
        return "the job \"{$this->getName()}\"";
    }

    /** A job of the broker that the extension contains, already settled there. */
    private static function taken(string $pipeline, string $name, mixed $payload, array $options): Task
    {
        // One queue, which is empty again: fakes leave nothing behind.
        $queue = new AmqpQueue(FakeQueue::DSN, 'tasks-' . getmypid(), ['name' => $pipeline]);
        try {
            $queue->push($name, $payload, $options);
        } catch (ConfigException $e) {
            preg_match("/unknown option '(\w+)'/", $e->getMessage(), $unknown);
            $near = isset($unknown[1]) ? Suggestion::for($unknown[1], array_keys(self::OWN)) : '';
            throw $near === '' ? $e : new ConfigException("FakeTask: unknown option '$unknown[1]'$near", 0, $e);
        }
        $task = $queue->reserve(5) ?? throw new \LogicException('The embedded broker has not delivered the job: was its TTL over?');
        $task->ack();

        return $task;
    }
}
