<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop\Tests;

use Amqp1\QueueInterop\ConnectionFactory;

/** A producer and a worker as an application has them. */
trait Application
{
    protected function pushAll(string $dsn, string $queue, iterable $jobs): void
    {
        $context = (new ConnectionFactory($dsn))->createContext();
        $producer = $context->createProducer();
        foreach ($jobs as $job) {
            $producer->send($context->createQueue($queue), $context->createMessage($job));
        }
    }

    protected function worker(): string
    {
        return 'require ' . var_export(__DIR__ . '/load.php', true) . ';' . <<<'PHP'
            pcntl_async_signals(true);
            $stopped = false;
            pcntl_signal(SIGTERM, static function () use (&$stopped): void {
                $stopped = true;
            });
            $context = (new Amqp1\QueueInterop\ConnectionFactory($argv[1]))->createContext();
            $consumer = $context->createConsumer($context->createQueue($argv[2]));
            while (!$stopped && $message = $consumer->receive(2000)) {
                echo "took {$message->getBody()}\n";
                work((float) $argv[3]);
                try {
                    $consumer->acknowledge($message);
                    echo "done {$message->getBody()}\n";
                } catch (Interop\Queue\Exception $e) {
                    echo "lost {$message->getBody()}\n";
                }
            }
            $context->close();
            echo "end\n";
            PHP;
    }
}
