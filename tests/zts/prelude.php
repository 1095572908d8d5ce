<?php
// What the scripts of ThreadsTest have in common.

declare(strict_types=1);

use Amqp1\AmqpQueue;
use Amqp1\Consumer;

/** Waits until this many threads are here. */
function meet(string $where, int $threads): void
{
    $file = getenv('SCRIPT') . ".$where";
    file_put_contents($file, '.', FILE_APPEND | LOCK_EX);
    for ($deadline = microtime(true) + 60; filesize($file) < $threads; usleep(2000)) {
        clearstatcache();
        if (microtime(true) > $deadline) {
            throw new RuntimeException("$where: not all threads came");
        }
    }
}

/** Takes `$count` jobs, and returns their payloads. */
function take(AmqpQueue $queue, int $count): array
{
    // Only one: what is buffered and returned again and again counts as failed on Service Bus.
    $consumer = new Consumer([$queue], ['prefetch' => 1]);
    $payloads = [];
    while (count($payloads) < $count && ($task = $consumer->waitTask(20)) !== null) {
        $payloads[] = $task->getPayload();
        $task->ack();
    }

    check(count($payloads) === $count, count($payloads) . " of $count jobs");

    return $payloads;
}

function check(bool $condition, string $what): void
{
    if (!$condition) {
        throw new RuntimeException($what);
    }
}
