<?php
// Pushes COUNT jobs. One of them is delayed by two seconds, and one fails at its first attempt.
// usage: AMQP1_DSN=amqp://… php producer.php RUN COUNT

declare(strict_types=1);

use Amqp1\AmqpQueue;

[, $run, $count] = $argv;

$queue = new AmqpQueue(getenv('AMQP1_DSN'), 'amqp1-demo');

for ($i = 1; $i <= (int) $count; $i++) {
    [$name, $payload, $options] = match ($i) {
        3 => ['SendReminder', ['orderId' => 1000 + $i], ['delay' => 2]],
        6 => ['ChargeCard', ['orderId' => 1000 + $i, 'failOnce' => true], []],
        8 => ['CancelOrder', ['orderId' => 1000 + $i], ['priority' => 9]],
        default => ['ProcessOrder', ['orderId' => 1000 + $i, 'amount' => 10.5 * $i], []],
    };
    $options['headers'] = ['demo-run' => $run, 'tenant-id' => 'company-a'];

    $since = hrtime(true);
    $id = $queue->push($name, $payload, $options);      // returns once the broker has confirmed it
    printf("%-12s %s %s in %.1f ms%s\n", $name, json_encode($payload), $id, (hrtime(true) - $since) / 1e6,
        isset($options['delay']) ? ", delayed by {$options['delay']} s" : '');
}
