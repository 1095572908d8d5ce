<?php

declare(strict_types=1);

namespace Amqp1\Worker;

/** Thrown in a handler that has taken longer than the worker's option jobTimeout. */
final class JobTimeout extends \RuntimeException
{
}
