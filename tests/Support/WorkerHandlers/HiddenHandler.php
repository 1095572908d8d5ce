<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

final class HiddenHandler
{
    private function handle(object $task): void
    {
    }
}
