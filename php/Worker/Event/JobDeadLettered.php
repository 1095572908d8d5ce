<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/** Failed for good: it is in the failed queue, or rejected. */
final class JobDeadLettered extends JobEnded
{
    public const NAME = Event::JOB_DEAD_LETTER;
}
