<?php

declare(strict_types=1);

namespace Amqp1\Worker\Event;

use Amqp1\Worker\Event;

/**
 * Something happened to a job.
 *
 * @property-read \Amqp1\TaskInterface $task
 */
abstract class JobEvent extends Event
{
}
