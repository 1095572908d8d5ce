<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/** Without a handler, and deleted (unknownJob: delete); or discarded by its handler. */
final class JobDropped extends JobEnded
{
    public const NAME = Event::JOB_DROPPED;
}
