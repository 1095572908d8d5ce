<?php
// Dispatches ten orders. One of them is delayed by two seconds, one comes first, and one fails at its first attempt.

declare(strict_types=1);

require __DIR__ . '/autoload.php';

use Amqp1\RoadRunner\Jobs;                      // instead of Spiral\RoadRunner\Jobs\Jobs
use Spiral\RoadRunner\Jobs\Options;

$queue = (new Jobs(__DIR__ . '/.rr.yaml'))->connect('orders');

for ($i = 1; $i <= 10; $i++) {
    [$name, $options] = match ($i) {
        3 => ['SendReminder', new Options(delay: 2)],
        6 => ['ChargeCard', new Options()],
        8 => ['CancelOrder', new Options(priority: 1)],
        default => ['ProcessOrder', new Options()],
    };
    $task = $queue->create($name, json_encode(['orderId' => 1000 + $i]), $options)->withHeader('tenant-id', 'company-a');
    $queued = $queue->dispatch($task);
    printf("%-12s %s %s%s\n", $queued->getName(), $queued->getPayload(), $queued->getId(),
        $task->getDelay() > 0 ? ", delayed by {$task->getDelay()} s" : '');
}
