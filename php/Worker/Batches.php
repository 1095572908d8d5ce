<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\TaskInterface;

/**
 * Jobs that wait until their batch is full, or old enough.
 *
 * @internal
 */
final class Batches
{
    /** @var array<string, non-empty-list<TaskInterface>> by the key of their handler */
    private array $tasks = [];

    /** @var array<string, float> when a batch is handed over, full or not */
    private array $due = [];

    private int $count = 0;

    public function add(string $key, Batch $batch, TaskInterface $task, float $now): void
    {
        $this->tasks[$key][] = $task;
        $this->due[$key] ??= $now + $batch->seconds;
        $this->count++;
        if (count($this->tasks[$key]) >= $batch->size) {
            $this->due[$key] = $now;
        }
    }

    /** How many jobs wait. */
    public function count(): int
    {
        return $this->count;
    }

    /** When the next batch must be handed over. */
    public function nextDue(): float
    {
        return $this->due === [] ? INF : min($this->due);
    }

    /**
     * The batches that are full or old enough: they are the caller's now.
     *
     * @return array<string, non-empty-list<TaskInterface>>
     */
    public function takeDue(float $now): array
    {
        $taken = [];
        foreach ($this->due as $key => $due) {
            if ($due <= $now) {
                $taken[$key] = $this->tasks[$key];
                $this->count -= count($this->tasks[$key]);
                unset($this->tasks[$key], $this->due[$key]);
            }
        }

        return $taken;
    }

    public function clear(): void
    {
        $this->tasks = $this->due = [];
        $this->count = 0;
    }
}
