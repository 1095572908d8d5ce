<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\ConfigException;

/**
 * A handler that takes many jobs at once: in place of a handler, wherever one can be given.
 *
 *     return ['view' => new Batch(fn (array $tasks) => insert($tasks), size: 500, seconds: 2.0)];
 */
final class Batch
{
    /** As many as a consumer can hold. */
    private const MOST = 65535;

    /**
     * @param callable|object|string|array $handler As for Worker::on(), but it is given a list of Tasks.
     * @param int $size It is called when so many jobs are there,
     * @param float $seconds or so long after the first of them came, with those that are there.
     *
     * @throws ConfigException a size or a time that is out of its range
     */
    public function __construct(
        public readonly mixed $handler,
        public readonly int $size = 100,
        public readonly float $seconds = 1.0,
    ) {
        if ($size < 1 || $size > self::MOST) {
            throw new ConfigException('The size of a batch must be from 1 to ' . self::MOST . ", not $size");
        }
        if (!($seconds >= 0 && is_finite($seconds))) {
            throw new ConfigException("The seconds of a batch must be 0 or greater, not $seconds");
        }
    }

    /**
     * How many jobs a worker must be able to hold, so that each of these can be full.
     *
     * @internal
     *
     * @param array<self> $batches
     */
    public static function jobsOf(array $batches): int
    {
        return array_sum(array_map(static fn (self $batch) => $batch->size, $batches));
    }
}
