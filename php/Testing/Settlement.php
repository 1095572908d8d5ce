<?php

declare(strict_types=1);

namespace Amqp1\Testing;

/** How a FakeTask was settled. */
final class Settlement
{
    /**
     * @param string $outcome As Task::getOutcome() returns it.
     * @param string|\Stringable|\Throwable|null $error What nack() or deadLetter() was given.
     * @param string|null $reason Of release(), deadLetter() or reject().
     * @param array<string, mixed> $headers Of release().
     */
    public function __construct(
        public readonly string $outcome,
        public readonly string|\Stringable|\Throwable|null $error = null,
        public readonly ?string $reason = null,
        public readonly ?string $description = null,
        public readonly int|float $delay = 0,
        public readonly array $headers = [],
    ) {
    }
}
