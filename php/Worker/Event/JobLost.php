<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/** It could not be settled, or is lost while its handler still works: it is delivered again. */
final class JobLost extends JobEnded
{
    public const NAME = Event::JOB_LOST;
}
