<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * Something that went wrong, or went right again.
 *
 * @internal
 */
final class Problem
{
    /**
     * @param int $time Unix seconds
     * @param int $failed How many jobs have failed since $since, if that is what it is about.
     */
    public function __construct(
        public readonly int $time,
        public readonly string $queue,
        public readonly string $text,
        public readonly bool $isOver = false,
        public readonly int $failed = 0,
        public readonly int $since = 0,
    ) {
    }
}
