<?php

declare(strict_types=1);

namespace Amqp1\Laravel;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Task;
use Illuminate\Container\Container;
use Illuminate\Queue\Events\WorkerStopping;

/**
 * How a worker receives its jobs: from one queue after the other, as Laravel asks for them.
 *
 * With a prefetch of one, jobs are requested only while pop() waits for one. So a process has no job besides the one that
 * Laravel works on: none waits in it while it sleeps or works, and none loses an attempt when it is killed.
 */
final class Reception
{
    /** In seconds: how soon a wait notices that the worker shall quit. */
    private const SLICE = 0.2;

    /** @var array<string, list<Holder>> by the queue's name; usually one, and more if somebody takes several jobs */
    private array $holders = [];

    /** The queue with the highest precedence, the only one that is waited for. */
    private ?string $first = null;

    /** Whether another queue had a job since the first one was asked. */
    private bool $othersHaveJobs = false;

    public function __construct(private Configuration $settings, private ?Container $container)
    {
        if ($container !== null && $container->bound('events')) {
            $self = \WeakReference::create($this);
            // Also before a worker kills itself because of a job's time-out: what is settled by then must be sent, and the job
            // that took too long must have used up an attempt.
            $container->make('events')->listen(WorkerStopping::class, static function () use ($self): void {
                $self->get()?->close();
            });
        }
    }

    /**
     * @param int|null $index the queue's place among those of the worker, if Laravel says it
     * @param callable(Task): Amqp1Job $make
     */
    public function next(string $name, AmqpQueue $queue, ?int $index, callable $make): ?Amqp1Job
    {
        $this->first ??= $name;
        $isFirst = $index === null ? $name === $this->first : $index === 0;
        $patience = $isFirst && !$this->othersHaveJobs ? $this->settings->blockFor : 0.0;
        $holder = $this->holder($name, $queue);
        $task = $this->receive($holder->consumer, $patience);
        if ($isFirst) {
            $this->othersHaveJobs = false;
        } elseif ($task !== null) {
            $this->othersHaveJobs = true;
        }
        if ($task === null) {
            return null;
        }
        $job = $make($task);
        $holder->handedOut($task, $job);

        return $job;
    }

    public function close(): void
    {
        foreach ($this->holders as $holders) {
            foreach ($holders as $holder) {
                $holder->close();
            }
        }
    }

    private function receive(Consumer $consumer, float $patience): ?Task
    {
        if ($this->settings->prefetch > 1) {
            return $this->wait($consumer, $patience);
        }
        $consumer->resume();
        try {
            return $this->wait($consumer, $patience);
        } finally {
            $consumer->pause();
        }
    }

    private function wait(Consumer $consumer, float $patience): ?Task
    {
        $until = hrtime(true) / 1e9 + $patience;
        $left = $patience;
        do {
            $task = $consumer->waitTask(max(0.0, min($left, self::SLICE)));
            $left = $until - hrtime(true) / 1e9;
        } while ($task === null && $left > 0 && !$this->workerQuits());

        return $task;
    }

    /** Laravel's signal handlers only make a note. */
    private function workerQuits(): bool
    {
        if ($this->container === null || !$this->container->resolved('queue.worker')) {
            return false;
        }
        $worker = $this->container->make('queue.worker');

        return $worker->shouldQuit || $worker->paused;
    }

    private function holder(string $name, AmqpQueue $queue): Holder
    {
        foreach ($this->holders[$name] ?? [] as $holder) {
            $holder->sweep();
            if ($holder->isFree()) {
                return $holder;
            }
        }
        $options = ['prefetch' => $this->settings->prefetch, 'max_attempts' => 0] + $this->settings->consumer;

        return $this->holders[$name][] = new Holder(new Consumer($queue, $options), $this->settings->prefetch);
    }
}
