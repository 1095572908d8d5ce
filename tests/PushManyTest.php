<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\SerializationException;
use Amqp1\Tests\Support\ContractTestCase;
use ArrayIterator;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use Throwable;

/** Many jobs, pipelined: all arrive, in order, none twice; failures are reported by index. */
final class PushManyTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTenThousandJobsInOrderAndNoneTwice(string $broker): void
    {
        $queues = [$this->queue($broker), $this->queue($broker)];
        $jobs = static function () {
            for ($i = 0; $i < 10_000; ++$i) {
                yield ['name' => 'job', 'payload' => ['n' => $i], 'options' => ['headers' => ['n' => $i]]];
            }
        };
        $ids = [];
        foreach ($queues as $queue) {
            $ids[$queue->getName()] = $queue->pushMany($jobs());
        }
        $consumer = $this->consumer($queues, ['prefetch' => 500]);
        $next = array_fill_keys(array_keys($ids), 0);
        for ($i = 0; $i < 20_000; ++$i) {
            $task = $consumer->waitTask(20);
            if ($task === null) {
                self::fail('after ' . json_encode($next) . ' jobs no more came');
            }
            $name = $task->getQueue();
            $n = $next[$name]++;
            if ($task->getPayload() !== ['n' => $n] || $task->getId() !== $ids[$name][$n] || $task->getHeader('n') !== ["$n"]) {
                self::fail("job $n of $name: got " . $task->getBody() . ' ' . $task->getId());
            }
            $task->ack();
        }
        $consumer->close();

        self::assertSame([10_000, 10_000], array_values($next));
        foreach ($queues as $queue) {
            self::assertCount(10_000, array_unique($ids[$queue->getName()]));
            $this->assertJobs(0, $queue);
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testPayloadAndOptionsMayBeLeftOut(string $broker): void
    {
        $queue = $this->queue($broker);
        $ids = $queue->pushMany(
            [
                ['name' => 'bare'],
                ['name' => 'own', 'payload' => 'x', 'options' => ['priority' => 1, 'id' => 'my-id']],
                ['name' => 'merged', 'options' => ['trace_id' => 'own-trace']],
            ],
            ['priority' => 9, 'trace_id' => 'default-trace', 'headers' => ['tenant' => 'a']]
        );
        self::assertCount(3, $ids);
        self::assertSame('my-id', $ids[1]);
        $tasks = [];
        $consumer = $this->consumer($queue);
        for ($i = 0; $i < 3; ++$i) {
            $task = $this->next($consumer);
            $tasks[$task->getName()] = $task;
            $task->ack();
        }

        self::assertNull($tasks['bare']->getPayload());
        self::assertSame(9, $tasks['bare']->getPriority());
        self::assertSame(1, $tasks['own']->getPriority());
        self::assertSame('own-trace', $tasks['merged']->getTraceId());
        self::assertSame('default-trace', $tasks['bare']->getTraceId());
        self::assertSame(['a'], $tasks['own']->getHeader('tenant'));
        self::assertSame($ids[0], $tasks['bare']->getId());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testNothingToPush(string $broker): void
    {
        $queue = $this->queue($broker);

        self::assertSame([], $queue->pushMany([]));
        self::assertSame([], $queue->pushMany(new ArrayIterator([])));
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testKeysDoNotMatter(string $broker): void
    {
        $queue = $this->queue($broker);
        $ids = $queue->pushMany(new ArrayIterator(['x' => ['name' => 'a'], 'y' => ['name' => 'b']]));

        self::assertSame([0, 1], array_keys($ids));
        self::assertSame($ids[0], $this->take($queue)->getId());
        self::assertSame($ids[1], $this->take($queue)->getId());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAGeneratorIsConsumedAsItIsSent(string $broker): void
    {
        $queue = $this->queue($broker);
        $seen = 0;
        $jobs = (function () use ($queue, &$seen) {
            for ($i = 0; $i < 5_000; ++$i) {
                if ($i === 4_999) {
                    $seen = $this->jobsIn($queue);
                }
                yield ['name' => 'job', 'payload' => str_repeat('x', 500)];
            }
        })();
        $queue->pushMany($jobs);

        self::assertGreaterThan(0, $seen, 'the first jobs arrive before the last is made');
        $this->assertJobs(5_000, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testFailedIndexesAreReportedAndTheOthersDelivered(string $broker): void
    {
        $queue = $this->queue($broker);
        $thrown = null;
        try {
            $queue->pushMany([
                ['name' => 'good-0'],
                ['name' => 'bad payload', 'payload' => NAN],
                ['name' => 'good-2', 'options' => ['id' => 'second']],
                ['name' => 'bad option', 'options' => ['prioritty' => 1]],
                ['payload' => 'no name'],
                'not a job',
                ['name' => 'good-6'],
            ]);
        } catch (BatchException $thrown) {
        }
        self::assertNotNull($thrown, 'BatchException');
        self::assertInstanceOf(ExceptionInterface::class, $thrown);
        self::assertInstanceOf(RuntimeException::class, $thrown);
        self::assertSame([1, 3, 4, 5], array_keys($thrown->getFailures()));
        foreach ($thrown->getFailures() as $failure) {
            self::assertInstanceOf(Throwable::class, $failure);
        }
        self::assertInstanceOf(SerializationException::class, $thrown->getFailures()[1]);
        self::assertInstanceOf(ConfigException::class, $thrown->getFailures()[3]);
        self::assertStringContainsString("'priority'", $thrown->getFailures()[3]->getMessage());
        self::assertSame([0, 2, 6], array_keys($thrown->getConfirmedIds()));
        self::assertSame('second', $thrown->getConfirmedIds()[2]);

        $names = [];
        foreach ($thrown->getConfirmedIds() as $id) {
            $task = $this->take($queue);
            self::assertSame($id, $task->getId());
            $names[] = $task->getName();
        }
        self::assertSame(['good-0', 'good-2', 'good-6'], $names);
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnExceptionInTheGeneratorComesThroughAndWhatWasSentIsSent(string $broker): void
    {
        $queue = $this->queue($broker);
        $jobs = (static function () {
            yield ['name' => 'first'];
            yield ['name' => 'second'];

            throw new \DomainException('the database went away');
        })();
        try {
            $queue->pushMany($jobs);
            self::fail('nothing was thrown');
        } catch (\DomainException $thrown) {
            self::assertSame('the database went away', $thrown->getMessage());
        }

        self::assertSame('first', $this->take($queue)->getName());
        self::assertSame('second', $this->take($queue)->getName());
        $queue->push('third');
        self::assertSame('third', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testRefusedByTheBrokerInTheMiddle(string $broker): void
    {
        $queue = $this->queue($broker, [
            'queue_type' => 'classic',
            'arguments' => ['x-max-length' => 5, 'x-overflow' => 'reject-publish'],
        ]);
        $thrown = $this->thrown(
            BatchException::class,
            static fn () => $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 19)))
        );
        $confirmed = $thrown->getConfirmedIds();

        self::assertSame(20, count($confirmed) + count($thrown->getFailures()));
        $this->assertJobs(count($confirmed), $queue);
        foreach ($confirmed as $id) {
            self::assertSame($id, $this->take($queue)->getId());
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testEachOfThousandsOfRefusalsBelongsToItsJob(string $broker): void
    {
        $queue = $this->queue($broker, [
            'queue_type' => 'classic',
            'arguments' => ['x-max-length' => 1_500, 'x-overflow' => 'reject-publish'],
        ]);
        $jobs = static function () {
            for ($i = 0; $i < 4_000; ++$i) {
                yield ['name' => 'job', 'options' => ['id' => "id-$i"]];
            }
        };
        $thrown = $this->thrown(BatchException::class, static fn () => $queue->pushMany($jobs()));
        $confirmed = $thrown->getConfirmedIds();
        foreach ($confirmed as $i => $id) {
            self::assertSame("id-$i", $id);
        }
        self::assertSame(range(0, 3_999), self::sorted([...array_keys($confirmed), ...array_keys($thrown->getFailures())]));
        $this->assertJobs(count($confirmed), $queue);
        $consumer = $this->consumer($queue, ['prefetch' => 500]);
        foreach ($confirmed as $id) {
            $task = $this->next($consumer);
            self::assertSame($id, $task->getId());
            $task->ack();
        }
        $consumer->close();
    }

    /** @param list<int> $numbers */
    private static function sorted(array $numbers): array
    {
        sort($numbers);

        return $numbers;
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testLargeJobsAmongManySmallOnesKeepTheirOrder(string $broker): void
    {
        $queue = $this->queue($broker);
        $size = static fn (int $i): int => $i % 50 === 7 ? 200_000 : $i % 60;
        $jobs = static function () use ($size) {
            for ($i = 0; $i < 3_000; ++$i) {
                yield ['name' => "job-$i", 'payload' => str_repeat('x', $size($i))];
            }
        };
        $queue->pushMany($jobs());
        $consumer = $this->consumer($queue, ['prefetch' => 50]);
        for ($i = 0; $i < 3_000; ++$i) {
            $task = $this->next($consumer);
            if (["job-$i", $size($i)] !== [$task->getName(), strlen($task->getBody())]) {
                self::fail("job $i: got " . $task->getName() . ' of ' . strlen($task->getBody()));
            }
            $task->ack();
        }
        $consumer->close();
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testMixedSizesKeepTheirOrder(string $broker): void
    {
        $queue = $this->queue($broker);
        $large = $this->broker($broker)->supports('large-messages') ? 300_000 : 250_000;
        $sizes = [0, 1, 100_000, 1, $large, 255, 256, 70_000, 0];
        $queue->pushMany(array_map(static fn (int $size) => ['name' => "size-$size", 'payload' => str_repeat('x', $size)], $sizes));
        $consumer = $this->consumer($queue);
        foreach ($sizes as $size) {
            $task = $this->next($consumer);
            self::assertSame(["size-$size", $size], [$task->getName(), strlen($task->getBody())]);
            $task->ack();
        }
    }
}
