<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\PeekedTask;
use Amqp1\Task;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Exception\MessageDecodingFailedException;

/**
 * Messages by id, and lists of them. Service Bus and the embedded broker show messages. Others, RabbitMQ among them, only
 * deliver: messages are taken in hand and given back, and for that moment no worker can have them.
 *
 * @internal
 */
final class Listing
{
    /** What a consumer may hold. */
    private const MOST = 65535;

    /** How many more than the broker counts there may be: its figures come late. */
    private const UNCOUNTED = 1000;

    /** How many are shown at a time. */
    private const PAGE = 100;

    public function __construct(private readonly Connection $connection, private readonly Decoder $decoder)
    {
    }

    /**
     * Envelopes that are not in hand: Receiver takes them when they are settled.
     *
     * @return \Generator<int, Envelope>
     */
    public function all(?int $limit): \Generator
    {
        $left = $limit ?? PHP_INT_MAX;
        foreach ($this->connection->names() as $name) {
            if ($left < 1) {
                return;
            }
            $queue = $this->connection->queue($name);
            $tasks = Failure::translated(fn (): array => $this->look($queue, $left));
            $left -= count($tasks);
            foreach ($tasks as $task) {
                try {
                    yield $this->decoder->envelope($task, false);
                } catch (MessageDecodingFailedException) {
                    // It would hide the others. messenger:consume moves it to the failed queue.
                }
            }
        }
    }

    /** The message in hand, as get() returns it. It is given back with the envelope. */
    public function find(string $id): ?Envelope
    {
        foreach ($this->connection->names() as $name) {
            $envelope = Failure::translated(fn (): ?Envelope => $this->take($this->connection->queue($name), $id));
            if ($envelope !== null) {
                return $envelope;
            }
        }

        return null;
    }

    /** @return list<Task|PeekedTask> */
    private function look(AmqpQueue $queue, int $max): array
    {
        try {
            return $this->peek($queue, $max);
        } catch (UnsupportedException) {
            $consumer = $this->consumer($queue, $max);
            $held = [];
            try {
                while (count($held) < $max && ($task = $consumer->waitTask(0)) !== null) {
                    $held[] = $task;
                }
            } catch (QueueNotFoundException) {
                // It is declared by the first message.
            } finally {
                $consumer->close();
            }

            return $held;
        }
    }

    /** @return list<PeekedTask> */
    private function peek(AmqpQueue $queue, int $max, ?string $id = null): array
    {
        $found = [];
        $from = 0;
        try {
            while ($max > count($found)) {
                $tasks = $queue->peek(min($max - count($found), self::PAGE), $from);
                if ($tasks === []) {
                    break;
                }
                $from = end($tasks)->getSequenceNumber() + 1;
                array_push($found, ...array_filter($tasks, static fn ($task) => $id === null || $task->getId() === $id));
            }
        } catch (QueueNotFoundException) {
            // It is declared by the first message.
        }

        return $found;
    }

    private function take(AmqpQueue $queue, string $id): ?Envelope
    {
        try {
            if ($this->peek($queue, 1, $id) === []) {
                return null;
            }
        } catch (UnsupportedException) {
            // All have to be taken to know.
        }
        $consumer = $this->consumer($queue, self::MOST);
        $held = [];
        $found = null;
        try {
            while ($found === null && ($task = $consumer->waitTask(0)) !== null) {
                $held[] = $task;
                // The others go back when this one is settled or dropped: they go back with their consumer only.
                $found = $task->getId() === $id ? $this->decoder->envelope($task, true, [$consumer, ...$held]) : null;
            }
        } catch (QueueNotFoundException) {
            // It is declared by the first message.
        } finally {
            if ($found === null) {
                $consumer->close();
            }
        }

        return $found;
    }

    /** Looking at a message is no attempt that could be its last. */
    private function consumer(AmqpQueue $queue, int $max): Consumer
    {
        try {
            $max = min($max, self::MOST, $queue->count() + self::UNCOUNTED);
        } catch (QueueNotFoundException | UnsupportedException) {
            $max = min($max, self::MOST);
        }

        return $this->connection->newConsumer([$queue->getName()], ['prefetch' => $max, 'max_attempts' => 0]);
    }
}
