<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;
use Throwable;

/**
 * The broker is lost; the worker goes on trying.
 *
 * @property-read Throwable $error
 */
final class BrokerLost extends Event
{
    public const NAME = Event::LOST;

    public function __construct(Throwable $error)
    {
        parent::__construct(error: $error);
    }
}
