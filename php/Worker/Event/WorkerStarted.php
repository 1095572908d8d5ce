<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/** run() begins: no job has been taken yet. */
final class WorkerStarted extends Event
{
    public const NAME = Event::START;

    public function __construct()
    {
        parent::__construct();
    }
}
