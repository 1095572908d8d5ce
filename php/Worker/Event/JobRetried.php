<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/** Failed, and comes again. $error says why. */
final class JobRetried extends JobEnded
{
    public const NAME = Event::JOB_RETRY;
}
