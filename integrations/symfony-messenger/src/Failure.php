<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Symfony\Component\Messenger\Exception\InvalidArgumentException;
use Symfony\Component\Messenger\Exception\TransportException;

/**
 * The extension's exceptions as Messenger's.
 *
 * @internal
 */
final class Failure
{
    /**
     * @template T
     *
     * @param callable(): T $call
     *
     * @return T
     *
     * @throws TransportException|InvalidArgumentException
     */
    public static function translated(callable $call): mixed
    {
        try {
            return $call();
        } catch (ExceptionInterface $e) {
            throw self::of($e);
        }
    }

    public static function of(ExceptionInterface $e): TransportException|InvalidArgumentException
    {
        return $e instanceof ConfigException
            ? new InvalidArgumentException($e->getMessage(), 0, $e)
            : new TransportException($e->getMessage(), 0, $e);
    }
}
