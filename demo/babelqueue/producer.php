<?php
// Sends ten orders as envelopes that a consumer in any language can read.

declare(strict_types=1);

require __DIR__ . '/autoload.php';

use Amqp1\BabelQueue\AmqpTransport;             // instead of InitPHP\Queue\Transport\Amqp\AmqpTransport
use InitPHP\Queue\Producer\Producer;

$producer = new Producer(new AmqpTransport(getenv('AMQP1_DSN')), 'amqp1-demo-babelqueue');

for ($i = 1; $i <= 10; $i++) {
    $urn = $i === 6 ? 'urn:babel:cards:charged' : 'urn:babel:orders:created';
    printf("%-24s order %d: %s\n", $urn, 1000 + $i, $producer->send($urn, ['order_id' => 1000 + $i]));
}
