<?php

declare(strict_types=1);

namespace Amqp1\Bench\Clients;

use Amqp1\AmqpQueue;
use Amqp1\Bench\Tally;
use Amqp1\Bench\Task;
use Amqp1\Consumer;
use Generator;
use RuntimeException;

final class Amqp1 implements Client
{
    /** @var list<AmqpQueue> */
    private array $queues;

    public function __construct(private readonly Task $task)
    {
        $options = $task->format === null ? [] : ['format' => $task->format];
        $this->queues = array_map(static fn (string $name) => new AmqpQueue($task->dsn, $name, $options), $task->queues);
    }

    public function push(int $n): void
    {
        $this->queues[$this->task->queue($n)]->push('Bench', $this->task->payload($n), ['headers' => $this->task->headers($n)]);
    }

    public function pushMany(int $from, int $to): void
    {
        for (; $from < $to; $from = $end) {
            // Up to where the next queue has its turn.
            $left = $this->task->block - $from % $this->task->block;
            $end = $from + min($left, $to - $from);
            $ids = $this->queues[$this->task->queue($from)]->pushMany($this->jobs($from, $end));
            if (count($ids) !== $end - $from) {
                throw new RuntimeException(count($ids) . ' ids for ' . ($end - $from) . ' jobs');
            }
        }
    }

    private function jobs(int $from, int $to): Generator
    {
        for ($n = $from; $n < $to; ++$n) {
            yield ['name' => 'Bench', 'payload' => $this->task->payload($n), 'options' => ['headers' => $this->task->headers($n)]];
        }
    }

    public function consume(Tally $tally): void
    {
        $consumer = new Consumer($this->queues, $this->task->prefetch === null ? [] : ['prefetch' => $this->task->prefetch]);
        do {
            $job = $consumer->waitTask(30) ?? throw new RuntimeException("only {$tally->done()} jobs came");
            $body = $job->getBody();
            $number = (int) ($this->task->headers ? $job->getHeaders()['number'][0] : substr($body, 0, 8));
            $job->ack();
        } while ($tally->take($number, strlen($body)));
        $consumer->close(); // sends all acknowledgements
    }
}
