<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/** Given back to its queue, or deferred. */
final class JobReleased extends JobEnded
{
    public const NAME = Event::JOB_RELEASED;
}
