<?php

declare(strict_types=1);

namespace Amqp1\Console;

/**
 * What was asked for is not there.
 *
 * @internal
 */
final class NotFound extends \RuntimeException
{
}
