<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\TaskInterface;
use Amqp1\Worker\Event;

/** A job is handed to its handler. */
final class JobStarted extends JobEvent
{
    public const NAME = Event::JOB_START;

    public function __construct(TaskInterface $task)
    {
        parent::__construct($task);
    }
}
