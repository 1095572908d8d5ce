<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

final class NeedyHandler
{
    public function __construct(public readonly string $needed)
    {
    }

    public function handle(object $task): void
    {
    }
}
