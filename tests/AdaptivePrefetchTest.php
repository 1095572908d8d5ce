<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** Without the option prefetch, a consumer of short jobs holds many, and one of long jobs holds few. */
final class AdaptivePrefetchTest extends ContractTestCase
{
    private const WORKER = <<<'PHP'
        $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]));
        echo $consumer->waitTask(0.1) === null ? "ready\n" : "early\n";
        while ($task = $consumer->waitTask(20)) {
            usleep((int) $task->getPayload());
            $task->ack();
            echo "did {$task->getName()}\n";
        }
        PHP;

    /** @return array<string, array{string}> brokers to which jobs can be returned for nothing */
    public static function returning(): array
    {
        return array_diff_key(self::fullyFeatured(), ['rabbitmq-4.0' => '', 'artemis' => '']) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testTwoIdleWorkersShareAFewLongJobs(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $workers = [$this->worker($broker, $queue), $this->worker($broker, $queue)];
        $queue->pushMany(array_map(static fn (int $n) => ['name' => "job $n", 'payload' => '200000'], range(1, 20)));
        $did = static fn (Child $worker): int => substr_count($worker->output(), 'did ');
        $this->eventually(static fn () => $did($workers[0]) + $did($workers[1]) === 20, 'all 20 are done', 30);
        self::assertGreaterThanOrEqual(7, min($did($workers[0]), $did($workers[1])));
        self::assertCount(0, $queue);
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testWhoHoldsManyAndGetsSlowStillGetsAnother(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $queue->pushMany(array_map(static fn (int $n) => ['name' => "job $n"], range(1, 25)));
        $consumer = $this->consumer($queue);
        // The prefetch rises with quick jobs, and falls below what is held with slow ones.
        for ($held = []; count($held) < 25;) {
            usleep(count($held) % 12 > 9 ? 120_000 : 0);
            self::assertNotNull($held[] = $consumer->waitTask(0), 'after ' . count($held));
        }
        foreach ($held as $task) {
            $task->ack();
        }
        $this->assertNoTask($consumer);
    }

    /** @dataProvider returning */
    #[DataProvider('returning')]
    public function testWhatWaitsBehindALongJobIsForOthersAndKeepsItsPlaceAndItsAttempts(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $consumer = $this->quick($queue);
        $queue->pushMany(array_map(static fn (int $n) => ['name' => "job $n"], range(0, 100)));
        // It may hold all of them, and works on the first.
        self::assertSame('job 0', ($long = $this->next($consumer))->getName());
        $other = $this->consumer($queue);
        for ($got = []; count($got) < 100;) {
            $task = $this->next($other, 20);
            self::assertSame(1, $task->getAttempts());
            $got[] = $task->getName();
            $task->ack();
        }
        // Those that waited come after what the other one got before, in their order.
        $sorted = $got;
        sort($sorted, SORT_NATURAL);
        self::assertSame(array_map(static fn (int $n) => "job $n", range(1, 100)), $sorted);
        $steps = array_map(static fn (string $one, string $next) => strnatcmp($one, $next), array_slice($got, 0, -1), array_slice($got, 1));
        self::assertLessThanOrEqual(1, count(array_filter($steps, static fn (int $step) => $step > 0)), implode(', ', $got));
        self::assertFalse($long->isLost());
        $long->ack();
        $this->assertNoTask($consumer);
        $queue->push('later');
        $other->close();
        $this->next($consumer)->ack();
        self::assertCount(0, $queue);
    }

    /** RabbitMQ 4.0 counts returned jobs, and moves them to the end. */
    public function testWhereReturnsCostSomethingFewJobsWait(): void
    {
        $broker = array_key_exists('rabbitmq-4.0', self::fullyFeatured()) ? 'rabbitmq-4.0' : '';
        $queue = $this->declared($this->queue($broker));
        $consumer = $this->quick($queue);
        $queue->pushMany(array_map(static fn (int $n) => ['name' => "job $n"], range(1, 100)));
        $long = $this->next($consumer);
        usleep(2_500_000);
        $other = $this->consumer($queue, ['prefetch' => 100]);
        for ($got = 0; $task = $other->waitTask(1); ++$got) {
            self::assertSame(1, $task->getAttempts());
            $task->ack();
        }
        self::assertSame(100 - 32, $got);
        $long->ack();
        for ($rest = 0; $task = $consumer->waitTask(1); ++$rest) {
            $task->ack();
        }
        self::assertSame(31, $rest);
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testAKilledWorkerOfLongJobsGivesBackFew(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $worker = $this->worker($broker, $queue);
        $queue->pushMany(array_map(static fn (int $n) => ['name' => "job $n", 'payload' => '300000'], range(1, 30)));
        $worker->waitFor('did job 3');
        $worker->signal(SIGKILL);
        $worker->wait();
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        for ($attempts = []; $task = $consumer->waitTask(1); $task->ack()) {
            $attempts[] = $task->getAttempts();
        }
        self::assertGreaterThan(20, count($attempts));
        self::assertLessThanOrEqual(2, count(array_filter($attempts, static fn (int $count) => $count > 1)), json_encode($attempts));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhoHoldsJobsAndAsksForMoreGetsThem(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $consumer = $this->consumer($queue);
        foreach ([40, 30] as $count) {
            $queue->pushMany(array_map(static fn (int $n) => ['name' => "job $n"], range(1, $count)));
            for ($held = []; count($held) < $count; usleep($count === 40 ? 0 : 20_000)) {
                $held[] = $consumer->waitTask($broker === 'embedded' || count($held) % 2 ? 10 : 0) ?? $this->next($consumer);
            }
            usleep(1_500_000); // a long time for each
            foreach ($held as $task) {
                $task->ack();
            }
        }
        $this->assertNoTask($consumer);
        self::assertSame(0, $this->left($queue));
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testACallForManyGetsThemHoweverLongTheyTake(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $queue->pushMany(array_map(static fn (int $n) => ['name' => "job $n"], range(1, 60)));
        $consumer = $this->consumer($queue);
        for ($most = $done = 0; $done < 60; $done += count($tasks)) {
            $tasks = $consumer->waitTasks(20, 10);
            $most = max($most, count($tasks));
            usleep(400_000);
            foreach ($tasks as $task) {
                $task->ack();
            }
        }
        self::assertGreaterThanOrEqual(10, $most);
    }

    /** @dataProvider returning */
    #[DataProvider('returning')]
    public function testLargeJobsDoNotFillTheMemory(string $broker): void
    {
        if (!$this->broker($broker)->supports('large-messages')) {
            self::markTestSkipped('too large for this broker');
        }
        $queue = $this->declared($this->queue($broker));
        $child = Child::php('
            $peak = static fn (): int => (int) preg_replace("/.*VmHWM:\s+(\d+).*/s", "$1", file_get_contents("/proc/self/status")) >> 10;
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]));
            for ($n = 0; $n < 2000; ++$n) {
                $consumer->waitTask(20)->ack();
            }
            $before = $peak();
            echo "quick\n";
            $bytes = 0;
            while ($task = $consumer->waitTask(20)) {
                usleep(1000);
                $task->ack();
                $bytes += strlen($task->getPayload());
                if ($bytes >= 100 << 21) {
                    break;
                }
            }
            echo "peak ", $peak() - $before, "\n";
        ', [$this->broker($broker)->dsn, $queue->getName()]);
        $queue->pushMany(self::short(2000));
        $child->waitFor('quick', 60);
        $queue->pushMany((static function () {
            for ($n = 0; $n < 100; ++$n) {
                yield ['name' => 'large', 'payload' => str_repeat('x', 1 << 21)];
            }
        })());
        self::assertSame(0, $child->wait(120), $child->output());
        self::assertSame(1, preg_match('/peak (\d+)/', $child->output(), $match), $child->output());
        // 16 MB wait at most, and a few copies are made.
        self::assertLessThan(100, (int) $match[1], 'of 200 MB');
    }

    /** A consumer that has processed so many short jobs that it may hold hundreds. */
    private function quick(AmqpQueue $queue): Consumer
    {
        $queue->pushMany(self::short(2000));
        $consumer = $this->consumer($queue);
        for ($n = 0; $n < 2000; ++$n) {
            $this->next($consumer)->ack();
        }
        self::assertNull($consumer->waitTask(0.2));

        return $consumer;
    }

    private static function short(int $count): array
    {
        return array_map(static fn (int $n) => ['name' => "short $n"], range(1, $count));
    }

    private function worker(string $broker, AmqpQueue $queue): Child
    {
        $worker = Child::php(self::WORKER, [$this->broker($broker)->dsn, $queue->getName()]);
        $worker->waitFor('ready');

        return $worker;
    }

    private function left(AmqpQueue $queue): int
    {
        return $queue->reserve(0) === null ? 0 : 1;
    }
}
