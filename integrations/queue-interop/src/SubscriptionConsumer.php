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

    public function __construct(private readonly Context $context)
    {
    }

    /** @param int $timeout Milliseconds; 0 consumes until a callback returns false. */
    public function consume(int $timeout = 0): void
    {
        if ($this->subscribed === []) {
            throw new \LogicException('No consumer is subscribed');
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
        } while ($callback(Wire::message($task), $consumer) !== false && $this->subscribed !== [] && ($timeout === 0 || microtime(true) < $until));
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
            $this->close();
        }
    }

    public function unsubscribe(ConsumerInterface $consumer): void
    {
        $name = $consumer->getQueue()->getQueueName();
        if (($this->subscribed[$name][0] ?? null) === $consumer) {
            unset($this->subscribed[$name]);
            $this->close();
        }
    }

    public function unsubscribeAll(): void
    {
        $this->subscribed = [];
        $this->close();
    }

    /** Returns messages that are not acknowledged to the broker. */
    public function close(): void
    {
        Failure::rethrown(fn () => $this->consumer?->close());
        $this->consumer = null;
    }
}
