<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner;

use Amqp1\Exception\ExceptionInterface;
use Spiral\RoadRunner\Jobs\Exception\JobsException;

/** The extension's exceptions as the one that applications of the SDK catch. @internal */
final class Failure
{
    public static function of(ExceptionInterface $e): JobsException
    {
        return new JobsException($e->getMessage(), (int) $e->getCode(), $e);
    }

    /**
     * @template T
     *
     * @param callable(): T $do
     *
     * @return T
     *
     * @throws JobsException with the extension's exception as the previous one
     */
    public static function rethrown(callable $do): mixed
    {
        try {
            return $do();
        } catch (ExceptionInterface $e) {
            throw self::of($e);
        }
    }
}
