<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

use Amqp1\Task;

final class Handles
{
    /** @var list<string> */
    public static array $seen = [];

    public function handle(Task $task): void
    {
        self::$seen[] = 'handle ' . $task->getName();
    }

    public function other(Task $task): void
    {
        self::$seen[] = 'other ' . $task->getName();
    }

    public static function still(Task $task): void
    {
        self::$seen[] = 'still ' . $task->getName();
    }
}
