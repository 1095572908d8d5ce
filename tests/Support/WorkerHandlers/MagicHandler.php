<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

final class MagicHandler
{
    /** @param list<mixed> $arguments */
    public function __call(string $name, array $arguments): void
    {
    }
}
