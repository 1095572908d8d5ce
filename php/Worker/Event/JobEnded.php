<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\TaskInterface;
use Throwable;

/** A job's turn in this worker has ended. */
abstract class JobEnded extends JobEvent
{
    /**
     * @param Throwable|null $error What its handler threw, or why it is lost.
     * @param float|null $seconds How long its handler took: of a batch, the handler of all its jobs.
     */
    final public function __construct(TaskInterface $task, ?Throwable $error = null, ?float $seconds = null)
    {
        parent::__construct($task, $error, $seconds);
    }
}
