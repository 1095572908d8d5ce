<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Amqp1\Task;
use Interop\Queue\Consumer as ConsumerInterface;
use Interop\Queue\Exception\InvalidMessageException;
use Interop\Queue\Message as MessageInterface;
use Interop\Queue\Queue as QueueInterface;

/** Receives the messages of a queue. It attaches with the first receive(). */
final class Consumer implements ConsumerInterface
{
    private ?\Amqp1\Consumer $consumer = null;

    public function __construct(private readonly Context $context, private readonly QueueInterface $queue)
    {
    }

    public function getQueue(): QueueInterface
    {
        return $this->queue;
    }

    /** @param int $timeout Milliseconds; 0 waits without a limit. Below 0, the time is up: it does not wait. */
    public function receive(int $timeout = 0): ?MessageInterface
    {
        return $this->next($timeout === 0 ? null : max(0, $timeout / 1000));
    }

    public function receiveNoWait(): ?MessageInterface
    {
        return $this->next(0);
    }

    /** @throws Failure the delivery was lost: the message will be delivered again */
    public function acknowledge(MessageInterface $message): void
    {
        Failure::rethrown(self::task($message)->ack(...));
    }

    /** With $requeue, the message is delivered again; without, it goes to the queue's failed queue. */
    public function reject(MessageInterface $message, bool $requeue = false): void
    {
        $task = self::task($message);
        Failure::rethrown(static fn () => $requeue ? $task->release() : $task->nack('rejected', false));
    }

    /** Returns messages that are not acknowledged to the broker. */
    public function close(): void
    {
        Failure::rethrown(fn () => $this->consumer?->close());
        $this->consumer = null;
    }

    private function next(int|float|null $timeout): ?Message
    {
        return Failure::rethrown(function () use ($timeout): ?Message {
            $this->consumer ??= new \Amqp1\Consumer($this->context->queue($this->queue));
            $task = $this->consumer->waitTask($timeout);

            return $task === null ? null : Wire::message($task);
        });
    }

    private static function task(MessageInterface $message): Task
    {
        InvalidMessageException::assertMessageInstanceOf($message, Message::class);

        return $message->getTask() ?? throw new InvalidMessageException('The message was not received from a consumer');
    }
}
