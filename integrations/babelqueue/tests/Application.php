<?php

declare(strict_types=1);

namespace Amqp1\BabelQueue\Tests;

use Amqp1\BabelQueue\Publisher;
use InitPHP\Queue\Producer\Producer;

/** A producer and a worker as an application has them. */
trait Application
{
    protected function pushAll(string $dsn, string $queue, iterable $jobs): void
    {
        $producer = new Producer(new Publisher($dsn, $queue), $queue);
        foreach ($jobs as $job) {
            $producer->send('urn:babel:orders:created', ['job' => $job]);
        }
    }

    protected function worker(): string
    {
        return 'require ' . var_export(__DIR__ . '/load.php', true) . ';' . <<<'PHP'
            $map = (new InitPHP\Queue\Routing\HandlerMap())->register('urn:babel:orders:created', static function ($message) use ($argv): void {
                echo "took {$message->getData()['job']}\n";
                work((float) $argv[3]);
            });
            $transport = new class(new Amqp1\BabelQueue\AmqpTransport($argv[1], $argv[2])) implements InitPHP\Queue\Contracts\ConsumerTransport {
                public function __construct(private Amqp1\BabelQueue\AmqpTransport $of)
                {
                }

                public function reserve(string $queue, float $timeout = 5.0): ?InitPHP\Queue\Message\ReceivedMessage
                {
                    return $this->of->reserve($queue, $timeout);
                }

                public function ack(InitPHP\Queue\Message\ReceivedMessage $message): void
                {
                    $this->of->ack($message);
                    echo "done {$message->getData()['job']}\n";
                }

                public function release(InitPHP\Queue\Message\ReceivedMessage $message, string $payload, int $delaySeconds = 0): void
                {
                    $this->of->release($message, $payload, $delaySeconds);
                }

                public function deadLetter(InitPHP\Queue\Message\ReceivedMessage $message, string $payload): void
                {
                    $this->of->deadLetter($message, $payload);
                }
            };
            $options = new InitPHP\Queue\Consumer\WorkerOptions(reserveTimeout: 2, stopWhenEmpty: true);
            (new InitPHP\Queue\Consumer\Worker($transport, new InitPHP\Queue\Consumer\Dispatcher($map), $options))->run($argv[2]);
            echo "end\n";
            PHP;
    }
}
