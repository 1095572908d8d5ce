<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TaskLostException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;

/** More queues than a connection has sessions: RabbitMQ allows 64, amqp1-broker 256. */
final class ManyQueuesTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEightyQueuesInOneConsumerAreServedInTurn(string $broker): void
    {
        $queues = $this->queues($broker, 80);
        foreach ($queues as $i => $queue) {
            $queue->push("$i");
            $queue->push("$i");
        }
        $consumer = $this->consumer($queues, ['prefetch' => 1]);
        $turns = [];
        for ($i = 0; $i < 160; $i++) {
            $task = $this->next($consumer);
            $turns[] = $task->getName();
            $task->ack();
            if ($i === 0) {
                sleep(2); // by then, each has a job
            }
        }
        self::assertCount(80, array_unique($turns));
        self::assertSame([2], array_values(array_unique(array_count_values($turns))));
        // Queues that already had a turn come after the others, except for jobs that were still on their way.
        self::assertGreaterThan(60, count(array_unique(array_slice($turns, 0, 80))));
        self::assertNull($consumer->waitTask(0));

        $other = $this->queue($broker, $this->classic($broker));
        $other->push('beside');
        self::assertSame('beside', $other->reserve(10)?->getName());
        self::assertGreaterThan(0, $other->ping());
        $queues[79]->push('last');
        self::assertSame('last', $consumer->waitTask(0)?->getName());
    }

    public function testFiveHundredQueuesOfTheProgram(): void
    {
        $this->fiveHundred(current(self::networked())[0]);
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testFiveHundredQueuesOfRabbitMq(string $broker): void
    {
        $this->fiveHundred($broker);
    }

    private function fiveHundred(string $broker): void
    {
        $queues = $this->queues($broker, 500);
        $ids = [];
        foreach ($queues as $queue) {
            $ids = [...$ids, ...$queue->pushMany([['name' => 'first'], ['name' => 'second']])];
        }
        $consumer = $this->consumer($queues, ['prefetch' => 2]);
        $served = $taken = [];
        for ($i = 0; $i < 1000; $i++) {
            $task = $this->next($consumer, 30);
            $taken[] = $task->getId();
            $served[$task->getQueue()] = ($served[$task->getQueue()] ?? 0) + 1;
            $task->ack();
            if ($i === 0) {
                sleep(2); // by then, each has a job
            }
            if ($i === 499) {
                self::assertGreaterThan(490, count($served), 'each in turn');
            }
        }
        sort($ids);
        sort($taken);
        self::assertSame($ids, $taken);
        self::assertCount(500, $served);
        self::assertNull($consumer->waitTask(0));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testEachOfManyQueuesKeepsItsSender(string $broker): void
    {
        $at = $this->broker($broker);
        $proxy = new Proxy($at);
        $queues = [];
        for ($i = 0; $i < 100; $i++) {
            $queues[] = new AmqpQueue($proxy->dsn, $this->uniqueName($at), ['queue_type' => 'classic', 'timeout' => 20]);
        }
        foreach ($queues as $queue) {
            $queue->push('first');
        }
        $before = $proxy->counts()['up'];
        foreach ($queues as $queue) {
            $queue->push('again');
        }
        // A begin, an attach, a detach and an end are some 300 bytes more.
        self::assertLessThan(400 * 100, $proxy->counts()['up'] - $before);
        self::assertSame(2, $queues[0]->count());
        self::assertSame(2, $queues[99]->count());
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testOneBadQueueAmongManyTakesNoOtherWithIt(string $broker): void
    {
        $queues = $this->queues($broker, 80);
        foreach ($queues as $i => $queue) {
            $queue->push("$i");
        }
        $bad = $this->queue($broker, ['declare' => false]);
        $consumer = $this->consumer([...array_slice($queues, 0, 70), $bad, ...array_slice($queues, 70)]);
        $served = $errors = 0;
        while ($served < 80) {
            try {
                $this->next($consumer)->ack();
                $served++;
            } catch (ExceptionInterface $error) {
                self::assertStringContainsString($bad->getName(), $error->getMessage());
                self::assertLessThan(10, ++$errors);
            }
        }
        self::assertSame(1, $errors);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAllConnectionsAreLostAndAllQueuesServedAgain(string $broker): void
    {
        $at = $this->broker($broker);
        $proxy = new Proxy($at);
        $queues = $direct = [];
        for ($i = 0; $i < 130; $i++) {
            $name = $this->uniqueName($at);
            $direct[] = $this->queue($broker, ['queue_type' => 'classic'], $name);
            $queues[] = new AmqpQueue($proxy->dsn, $name, ['queue_type' => 'classic', 'timeout' => 20]);
        }
        $consumer = $this->consumer($queues, ['prefetch' => 1]);
        for ($round = 0; $round < 3; $round++) {
            foreach ($direct as $i => $queue) {
                $queue->push("$i");
            }
            $served = [];
            $deadline = microtime(true) + 60;
            while (count($served) < 130 && microtime(true) < $deadline) {
                $task = $consumer->waitTask(5);
                if ($task === null) {
                    continue;
                }
                try {
                    $task->ack();
                } catch (TaskLostException) {
                    continue; // it comes again
                }
                $served[$task->getName()] = true;
                if ($round < 2 && count($served) === 40) {
                    $proxy->reset();
                }
            }
            self::assertCount(130, $served, "round $round");
        }
        self::assertGreaterThanOrEqual(3, $proxy->counts()['open']);
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testAForkHasConnectionsOfItsOwn(string $broker): void
    {
        $at = $this->broker($broker);
        $names = [];
        for ($i = 0; $i < 80; $i++) {
            $names[] = $this->uniqueName($at);
        }
        $output = Child::run(<<<'PHP'
            $queues = array_map(
                static fn ($name) => new Amqp1\AmqpQueue($argv[1], $name, ['queue_type' => 'classic', 'timeout' => 20]),
                explode(',', $argv[2])
            );
            $serve = static function ($consumer, $count) {
                for ($i = 0; $i < $count; $i++) {
                    $consumer->waitTask(10)->ack();
                }
                $consumer->close();
            };
            foreach ($queues as $queue) {
                $queue->push('job');
                $queue->push('job');
            }
            $consumer = new Amqp1\Consumer($queues, ['prefetch' => 1]);
            $consumer->waitTask(10)->ack();
            $consumer->pause();
            $pid = pcntl_fork();
            if ($pid === 0) {
                $serve(new Amqp1\Consumer($queues, ['prefetch' => 1]), 80);
                exit(0);
            }
            pcntl_waitpid($pid, $status);
            $consumer->resume();
            $serve($consumer, 79);
            echo 'child: ', pcntl_wexitstatus($status), ', left: ', array_sum(array_map('count', $queues)), "\n";
            PHP, [$at->dsn, implode(',', $names)]);
        self::assertStringContainsString('child: 0, left: 0', $output);
    }

    /** @return list<AmqpQueue> */
    private function queues(string $broker, int $count): array
    {
        $queues = [];
        for ($i = 0; $i < $count; $i++) {
            $queues[] = $this->queue($broker, $this->classic($broker));
        }

        return $queues;
    }

    /** @return array<string, string> A queue type that is faster to create than a quorum queue, if the broker has types. */
    private function classic(string $broker): array
    {
        return $this->broker($broker)->isRabbitMq() ? ['queue_type' => 'classic'] : [];
    }
}
