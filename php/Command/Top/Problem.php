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
    /** @param int $time Unix seconds */
    public function __construct(
        public readonly int $time,
        public readonly string $queue,
        public readonly string $text,
        public readonly bool $isOver = false,
    ) {
    }
}
