<?php
// Works off ten orders, then ends. The exit status is 1 if there is none for 20 seconds.

declare(strict_types=1);

require __DIR__ . '/autoload.php';

use Amqp1\RoadRunner\Jobs;                      // instead of new Spiral\RoadRunner\Jobs\Consumer()

$consumer = (new Jobs(__DIR__ . '/.rr.yaml'))->consume(['timeout' => 20]);
$since = microtime(true);
$done = 0;

while ($done < 10 && $task = $consumer->waitTask()) {
    printf("%5.2f s  %-12s %s from %s: ", microtime(true) - $since, $task->getName(), $task->getPayload(), $task->getHeaderLine('tenant-id'));
    try {
        if ($task->getName() === 'ChargeCard' && !$task->hasHeader('tries')) {
            throw new RuntimeException('the card terminal does not answer');
        }
        $task->ack();
        ++$done;
        echo "done\n";
    } catch (RuntimeException $e) {
        $task->withHeader('tries', '1')->withDelay(1)->requeue($e);
        echo "failed ({$e->getMessage()}), requeued for one second\n";
    }
}
$consumer->close();

exit($done === 10 ? 0 : 1);
