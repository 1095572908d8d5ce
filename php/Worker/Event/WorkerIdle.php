<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/** A wait for a job (reserveTimeout) ended without one. */
final class WorkerIdle extends Event
{
    public const NAME = Event::IDLE;

    public function __construct()
    {
        parent::__construct();
    }
}
