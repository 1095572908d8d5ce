<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\TestCase;

/** A worker that runs for weeks does not grow: neither PHP's memory nor the process. */
final class MemoryTest extends TestCase
{
    private const MEASURE = <<<'PHP'
        function resident(): int {
            preg_match('/^VmRSS:\s+(\d+) kB/m', file_get_contents('/proc/self/status'), $match);
            return (int) $match[1];
        }
        function grown(callable $do, int $warm, int $times): void {
            for ($i = 0; $i < $warm; ++$i) { $do($i); }
            gc_collect_cycles();
            [$php, $all] = [memory_get_usage(), resident()];
            for ($i = 0; $i < $times; ++$i) { $do($i); }
            gc_collect_cycles();
            echo json_encode(['php' => memory_get_usage() - $php, 'kB' => resident() - $all]), "\n";
        }

        PHP;

    public function testPushingAndTakingJobs(): void
    {
        $this->assertFlat(<<<'PHP'
            $queue = new Amqp1\AmqpQueue('embedded://', 'q');
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 50]);
            grown(function ($i) use ($queue, $consumer) {
                $queue->push('job', ['n' => $i, 'text' => str_repeat('x', 1000)], ['headers' => ['a' => 'b', 'c' => [1, 2]]]);
                $task = $consumer->waitTask(5);
                $task->getPayload();
                $task->getHeaders();
                $i % 10 ? $task->ack() : $task->deadLetter('x');
                if ($i % 500 === 0) { (new Amqp1\AmqpQueue('embedded://', 'q.failed'))->purge(); }
            }, 5000, 15000);
            PHP);
    }

    public function testFailing(): void
    {
        $this->assertFlat(<<<'PHP'
            $queue = new Amqp1\AmqpQueue('embedded://', 'q');
            grown(function () use ($queue) {
                foreach ([['job', NAN, []], ['job', '', ['prioritty' => 1]], ['', '', []], ['job', '', ['headers' => ['a' => [[]]]]]] as $wrong) {
                    try { $queue->push(...$wrong); echo "went through\n"; } catch (Amqp1\Exception\ExceptionInterface) {}
                }
                try { $queue->pushMany([['name' => 'job', 'payload' => NAN], 5]); } catch (Amqp1\Exception\BatchException) {}
            }, 2000, 5000);
            PHP);
    }

    public function testMakingAndForgettingObjects(): void
    {
        $this->assertFlat(<<<'PHP'
            grown(function ($i) {
                $queue = new Amqp1\AmqpQueue('embedded://', 'q' . $i % 5);
                $queue->push('job');
                $consumer = new Amqp1\Consumer([$queue, new Amqp1\AmqpQueue('embedded://', 'other')]);
                $consumer->waitTask(5)->ack();
                if ($i % 2) { $consumer->close(); }
            }, 300, 1000);
            PHP);
    }

    /** 200 jobs of 256 KB and 20 of 1 MB are 72 MB; the process needs as much as for the few that are on their way. */
    public function testLargeJobsAreNotGathered(): void
    {
        $broker = ProgramBroker::start();
        $output = Child::run(<<<'PHP'
            function kB(string $what): int {
                preg_match("/^$what:\s+(\d+) kB/m", file_get_contents('/proc/self/status'), $match);
                return (int) $match[1];
            }
            $queue = new Amqp1\AmqpQueue($argv[1], 'q');
            $queue->push('job', 'first');
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 1]);
            $consumer->waitTask(10)->ack();
            $start = kB('VmHWM');
            $jobs = static function () {
                for ($n = 0; $n < 220; ++$n) {
                    yield ['name' => 'job', 'payload' => str_repeat(chr($n), ($n % 11 === 0 ? 1024 : 256) << 10)];
                }
            };
            $queue->pushMany($jobs());
            $pushed = kB('VmHWM') - $start;
            for ($n = 0; $n < 220; ++$n) {
                $task = $consumer->waitTask(10);
                if ($task->getPayload() !== str_repeat(chr($n), ($n % 11 === 0 ? 1024 : 256) << 10)) {
                    echo "job $n is another\n";
                }
                $task->ack();
            }
            echo json_encode(['pushed' => $pushed, 'all' => kB('VmHWM') - $start]), "\n";
            PHP, [$broker->dsn], timeout: 120);
        $grown = json_decode($output, true);

        self::assertIsArray($grown, $output);
        self::assertLessThan(16_000, $grown['pushed'], $output);
        self::assertLessThan(20_000, $grown['all'], $output);
    }

    private function assertFlat(string $code): void
    {
        $output = Child::run(self::MEASURE . $code, timeout: 120);
        $grown = json_decode($output, true);

        self::assertIsArray($grown, $output);
        self::assertLessThan(20_000, $grown['php'], "PHP's own bytes: $output");
        self::assertLessThan(6_000, $grown['kB'], "the process's kB: $output");
    }
}
