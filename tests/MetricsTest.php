<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Tests\Support\ArrayShape;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;

use function Amqp1\metrics;

/** Amqp1\metrics() counts what happens, once, and a child starts from zero. */
final class MetricsTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testJobsAreCountedFromTheirPushToTheirEnd(string $broker): void
    {
        $pause = $this->pause($broker, 0.1);
        $queue = $this->queue($broker, ['max_attempts' => 2, 'backoff' => $pause]);
        $queue->push('first');
        $queue->pushMany([['name' => 'second'], ['name' => 'third']]);
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $seen = [];
        // A broker gives back what was released before or behind what else is there.
        for ($ends = 0; $ends < 3;) {
            $task = $this->next($consumer);
            self::assertSame(1, self::of($queue)['in_hand']);
            $name = $task->getName();
            $seen[$name] = ($seen[$name] ?? 0) + 1;
            $isReleased = $name === 'second' && $seen[$name] === 1;
            match (true) {
                $isReleased => $task->release(),
                $name === 'third' => $task->nack('no', false),
                default => $task->ack(),
            };
            $ends += $isReleased ? 0 : 1;
        }
        self::assertSame(['first' => 1, 'second' => 2, 'third' => 1], array_merge(['first' => 0, 'second' => 0, 'third' => 0], $seen));
        unset($task);
        $counted = self::of($queue);
        $settled = array_filter($counted['settled']);

        self::assertSame([3, 3, 0], [$counted['pushed'], $counted['confirmed'], array_sum($counted['failed'])]);
        self::assertSame($counted['received'], array_sum($settled));
        self::assertSame(1, $settled['dead_lettered']);
        self::assertSame(1, $settled['released']);
        self::assertSame([0, 0, 0], [$counted['in_hand'], $counted['lost'], $counted['abandoned']]);
        self::assertSame(2, $counted['push_seconds']['count'], 'one for each call');
        self::assertGreaterThan(0, $counted['push_seconds']['sum']);
        self::assertSame($counted['received'], $counted['held_seconds']['count']);
        $counts = array_column($counted['held_seconds']['buckets'], 'count');
        $sorted = $counts;
        sort($sorted);
        self::assertSame($sorted, $counts, 'cumulative');
        self::assertStringContainsString($queue->getName(), $counted['queue']);
    }

    public function testRedeliveredLostAndAbandonedJobsAreCounted(): void
    {
        $broker = ProgramBroker::start();
        $proxy = new Proxy(new Support\Broker('program', $broker->dsn));
        $queue = new AmqpQueue($proxy->dsn, 'counted', ['backoff' => 0, 'timeout' => 20]);
        $before = metrics()['connections'];
        $queue->pushMany(array_fill(0, 3, ['name' => 'job']));
        $consumer = $this->consumer($queue, ['prefetch' => 3]);
        $task = $this->next($consumer);
        $this->eventually(fn () => self::of($queue)['buffered'] === 2, 'the others wait in the buffer');
        $task->nack('again');
        unset($task);
        $lost = $this->next($consumer);
        $dropped = $this->next($consumer);
        unset($dropped);
        self::assertSame([1, 1], [self::of($queue)['abandoned'], self::of($queue)['in_hand']]);
        $proxy->reset();
        $this->thrown(TaskLostException::class, static function () use ($lost): void {
            for ($until = microtime(true) + 10; !$lost->isLost() && microtime(true) < $until;) {
                usleep(1000);
            }
            $lost->ack();
        });
        for ($i = 0; $i < 3; ++$i) {
            $this->next($consumer, 20)->ack();
        }
        $counted = self::of($queue);

        self::assertSame([1, 0], [$counted['lost'], $counted['in_hand']]);
        self::assertGreaterThanOrEqual(1, $counted['redelivered']);
        self::assertSame([3, 1], [$counted['settled']['acked'], $counted['settled']['retried']]);
        $queue->push('after');
        $after = metrics()['connections'];
        self::assertGreaterThanOrEqual(2, $after['lost'] - $before['lost']);
        self::assertGreaterThanOrEqual(2, $after['reopened'] - $before['reopened']);
        self::assertGreaterThanOrEqual(4, $after['opened'] - $before['opened']);
    }

    public function testFailuresAreCountedByKind(): void
    {
        $queue = new AmqpQueue('amqp://' . Sockets::refused(), 'refused');
        $before = metrics()['connections']['failed'];
        try {
            $queue->push('job');
        } catch (\Amqp1\Exception\ConnectionException) {
        }
        $counted = self::of($queue);
        self::assertSame([1, 0, 1], [$counted['pushed'], $counted['confirmed'], $counted['failed']['connection']]);
        self::assertSame(1, metrics()['connections']['failed'] - $before);

        $queue = $this->queue('embedded', ['format' => 'babelqueue']);
        $this->thrown(BatchException::class, static fn () => $queue->pushMany([['name' => 'a', 'payload' => []], ['name' => 'b', 'payload' => 'text']]));
        $counted = self::of($queue);
        self::assertSame([2, 1, 1], [$counted['pushed'], $counted['confirmed'], $counted['failed']['serialization']]);
    }

    public function testAutoAckedJobsAreAckedAndNeverInHand(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job');
        $consumer = $this->consumer($queue, ['auto_ack' => true]);
        $task = $this->next($consumer);
        $counted = self::of($queue);
        self::assertSame([1, 1, 0], [$counted['received'], $counted['settled']['acked'], $counted['in_hand']]);
        unset($task);
        self::assertSame([0, 0], [self::of($queue)['abandoned'], self::of($queue)['in_hand']]);
    }

    public function testAChildStartsFromZeroAndItsParentGoesOn(): void
    {
        $broker = ProgramBroker::start();
        $output = Child::run(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], 'q');
            $queue->push('parent');
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 1]);
            $task = $consumer->waitTask(5);
            $figures = static fn () => json_encode([
                Amqp1\metrics()['queues'][0]['pushed'] ?? null, Amqp1\metrics()['queues'][0]['in_hand'] ?? null,
                Amqp1\metrics()['connections']['opened'], Amqp1\metrics()['connections']['open'],
            ]);
            if (pcntl_fork() === 0) {
                echo $figures();
                $task->nack('not its own');
                unset($task);
                $queue->push('child');
                echo $figures();
                exit;
            }
            pcntl_wait($status);
            echo $figures();
            PHP, [$broker->dsn]);

        self::assertSame('[0,0,0,0]' . '[1,0,1,1]' . '[1,1,2,2]', $output);
    }

    public function testManyQueuesShareTheLastPlace(): void
    {
        $output = Child::run(<<<'PHP'
            for ($i = 0; $i < 70; ++$i) {
                (new Amqp1\AmqpQueue('embedded://', "q$i"))->push('job');
            }
            new Amqp1\AmqpQueue('embedded://', 'unused');
            $queues = Amqp1\metrics()['queues'];
            echo count($queues), ' ', $queues[0]['queue'], ' ', end($queues)['queue'], ' ', end($queues)['pushed'], ' ',
                array_sum(array_column($queues, 'pushed'));
            PHP, []);

        self::assertSame('65 q0 * 6 70', $output);
    }

    public function testTheStubHasTheShape(): void
    {
        $this->queue('embedded')->push('job');
        $stub = (string) file_get_contents(__DIR__ . '/../php-stubs/metrics.stub.php');
        preg_match('/@return (array\{.*?\n \* \})/s', $stub, $match);
        $shape = ArrayShape::of(ArrayShape::comment($match[1]));
        $metrics = metrics();

        self::assertSame(array_keys($shape), array_keys($metrics));
        self::assertSame(array_keys(ArrayShape::of($shape['connections'])), array_keys($metrics['connections']));
        self::assertSame(array_keys(ArrayShape::of($shape['requests'])), array_keys($metrics['requests']));
        $queue = ArrayShape::of($shape['queues']);
        self::assertSame(array_keys($queue), array_keys($metrics['queues'][0]));
        self::assertSame(array_keys(ArrayShape::of($queue['push_seconds'])), array_keys($metrics['queues'][0]['push_seconds']));
    }

    /** @return array<string, mixed> the queue's figures */
    private static function of(AmqpQueue $queue): array
    {
        foreach (metrics()['queues'] as $counted) {
            if ($counted['queue'] === $queue->getName()) {
                return $counted;
            }
        }
        self::fail('it is counted under its own name');
    }
}
