<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/** Done. */
final class JobAcked extends JobEnded
{
    public const NAME = Event::JOB_ACK;
}
