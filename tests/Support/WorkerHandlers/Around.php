<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

use Amqp1\Task;

/** A middleware that is named by its class. */
final class Around
{
    /** @var list<string> */
    public static array $log = [];

    public function handle(Task $task, callable $next): mixed
    {
        self::$log[] = "inner {$task->getName()}";

        return $next($task);
    }
}
