<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

use Amqp1\Task;

final class Invoked
{
    /** @var list<string> */
    public static array $seen = [];

    public function __invoke(Task $task): void
    {
        self::$seen[] = $task->getName();
    }
}
