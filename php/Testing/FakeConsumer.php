<?php

declare(strict_types=1);

namespace Amqp1\Testing;

use Amqp1\ConsumerInterface;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\RejectedException;
use Amqp1\TaskInterface;

/** A consumer for tests: hands out the tasks that it was given, and never waits. */
final class FakeConsumer implements ConsumerInterface
{
    /** @var list<TaskInterface> */
    private array $tasks;

    /** @var (callable(): void)|null */
    private $listener = null;

    /** @var array<int, TaskInterface> */
    private array $aside = [];

    private bool $isPaused = false;
    private bool $isStopped = false;
    private ?string $state = null;

    /** @param string|null $session What getSession() returns. */
    public function __construct(iterable $tasks = [], private readonly ?string $session = null)
    {
        $this->tasks = [];
        $this->add(...$tasks);
    }

    public function add(TaskInterface ...$tasks): void
    {
        array_push($this->tasks, ...array_values($tasks));
    }

    /** Loses a task, as when its connection is gone, and calls the listener of onLost(). */
    public function lose(FakeTask $task): void
    {
        $task->lose();
        if ($this->listener !== null) {
            ($this->listener)();
        }
    }

    public function waitTask(?float $timeout = null): ?TaskInterface
    {
        return $this->isPaused || $this->isStopped ? null : array_shift($this->tasks);
    }

    public function waitTasks(int $max, ?float $timeout = null): array
    {
        return $this->isPaused || $this->isStopped ? [] : array_splice($this->tasks, 0, max(0, $max));
    }

    /** Ends when there are no tasks left. */
    public function getIterator(): \Iterator
    {
        while (($task = $this->waitTask()) !== null) {
            yield $task;
        }
    }

    public function onLost(?callable $listener = null): void
    {
        $this->listener = $listener;
    }

    public function pause(): void
    {
        $this->isPaused = true;
    }

    public function resume(): void
    {
        $this->isPaused = false;
    }

    public function isPaused(): bool
    {
        return $this->isPaused;
    }

    public function stop(): void
    {
        $this->isStopped = true;
    }

    /** Gives it tasks that were deferred, which only receiveDeferred() returns, by their 'sequence_number'. */
    public function setAside(TaskInterface ...$tasks): void
    {
        foreach ($tasks as $task) {
            $number = $task->getSequenceNumber() ?? throw new ConfigException(
                'FakeConsumer::setAside(): the task has no sequence number; give it one with the option sequence_number',
            );
            $this->aside[$number] = $task;
        }
    }

    /** @return list<TaskInterface> */
    public function receiveDeferred(array|int $sequenceNumbers): array
    {
        $numbers = (array) $sequenceNumbers;
        foreach ($numbers as $number) {
            if (!isset($this->aside[$number])) {
                throw new RejectedException("FakeConsumer::receiveDeferred(): no task was set aside with the sequence number {$number}");
            }
        }
        $tasks = array_map(fn (int $number) => $this->aside[$number], array_values($numbers));
        $this->aside = array_diff_key($this->aside, array_flip($numbers));

        return $tasks;
    }

    public function getSession(): ?string
    {
        return $this->session;
    }

    public function getSessionState(): ?string
    {
        return $this->state;
    }

    public function setSessionState(?string $state = null): void
    {
        $this->state = $state;
    }

    public function close(): void
    {
    }
}
