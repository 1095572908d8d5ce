<?php

declare(strict_types=1);

namespace Amqp1\Command;

/** The command line cannot be understood. */
final class UsageError extends \InvalidArgumentException
{
}
