<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

final class GreedyHandler
{
    public function handle(object $task, string $more): void
    {
    }
}
