<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Interop\Queue\Consumer as ConsumerInterface;
use Interop\Queue\SubscriptionConsumer as SubscriptionConsumerInterface;

/** Receives the messages of several queues, and serves them fairly. */
final class SubscriptionConsumer implements SubscriptionConsumerInterface
{
    /** @var array<string, array{ConsumerInterface, callable}> by queue */
    private array $subscribed = [];

    private ?\Amqp1\Consumer $consumer = null;

    /** Whether a callback has a message, which would be lost with the consumer. */
    private bool $isCalling = false;

    /** Whether the consumer is to be made anew after the callback. */
    private bool $isChanged = false;

    public function __construct(private readonly Context $context)
    {
    }

    /** @param int $timeout Milliseconds; 0 consumes until a callback returns false. Below 0, the time is up: it returns at once. */
    public function consume(int $timeout = 0): void
    {
        if ($this->subscribed === []) {
            throw new \LogicException('No consumer is subscribed');
        }
        if ($timeout < 0) {
            return;
        }
        $until = microtime(true) + $timeout / 1000;
        do {
            $left = $timeout > 0 ? max(0.001, $until - microtime(true)) : null;
            $task = Failure::rethrown(function () use ($left) {
                $queues = array_map(fn (array $of) => $this->context->queue($of[0]->getQueue()), array_values($this->subscribed));

                return ($this->consumer ??= new \Amqp1\Consumer($queues))->waitTask($left);
            });
            if ($task === null) {
                return;
            }
            [$consumer, $callback] = $this->subscribed[$task->getQueue()];
        } while ($this->call($callback, Wire::message($task), $consumer) && $this->subscribed !== [] && ($timeout === 0 || microtime(true) < $until));
    }

    public function subscribe(ConsumerInterface $consumer, callable $callback): void
    {
        $name = $consumer->getQueue()->getQueueName();
        $known = $this->subscribed[$name] ?? null;
        if ($known !== null && ($known[0] !== $consumer || $known[1] !== $callback)) {
            throw new \InvalidArgumentException("There is another consumer subscribed to the queue '$name'");
        }
        if ($known === null) {
            $this->subscribed[$name] = [$consumer, $callback];
            $this->changed();
        }
    }

    public function unsubscribe(ConsumerInterface $consumer): void
    {
        $name = $consumer->getQueue()->getQueueName();
        if (($this->subscribed[$name][0] ?? null) === $consumer) {
            unset($this->subscribed[$name]);
            $this->changed();
        }
    }

    public function unsubscribeAll(): void
    {
        $this->subscribed = [];
        $this->changed();
    }

    /** Returns messages that are not acknowledged to the broker. */
    public function close(): void
    {
        Failure::rethrown(fn () => $this->consumer?->close());
        $this->consumer = null;
    }

    /** @return bool Whether to go on. */
    private function call(callable $callback, Message $message, ConsumerInterface $consumer): bool
    {
        $wasCalling = $this->isCalling;
        $this->isCalling = true;
        try {
            return $callback($message, $consumer) !== false;
        } finally {
            $this->isCalling = $wasCalling;
            if ($this->isChanged) {
                $this->changed();
            }
        }
    }

    /** The next message is received from the queues that are subscribed now. */
    private function changed(): void
    {
        $this->isChanged = $this->isCalling;
        if (!$this->isCalling) {
            $this->close();
        }
    }
}
