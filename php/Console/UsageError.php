<?php

declare(strict_types=1);

namespace Amqp1\Console;

/**
 * The command line cannot be understood.
 *
 * @internal
 */
final class UsageError extends \InvalidArgumentException
{
}
