<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Amqp1\Exception\ExceptionInterface;
use Interop\Queue\Exception\Exception;

/** An exception of the extension, as one of queue-interop. Its previous exception is the extension's. */
final class Failure extends Exception
{
    /**
     * @template T
     *
     * @param callable(): T $do
     *
     * @return T
     *
     * @throws self
     */
    public static function rethrown(callable $do): mixed
    {
        try {
            return $do();
        } catch (ExceptionInterface $e) {
            throw new self($e->getMessage(), (int) $e->getCode(), $e);
        }
    }
}
