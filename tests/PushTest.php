<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** A task has what push() wrote. */
final class PushTest extends ContractTestCase
{
    private const UUID = '/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/';

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheIdIsANewUuidEachTime(string $broker): void
    {
        $queue = $this->queue($broker);
        $ids = [];
        for ($i = 0; $i < 50; ++$i) {
            $ids[] = $id = $queue->push('job');
            self::assertMatchesRegularExpression(self::UUID, $id);
        }
        self::assertCount(50, array_unique($ids));
        $consumer = $this->consumer($queue);
        foreach ($ids as $id) {
            $task = $this->next($consumer);
            self::assertSame($id, $task->getId());
            $task->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEveryOptionReachesTheTask(string $broker): void
    {
        $queue = $this->queue($broker, ['name' => 'a-pipeline']);
        $id = $queue->push('ProcessOrder', ['orderId' => 12345], [
            'id' => 'order-12345',
            'priority' => 5,
            'headers' => ['tenant-id' => 'company-a'],
            'trace_id' => '7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b',
            'group' => 'customer-7',
            'ttl' => 60,
            'durable' => false,
            'timeout' => 10,
        ]);
        $task = $this->take($queue);

        self::assertSame('order-12345', $id);
        self::assertSame('order-12345', $task->getId());
        self::assertSame('ProcessOrder', $task->getName());
        self::assertSame(['orderId' => 12345], $task->getPayload());
        self::assertSame('{"orderId":12345}', $task->getBody());
        self::assertSame(['tenant-id' => ['company-a']], $task->getHeaders());
        self::assertSame(5, $task->getPriority());
        self::assertSame('7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b', $task->getTraceId());
        self::assertSame(1, $task->getAttempts());
        self::assertSame(0.0, (float) $task->getDelay());
        self::assertSame('a-pipeline', $task->getQueue());
        self::assertSame('a-pipeline', $task->getPipeline());
        self::assertNotSame('', $task->getSource());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testDefaults(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        $task = $this->take($queue);

        self::assertSame(4, $task->getPriority(), "AMQP's default");
        self::assertNull($task->getTraceId());
        self::assertSame($queue->getName(), $task->getPipeline());
        self::assertSame($queue->getName(), $task->getQueue());
        self::assertStringContainsString(rawurlencode($queue->getName()), $task->getSource());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testThePipelineIsTheProducersAndTheQueueTheConsumers(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker));
        $this->queue($broker, ['name' => 'producer-side'], $name)->push('job');
        $task = $this->take($this->queue($broker, ['name' => 'consumer-side'], $name));

        self::assertSame('producer-side', $task->getPipeline());
        self::assertSame('consumer-side', $task->getQueue());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testNamesAndIdsMayBeUnicode(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('Zpracuj objednávku 🐎', '', ['id' => 'č. 7/2026', 'trace_id' => 'stopa ž']);
        $task = $this->take($queue);

        self::assertSame('Zpracuj objednávku 🐎', $task->getName());
        self::assertSame('č. 7/2026', $task->getId());
        self::assertSame('stopa ž', $task->getTraceId());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOneQueueIsInOrder(string $broker): void
    {
        $queue = $this->queue($broker);
        for ($i = 0; $i < 200; ++$i) {
            $queue->push("job-$i", (string) $i);
        }
        $consumer = $this->consumer($queue);
        for ($i = 0; $i < 200; ++$i) {
            $task = $this->next($consumer);
            self::assertSame("job-$i", $task->getName());
            $task->ack();
        }
        $this->assertNoTask($consumer, 0.1);
    }

    /** @return array<string, array{string}> Where priorities order the queue: not on a quorum queue, which has two levels. */
    public static function ordering(): array
    {
        return array_diff_key(self::brokers(), self::everyRabbitMq()) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider ordering */
    #[DataProvider('ordering')]
    public function testHigherPriorityComesFirst(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach ([1, 9, 4, 200] as $priority) {
            $queue->push("p$priority", '', ['priority' => $priority]);
        }
        $names = [];
        foreach (range(1, 4) as $_) {
            $names[] = $this->take($queue)->getName();
        }

        $ordered = match (true) {
            // It has ten levels: higher values count as the highest.
            !$this->broker($broker)->supports('priority-above-9') => ['p9', 'p200', 'p4', 'p1'],
            $this->broker($broker)->supports('priority') => ['p200', 'p9', 'p4', 'p1'],
            default => ['p1', 'p9', 'p4', 'p200'],
        };
        self::assertSame($ordered, $names);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testHigherPriorityComesFirstOnARabbitMqPriorityQueue(string $broker): void
    {
        $queue = $this->queue($broker, ['queue_type' => 'classic', 'arguments' => ['x-max-priority' => 9]]);
        foreach ([1, 9, 4] as $priority) {
            $queue->push("p$priority", '', ['priority' => $priority]);
        }
        $names = [];
        foreach (range(1, 3) as $_) {
            $names[] = $this->take($queue)->getName();
        }

        self::assertSame(['p9', 'p4', 'p1'], $names);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnExpiredJobIsNotDelivered(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('short', '', ['ttl' => 0.2]);
        $queue->push('long', '', ['ttl' => 60]);
        usleep(600_000);
        $consumer = $this->consumer($queue);

        self::assertSame('long', $this->next($consumer)->getName());
        $this->assertNoTask($consumer);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobMarkedAutoAckIsSettledWhenItIsHandedOut(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('fire and forget', '', ['auto_ack' => true]);
        $consumer = $this->consumer($queue);
        self::assertTrue($this->next($consumer)->isCompleted());
        $consumer->close();

        $this->assertNoTask($this->consumer($queue));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTwoQueueObjectsOfOneNameAreOneQueue(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker));
        $this->queue($broker, [], $name)->push('first');
        $this->queue($broker, [], $name)->push('second');

        $this->assertJobs(2, $this->queue($broker, [], $name));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testDistinctQueuesDoNotMix(string $broker): void
    {
        $one = $this->queue($broker);
        $two = $this->queue($broker);
        $one->push('for one');
        $two->push('for two');

        self::assertSame('for two', $this->take($two)->getName());
        self::assertSame('for one', $this->take($one)->getName());
    }
}
