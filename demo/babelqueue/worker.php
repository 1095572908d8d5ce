<?php
// Works off ten orders, one of which fails at its first attempt, then ends. The exit status is 1 if they take more than a minute.

declare(strict_types=1);

require __DIR__ . '/autoload.php';

use Amqp1\BabelQueue\AmqpTransport;             // instead of InitPHP\Queue\Transport\Amqp\AmqpTransport
use BabelQueue\Contracts\InboundMessage;
use InitPHP\Queue\Consumer\Dispatcher;
use InitPHP\Queue\Consumer\Worker;
use InitPHP\Queue\Consumer\WorkerOptions;
use InitPHP\Queue\Routing\HandlerMap;

$transport = new AmqpTransport(getenv('AMQP1_DSN'));
$since = microtime(true);
$done = 0;
$handle = static function (InboundMessage $message) use (&$done, $since): void {
    printf("%5.2f s  %-24s order %d, attempt %d: ", microtime(true) - $since, $message->getUrn(), $message->getData()['order_id'],
        $message->attempts() + 1);
    if ($message->getUrn() === 'urn:babel:cards:charged' && $message->attempts() === 0) {
        echo "failed, will be retried after a second\n";
        throw new RuntimeException('the card terminal does not answer');
    }
    ++$done;
    echo "done\n";
};
$handlers = (new HandlerMap())->register('urn:babel:orders:created', $handle)->register('urn:babel:cards:charged', $handle);
$worker = new Worker($transport, new Dispatcher($handlers), new WorkerOptions(backoff: [1]));
for ($deadline = $since + 60; $done < 10 && microtime(true) < $deadline;) {
    $worker->runOnce('amqp1-demo-babelqueue');
}
$transport->close();

exit($done === 10 ? 0 : 1);
