<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Stamp;

use Amqp1\Exception\TaskLostException;
use Amqp1\PeekedTask;
use Amqp1\SymfonyMessenger\Connection;
use Amqp1\Task;
use Symfony\Component\Messenger\Stamp\NonSendableStampInterface;

/** Where a message came from, and all that AMQP says of it. */
final class Amqp1ReceivedStamp implements NonSendableStampInterface
{
    private bool $copied = false;

    /**
     * @internal
     *
     * @param bool $inHand Whether this process holds the message, which it can settle then.
     * @param list<object> $with What must live as long as the message is in hand.
     */
    public function __construct(
        private readonly Connection $connection,
        private readonly Task|PeekedTask $task,
        private readonly string $queue,
        private readonly bool $inHand = true,
        private readonly array $with = [],
    ) {
    }

    /** The transport's name of the queue. */
    public function getQueueName(): string
    {
        return $this->queue;
    }

    /** The broker's address of the queue. */
    public function getSource(): string
    {
        return $this->task instanceof Task ? $this->task->getSource() : $this->queue;
    }

    /**
     * Which delivery of this message it is that may have run: 1 for the first one, 2 if a worker was killed before. A retry
     * by Messenger is a new message; RedeliveryStamp counts those.
     *
     * @return int<1, max>
     */
    public function getAttempts(): int
    {
        return $this->task->getAttempts();
    }

    /** Whether the message is not this worker's any more, because its connection or its lock was lost. */
    public function isLost(): bool
    {
        return $this->task instanceof Task && $this->task->isLost();
    }

    /** All else: priority, properties, annotations, times. Do not settle it, Messenger does. */
    public function getTask(): Task|PeekedTask
    {
        return $this->task;
    }

    /** @internal */
    public function isOf(Connection $connection): bool
    {
        return $this->connection === $connection;
    }

    /** @internal */
    public function isInHand(): bool
    {
        return $this->inHand && $this->task instanceof Task;
    }

    /**
     * A copy of the message was sent, or is not needed because the broker delivers it again.
     *
     * @internal
     */
    public function markCopied(): void
    {
        $this->copied = true;
    }

    /** @internal */
    public function isCopied(): bool
    {
        return $this->copied;
    }

    /**
     * Ends the message's time in hand, after it was settled.
     *
     * @internal
     *
     * @param callable(Task): void $settle
     *
     * @throws TaskLostException
     */
    public function settle(callable $settle): void
    {
        if ($this->task instanceof Task) {
            $settle($this->task);
        }
        foreach ($this->with as $consumer) {
            if ($consumer instanceof \Amqp1\Consumer) {
                $consumer->close();
            }
        }
    }
}
