<?php

declare(strict_types=1);

namespace Amqp1\Worker;

/** Thrown in a handler at the second SIGTERM, SIGINT or SIGQUIT: its job is given back. */
final class Interrupted extends \RuntimeException
{
}
