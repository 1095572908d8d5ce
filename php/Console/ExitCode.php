<?php

declare(strict_types=1);

namespace Amqp1\Console;

use Amqp1\Exception\AuthenticationException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\TimeoutException;
use Throwable;

/**
 * What `amqp1` ends with.
 *
 * @internal
 */
final class ExitCode
{
    public const OK = 0;

    /** It was tried and failed: refused by the broker, or something unforeseen. */
    public const FAILURE = 1;

    /** A wrong command line, option or configuration; nothing was done. */
    public const USAGE = 2;

    /** No such queue, or no such failed job. */
    public const NOT_FOUND = 3;

    /** The broker was not reached, was lost, or refused the login. */
    public const CONNECTION = 4;

    /** A deadline passed: whether it was done is unknown. */
    public const TIMEOUT = 5;

    public static function of(Throwable $e): int
    {
        return match (true) {
            $e instanceof UsageError, $e instanceof ConfigException => self::USAGE,
            $e instanceof NotFound, $e instanceof QueueNotFoundException => self::NOT_FOUND,
            $e instanceof ConnectionException, $e instanceof AuthenticationException => self::CONNECTION,
            $e instanceof TimeoutException => self::TIMEOUT,
            default => self::FAILURE,
        };
    }
}
