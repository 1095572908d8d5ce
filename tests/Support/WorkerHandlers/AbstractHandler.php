<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

abstract class AbstractHandler
{
    public function handle(object $task): void
    {
    }
}
