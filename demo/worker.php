<?php
// Processes COUNT jobs of this RUN, then ends. The exit status is 1 if they are not all done after 20 seconds.
// usage: AMQP1_DSN=amqp://… php worker.php RUN COUNT

declare(strict_types=1);

use Amqp1\{AmqpQueue, Consumer};

[, $run, $count] = $argv;

$queue = new AmqpQueue(getenv('AMQP1_DSN'), 'amqp1-demo');
$consumer = new Consumer($queue);
$start = microtime(true);
$done = $failed = [];

while (count($done) < (int) $count && ($left = $start + 20 - microtime(true)) > 0) {
    $task = $consumer->waitTask($left);
    if ($task === null) {
        break;
    }
    if ($task->getHeaderLine('demo-run') !== $run) {
        $task->ack();                                   // left over from an interrupted demo
        continue;
    }
    $job = $task->getPayload();
    printf("%5.2f s  %-12s %s attempt %d: ", microtime(true) - $start, $task->getName(), json_encode($job),
        $task->getAttempts());
    try {
        if (($job['failOnce'] ?? false) && !isset($failed[$task->getId()])) {
            $failed[$task->getId()] = true;
            throw new RuntimeException('the card terminal does not answer');
        }
        $task->ack();
        $done[$task->getId()] = true;
        echo "done\n";
    } catch (RuntimeException $e) {
        $task->nack($e);                                // it will be retried
        echo "failed ({$e->getMessage()}), will be retried\n";
    }
}
$consumer->close();

printf("%d of %d jobs done, %d of them at the second attempt\n", count($done), $count, count($failed));
exit(count($done) === (int) $count ? 0 : 1);
