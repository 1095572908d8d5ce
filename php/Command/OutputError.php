<?php

declare(strict_types=1);

namespace Amqp1\Command;

/** The command's result cannot be written. */
final class OutputError extends \RuntimeException
{
}
