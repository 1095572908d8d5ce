<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Jobs;
use Amqp1\Task;
use PHPUnit\Framework\TestCase;
use Throwable;

/** A test that every broker of the matrix must pass. Its queues have unique names and are deleted after it. */
abstract class ContractTestCase extends TestCase
{
    /** @var list<Consumer> */
    private array $consumers = [];

    /** @var array<string, array{Broker, string}> */
    private array $queues = [];

    /** @var array<string, array{Broker, string}> */
    private array $exchanges = [];

    /** @return array<string, array{string}> */
    public static function brokers(): array
    {
        return Brokers::all();
    }

    /** @return array<string, array{string}> */
    public static function rabbitMq(): array
    {
        return Brokers::rabbitMq();
    }

    /** @return array<string, array{string}> One: for what takes long, and is the same on each. */
    public static function newestRabbitMq(): array
    {
        return array_slice(self::rabbitMq(), -1);
    }

    /** @return array<string, array{string}> */
    public static function networked(): array
    {
        return Brokers::networked();
    }

    /** @return array<string, array{string}> RabbitMQ 3 as well. */
    public static function everyRabbitMq(): array
    {
        return Brokers::everyRabbitMq();
    }

    /** @return array<string, array{string}> */
    public static function rabbitMq3(): array
    {
        return Brokers::rabbitMq3();
    }

    /** @return array<string, array{string}> Those that have all there is, and that another process can reach. */
    public static function fullyFeatured(): array
    {
        return array_diff_key(self::networked(), Brokers::rabbitMq3()) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    protected function broker(string $name): Broker
    {
        if ($name === '') {
            self::markTestSkipped('left out by AMQP1_TEST_BROKERS');
        }

        return Brokers::get($name);
    }

    /** A queue on the broker for this test only. */
    protected function queue(string $broker, array $options = [], ?string $name = null): AmqpQueue
    {
        $at = $this->broker($broker);

        return new AmqpQueue($at->dsn, $name ?? $this->uniqueName($at), $options + ['timeout' => 20]);
    }

    /** A unique name, whose queue is deleted after the test. */
    protected function uniqueName(Broker $broker, string $hint = 'test'): string
    {
        return $this->owned($broker, $hint . '-' . bin2hex(random_bytes(6)));
    }

    /** Deletes the queue of that name after the test. */
    protected function owned(Broker $broker, string $name): string
    {
        $this->queues[$broker->name . $name] = [$broker, $name];

        return $name;
    }

    /** The name of an exchange, deleted after the test. */
    protected function exchangeName(Broker $broker, string $hint = 'x'): string
    {
        $name = $hint . '-' . bin2hex(random_bytes(6));
        $this->exchanges[$broker->name . $name] = [$broker, $name];

        return $name;
    }

    protected function consumer(AmqpQueue|Jobs|array|null $queues, array $options = []): Consumer
    {
        return $this->consumers[] = new Consumer($queues, $options);
    }

    protected function next(Consumer $consumer, float $timeout = 10): Task
    {
        $task = $consumer->waitTask($timeout);
        self::assertNotNull($task, "a job within $timeout s");

        return $task;
    }

    /** A job that its own consumer has taken from the queue and acknowledged. */
    protected function take(AmqpQueue $queue, float $timeout = 10): Task
    {
        $consumer = new Consumer($queue, ['prefetch' => 1]);
        try {
            $task = $this->next($consumer, $timeout);
            $task->ack();

            return $task;
        } finally {
            $consumer->close();
        }
    }

    protected function assertNoTask(Consumer $consumer, float $within = 0.3): void
    {
        self::assertNull($consumer->waitTask($within), "no job within $within s");
    }

    /**
     * Returns false if the broker can do it. Otherwise, asserts that `$do` is refused, and returns true, so that the
     * test ends there.
     *
     * @param class-string<Throwable> $with
     */
    protected function lacks(string $broker, string $feature, callable $do, string $with = UnsupportedException::class): bool
    {
        if ($this->broker($broker)->supports($feature)) {
            return false;
        }
        $this->thrown($with, $do);

        return true;
    }

    /** A queue of that type, declared by another client if the extension cannot declare it. */
    protected function typed(string $broker, string $type, array $options = []): AmqpQueue
    {
        $declared = $this->broker($broker)->supports('queue-options') ? ['queue_type' => $type] : [];
        $queue = $this->queue($broker, $declared + $options);
        $this->peerFor($queue)?->declareQueue($queue->getName(), ['x-queue-type' => $type]);

        return $queue;
    }

    /** The seconds, or none if the broker cannot delay a job. */
    protected function pause(string $broker, float $seconds): float
    {
        return $this->broker($broker)->supports('delay') ? $seconds : 0.0;
    }

    /** How many jobs wait in the queue, counted by the extension or, if it cannot, by another client. */
    protected function jobsIn(AmqpQueue $queue): int
    {
        $peer = $this->peerFor($queue);

        return match (true) {
            $peer === null => $queue->count(),
            $peer->hasQueue($queue->getName()) => $peer->count($queue->getName()),
            default => 0, // count() would have declared it
        };
    }

    /** Asserts that this many jobs wait in the queue. */
    protected function assertJobs(int $expected, AmqpQueue $queue, string $message = ''): void
    {
        if ($this->peerFor($queue) === null && $queue->getBroker()['dialect'] !== 'artemis') {
            self::assertSame($expected, $queue->count(), $message);
        } else {
            // This connection is not the one that settled, and may be ahead of it.
            $this->eventually(fn () => $this->jobsIn($queue) === $expected, "$expected jobs in the queue $message");
        }
    }

    /** Declares the queue with the extension or, if it cannot, with another client. */
    protected function declared(AmqpQueue $queue): AmqpQueue
    {
        $peer = $this->peerFor($queue);
        $peer === null ? $queue->setup() : $peer->declareQueue($queue->getName(), []);

        return $queue;
    }

    private function peerFor(AmqpQueue $queue): ?Peer
    {
        return $queue->getBroker()['dialect'] === 'rabbitmq3' ? new Peer(Brokers::get('rabbitmq-3.10')) : null;
    }

    /** @template T of Throwable @param class-string<T> $class @return T */
    protected function thrown(string $class, callable $do): Throwable
    {
        try {
            $do();
        } catch (Throwable $thrown) {
            self::assertInstanceOf($class, $thrown, $thrown->getMessage());

            return $thrown;
        }
        self::fail("$class was not thrown");
    }

    /** Repeats until the condition holds. */
    protected function eventually(callable $check, string $what, float $seconds = 15): void
    {
        $deadline = microtime(true) + $seconds;
        while (!$check()) {
            if (microtime(true) > $deadline) {
                self::fail("not within $seconds s: $what");
            }
            usleep(50000);
        }
        self::assertTrue(true);
    }

    protected function tearDown(): void
    {
        foreach ($this->consumers as $consumer) {
            try {
                $consumer->close();
            } catch (Throwable) {
                // its test has reported that already
            }
        }
        $this->consumers = [];
        $peers = [];
        foreach ($this->queues as [$broker, $name]) {
            if ($broker->isRabbitMq()) {
                $peer = $peers[$broker->name] ??= new Peer($broker);
                $peer->deleteQueue($name);
                $peer->deleteQueue($name . '.failed');
            }
        }
        foreach ($this->exchanges as [$broker, $name]) {
            if ($broker->isRabbitMq()) {
                ($peers[$broker->name] ??= new Peer($broker))->deleteExchange($name);
            }
        }
        $this->queues = $this->exchanges = [];
    }
}
