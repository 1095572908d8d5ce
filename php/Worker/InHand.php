<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\TaskLostException;
use Amqp1\Task;

/**
 * The job that a handler works on: when it is lost meanwhile, that is told at once.
 *
 * @internal
 */
final class InHand
{
    private ?Task $task = null;
    private ?Task $told = null;
    private float $since = 0;

    public function __construct(private readonly Report $report)
    {
    }

    public function begin(Task $task): void
    {
        $this->task = $task;
        $this->told = null;
        $this->since = hrtime(true) / 1e9;
    }

    /** The handler has ended; whether its job was told to be lost. */
    public function end(Task $task): bool
    {
        $isTold = $this->told === $task;
        $this->task = $this->told = null;

        return $isTold;
    }

    /** Between two statements of the handler: the job may be somebody else's by now. */
    public function look(): void
    {
        $task = $this->task;
        if ($task !== null && $task !== $this->told && $task->isLost()) {
            $this->told = $task;
            $error = new TaskLostException('its connection or lock was lost, or the broker took it back');
            $this->report->job(Event::JOB_LOST, $task, $error, hrtime(true) / 1e9 - $this->since);
        }
    }
}
