<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\TaskLostException;
use Amqp1\TaskInterface;

/**
 * The jobs that a handler works on: when one is lost meanwhile, that is told at once.
 *
 * @internal
 */
final class InHand
{
    /** @var list<TaskInterface> */
    private array $tasks = [];

    /** @var list<TaskInterface> those of them that were told to be lost */
    private array $told = [];

    private float $since = 0;

    public function __construct(private readonly Report $report)
    {
    }

    /** @param list<TaskInterface> $tasks */
    public function begin(array $tasks): void
    {
        $this->tasks = $tasks;
        $this->told = [];
        $this->since = hrtime(true) / 1e9;
    }

    /** The handler has ended. @return list<TaskInterface> the jobs that were told to be lost */
    public function end(): array
    {
        $told = $this->told;
        $this->tasks = $this->told = [];

        return $told;
    }

    /** Between two statements of the handler: the jobs may be somebody else's by now. */
    public function look(): void
    {
        foreach ($this->tasks as $task) {
            if ($task->isLost() && !in_array($task, $this->told, true)) {
                $this->told[] = $task;
                $error = new TaskLostException('its connection or lock was lost, or the broker took it back');
                $this->report->job(Event::JOB_LOST, $task, $error, hrtime(true) / 1e9 - $this->since);
            }
        }
    }
}
