<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner;

use Amqp1\AmqpQueue;
use Spiral\RoadRunner\Jobs\ConsumerInterface;
use Spiral\RoadRunner\Jobs\Exception\JobsException;
use Spiral\RoadRunner\Jobs\Task\ReceivedTaskInterface;

/**
 * Takes tasks from the broker, in place of Spiral\RoadRunner\Jobs\Consumer, which takes them from RoadRunner's server.
 *
 * SIGTERM and SIGINT end its loop after the current task: waitTask() returns null, as it does when RoadRunner's server stops
 * a worker. This needs ext-pcntl, and leaves an application's own handlers alone.
 */
final class Consumer implements ConsumerInterface
{
    private const SIGNALS = ['SIGTERM', 'SIGINT'];

    private readonly \Amqp1\Consumer $consumer;

    /**
     * @param AmqpQueue|list<AmqpQueue>|\Amqp1\Jobs|null $queues As new \Amqp1\Consumer(). null: the pipelines in jobs.consume
     *     of the default configuration.
     * @param array<string, mixed> $options As new \Amqp1\Consumer(): prefetch, priority, timeout, …
     * @param bool $signals Whether SIGTERM and SIGINT end the loop.
     */
    public function __construct(AmqpQueue|\Amqp1\Jobs|array|null $queues = null, array $options = [], bool $signals = true)
    {
        $this->consumer = new \Amqp1\Consumer($queues, $options);
        if ($signals && function_exists('pcntl_async_signals')) {
            $this->stopOnSignals();
        }
    }

    /** @throws JobsException the broker cannot be reached, refuses the consumer, … */
    public function waitTask(): ?ReceivedTaskInterface
    {
        $task = Failure::rethrown(fn () => $this->consumer->waitTask());

        return $task === null ? null : ReceivedTask::of($task);
    }

    /** waitTask() returns null from now on. Tasks that were not handed out go back to the broker. */
    public function stop(): void
    {
        $this->consumer->stop();
    }

    /** Returns all tasks that are not settled to the broker. */
    public function close(): void
    {
        Failure::rethrown(fn () => $this->consumer->close());
    }

    private function stopOnSignals(): void
    {
        pcntl_async_signals(true);
        $consumer = \WeakReference::create($this->consumer);
        foreach (array_map(constant(...), self::SIGNALS) as $signal) {
            if (pcntl_signal_get_handler($signal) === SIG_DFL) {
                pcntl_signal($signal, static function () use ($consumer): void {
                    $consumer->get()?->stop();
                });
            }
        }
    }
}
