<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;
use Amqp1\Worker\Summary;

/**
 * run() ends. $error is set when the broker was given up.
 *
 * @property-read Summary $summary
 */
final class WorkerStopped extends Event
{
    public const NAME = Event::STOP;

    public function __construct(Summary $summary)
    {
        parent::__construct(error: $summary->error, summary: $summary);
    }
}
