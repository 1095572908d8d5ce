<?php

declare(strict_types=1);

namespace Amqp1\Testing;

/** A job that was pushed to a FakeQueue. */
final class Pushed
{
    /**
     * @param mixed $payload As it was pushed, not encoded.
     * @param array<string, mixed> $options Those of the push, with the defaults of pushMany(); schedule() sets "delay".
     */
    public function __construct(
        public readonly string $id,
        public readonly string $name,
        public readonly mixed $payload,
        public readonly array $options,
    ) {
    }
}
