<?php

declare(strict_types=1);

namespace Amqp1\Testing;

use Amqp1\AmqpQueue;
use Amqp1\PendingReply;
use Amqp1\QueueInterface;
use Amqp1\Reply;
use Amqp1\TaskInterface;
use Throwable;

/**
 * A queue for tests: it records what is pushed, and asserts it.
 *
 *     $queue = new FakeQueue('orders');
 *     (new Checkout($queue))->complete($order);
 *     $queue->assertPushed('ProcessOrder', fn (Pushed $job) => $job->payload['orderId'] === 12345);
 *
 * Below it is a queue of its own on the broker that the extension contains, so names, payloads and options are
 * checked as everywhere, and jobs can be taken: with reserve(), by a Consumer of queue(), or by a Worker. As on RabbitMQ,
 * schedule() and receiveDeferred() need the option 'dialect' => 'servicebus'.
 */
final class FakeQueue implements QueueInterface
{
    /** The broker inside this process that fakes use. */
    public const DSN = 'embedded://amqp1-testing';

    private readonly AmqpQueue $queue;

    /** @var list<Pushed> */
    private array $pushed = [];

    private ?Throwable $failure = null;

    /** @var array<string, mixed> */
    private array $replies = [];

    /** Where requests with such a reply go, so that workers do not take them. */
    private readonly AmqpQueue $requests;

    /**
     * @param array<string, mixed> $options As for new AmqpQueue().
     *
     * @throws \Amqp1\Exception\ConfigException as new AmqpQueue()
     */
    public function __construct(string $name = 'default', array $options = [])
    {
        $unique = $name . '-' . bin2hex(random_bytes(6));
        $this->queue = new AmqpQueue(self::DSN, $unique, $options + ['name' => $name]);
        $this->requests = new AmqpQueue(self::DSN, "$unique-requests", $options + ['name' => $name]);
    }

    /** The queue below: for a Consumer. A Worker takes the FakeQueue itself, too. */
    public function queue(): AmqpQueue
    {
        return $this->queue;
    }

    /**
     * The queues of fakes, and others as they are.
     *
     * @internal
     */
    public static function real(mixed $queues): mixed
    {
        return match (true) {
            is_array($queues) => array_map(self::real(...), $queues),
            $queues instanceof self => $queues->queue,
            default => $queues,
        };
    }

    /**
     * The jobs that were pushed, in order.
     *
     * @param string|null $name Only jobs of this name.
     * @return list<Pushed>
     */
    public function pushed(?string $name = null): array
    {
        return array_values(array_filter($this->pushed, static fn (Pushed $job) => $name === null || $job->name === $name));
    }

    /**
     * @param (callable(Pushed): bool)|int|null $expected int: exactly this many such jobs; callable: at least one for which
     *     it returns true; null: at least one.
     */
    public function assertPushed(string $name, callable|int|null $expected = null): void
    {
        $found = count($this->found($name, is_int($expected) ? null : $expected));
        Expectation::that(is_int($expected) ? $found === $expected : $found > 0, match (true) {
            is_int($expected) => "{$this->named()} has $found jobs \"$name\", not $expected. {$this->known()}",
            $expected === null => "no job \"$name\" was pushed to {$this->named()}. {$this->known()}",
            default => "no job \"$name\" that was pushed to {$this->named()} is as expected. {$this->known()}",
        });
    }

    /** @param (callable(Pushed): bool)|null $unexpected Only jobs for which it returns true; null: any of this name. */
    public function assertNotPushed(string $name, ?callable $unexpected = null): void
    {
        Expectation::that($this->found($name, $unexpected) === [], "a job \"$name\" was pushed to {$this->named()}. {$this->known()}");
    }

    public function assertNothingPushed(): void
    {
        Expectation::that($this->pushed === [], "{$this->named()} is not empty. {$this->known()}");
    }

    /** Forgets what was pushed, and removes the jobs that wait. */
    public function reset(): void
    {
        $this->pushed = [];
        $this->failure = null;
        $this->queue->purge();
    }

    /** Makes each push throw this from now on, as when the broker is lost; null: they succeed again. */
    public function failWith(?Throwable $failure): void
    {
        $this->failure = $failure;
    }

    /**
     * Answers each request of this name from now on.
     *
     * @param mixed $reply The reply's payload, or a closure that gets the request (Pushed) and returns it.
     */
    public function replyWith(string $name, mixed $reply): void
    {
        $this->replies[$name] = $reply;
    }

    public function request(string $name, mixed $payload = null, array $options = []): Reply
    {
        return $this->requestAsync($name, $payload, $options)->get();
    }

    public function requestAsync(string $name, mixed $payload = null, array $options = []): PendingReply
    {
        $this->mayFail();
        $isAnswered = array_key_exists($name, $this->replies);
        $queue = $isAnswered ? $this->requests : $this->queue;
        $pending = $queue->requestAsync($name, $payload, $options);
        $this->pushed[] = $job = new Pushed($pending->getId(), $name, $payload, $options);
        if ($isAnswered) {
            $reply = $this->replies[$name];
            $task = $queue->reserve(5);
            $task?->reply($reply instanceof \Closure ? $reply($job) : $reply);
            $task?->ack();
        }

        return $pending;
    }

    public function push(string $name, mixed $payload = null, array $options = []): string
    {
        $this->mayFail();
        $id = $this->queue->push($name, $payload, $options);
        $this->pushed[] = new Pushed($id, $name, $payload, $options);

        return $id;
    }

    public function schedule(string $name, mixed $payload, \DateTimeInterface|int|float $delay, array $options = []): string
    {
        $this->mayFail();
        $id = $this->queue->schedule($name, $payload, $delay, $options);
        $this->pushed[] = new Pushed($id, $name, $payload, ['delay' => $delay] + $options);

        return $id;
    }

    public function pushMany(iterable $jobs, array $options = []): array
    {
        $this->mayFail();
        $given = is_array($jobs) ? array_values($jobs) : iterator_to_array($jobs, false);
        $ids = $this->queue->pushMany($given, $options);
        foreach ($ids as $at => $id) {
            $job = $given[$at];
            $this->pushed[] = new Pushed($id, $job['name'], $job['payload'] ?? null, ($job['options'] ?? []) + $options);
        }

        return $ids;
    }

    public function cancel(string $scheduled): bool
    {
        return $this->queue->cancel($scheduled);
    }

    public function reserve(?float $timeout = 0.0): ?TaskInterface
    {
        return $this->queue->reserve($timeout);
    }

    public function receiveDeferred(array|int $sequenceNumbers, ?string $session = null): array
    {
        return $this->queue->receiveDeferred($sequenceNumbers, $session);
    }

    public function peek(int $max = 10, int $from = 0): array
    {
        return $this->queue->peek($max, $from);
    }

    public function failed(): AmqpQueue
    {
        return $this->queue->failed();
    }

    public function retryFailed(?int $max = null, ?array $ids = null): int
    {
        return $this->queue->retryFailed($max, $ids);
    }

    public function setup(): void
    {
        $this->queue->setup();
    }

    public function purge(): int
    {
        return $this->queue->purge();
    }

    public function count(): int
    {
        return $this->queue->count();
    }

    public function stats(): array
    {
        return $this->queue->stats();
    }

    public function ping(): float
    {
        return $this->queue->ping();
    }

    public function pause(): void
    {
        $this->queue->pause();
    }

    public function resume(): void
    {
        $this->queue->resume();
    }

    public function isPaused(): bool
    {
        return $this->queue->isPaused();
    }

    public function getName(): string
    {
        return $this->queue->getName();
    }

    public function getBroker(): array
    {
        return $this->queue->getBroker();
    }

    private function mayFail(): void
    {
        if ($this->failure !== null) {
            throw $this->failure;
        }
    }

    /** @return list<Pushed> */
    private function found(string $name, ?callable $filter): array
    {
        return array_values(array_filter($this->pushed($name), static fn (Pushed $job) => $filter === null || $filter($job)));
    }

    private function named(): string
    {
        return "the queue \"{$this->getName()}\"";
    }

    /** What was pushed, for messages. */
    private function known(): string
    {
        $lines = array_map(
            static fn (Pushed $job) => "\n- $job->name " . substr(Expectation::shown($job->payload), 0, 200),
            array_slice($this->pushed, 0, 20)
        );

        return $lines === [] ? 'Nothing was pushed.' : 'Pushed jobs (' . count($this->pushed) . '):' . implode('', $lines);
    }
}
