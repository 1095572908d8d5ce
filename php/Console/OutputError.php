<?php

declare(strict_types=1);

namespace Amqp1\Console;

/**
 * The command's result cannot be written.
 *
 * @internal
 */
final class OutputError extends \RuntimeException
{
}
