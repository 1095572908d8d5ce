<?php

declare(strict_types=1);

namespace Amqp1\Command;

/** What was asked for is not there. */
final class NotFound extends \RuntimeException
{
}
