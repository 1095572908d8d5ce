<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner\Tests;

use Amqp1\RoadRunner\Jobs;

/** A producer and a worker as an application has them. */
trait Application
{
    protected function pushAll(string $dsn, string $queue, iterable $jobs): void
    {
        $orders = (new Jobs(['amqp1' => ['addr' => $dsn], 'jobs' => ['pipelines' => ['orders' => ['config' => ['queue' => $queue]]]]]))
            ->connect('orders');
        foreach (array_chunk($jobs, 1000) as $some) {
            $orders->dispatchMany(...array_map(static fn (string $job) => $orders->create('job', $job), $some));
        }
    }

    protected function worker(): string
    {
        return 'require ' . var_export(__DIR__ . '/load.php', true) . ';' . <<<'PHP'
            $config = ['amqp1' => ['addr' => $argv[1]], 'jobs' => ['pipelines' => ['orders' => ['config' => ['queue' => $argv[2]]]]]];
            $consumer = (new Amqp1\RoadRunner\Jobs($config))->consume(['timeout' => 2]);
            while ($task = $consumer->waitTask()) {
                echo "took {$task->getPayload()}\n";
                work((float) $argv[3]);
                try {
                    $task->ack();
                    echo "done {$task->getPayload()}\n";
                } catch (Throwable $e) {
                    $task->nack($e);
                    echo "lost {$task->getPayload()}\n";
                }
            }
            echo "end\n";
            PHP;
    }
}
