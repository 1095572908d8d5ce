<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** Which job is delivered first, and to which consumer. */
final class PriorityTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAQueueWithMaxPriorityServesTheHigherFirst(string $broker): void
    {
        $queue = $this->queue($broker, ['queue_type' => 'classic', 'max_priority' => 9]);
        if ($this->lacks($broker, 'queue-options', static fn () => $queue->push('job'))) {
            if (!$this->broker($broker)->isRabbitMq()) {
                return;
            }
            (new Peer($this->broker($broker)))->declareQueue($queue->getName(), ['x-max-priority' => 9]);
        }
        $pushed = [1, 9, 4, 5, 0, 7];
        foreach ($pushed as $priority) {
            $queue->push("p$priority", '', ['priority' => $priority]);
        }
        $queue->push('none');

        self::assertSame(['p9', 'p7', 'p5', 'p4', 'none', 'p1', 'p0'], $this->order($queue, 7), 'none is 4');
    }

    /** RabbitMQ 4.0 serves high priorities twice as often, 4.3 serves each level before the next. @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAQuorumQueueFavoursWhatIsAboveFour(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach (['low' => 4, 'high' => 5] as $name => $priority) {
            for ($i = 0; $i < 6; ++$i) {
                $queue->push("$name-$i", '', ['priority' => $priority]);
            }
        }
        $order = $this->order($queue, 12);
        $place = static fn (string $name) => array_sum(array_keys(array_filter(
            $order,
            static fn (string $job) => str_starts_with($job, $name)
        )));

        self::assertSame('high-0', $order[0]);
        self::assertLessThan($place('low') - 12, $place('high'), implode(' ', $order));
        if (version_compare($queue->getBroker()['version'], '4.3', '>=')) {
            self::assertStringStartsWith('high', $order[5], 'strictly');
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAQuorumQueueHasLevelsFrom43On(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach ([1, 9, 4, 200, 31, 0] as $priority) {
            $queue->push("p$priority", '', ['priority' => $priority]);
        }
        $order = $this->order($queue, 6);

        if (version_compare($queue->getBroker()['version'], '4.3', '>=')) {
            self::assertSame(['p200', 'p31', 'p9', 'p4', 'p1', 'p0'], $order, '31 is the highest');
        } else {
            self::assertSame(['p9', 'p200'], array_slice($order, 0, 2), 'two levels: in the order of arrival');
        }
    }

    public function testMaxPriorityIsForClassicQueues(): void
    {
        foreach ([['max_priority' => 5], ['max_priority' => 5, 'queue_type' => 'quorum']] as $options) {
            $thrown = $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://', 'q', $options));
            self::assertStringContainsString('classic', $thrown->getMessage());
        }
        foreach ([0, 256, 'high'] as $wrong) {
            $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://', 'q', ['max_priority' => $wrong]));
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheConsumerOfHigherPriorityIsServedWhileItTakesMore(string $broker): void
    {
        $queue = $this->queue($broker);
        $low = $this->consumer($queue, ['prefetch' => 5, 'priority' => -1]);
        if ($this->lacks($broker, 'consumer-priority', static fn () => $low->waitTask(0.1), UnsupportedException::class)) {
            return;
        }
        $high = $this->consumer($queue, ['prefetch' => 2, 'priority' => 10]);
        $this->assertNoTask($low, 0.1);
        $this->assertNoTask($high, 0.1);
        // A link starts with credit for one job, so the first job must have arrived.
        $queue->push('first');
        $this->next($high)->ack();
        $this->assertNoTask($high, 0.3);
        for ($i = 0; $i < 3; ++$i) {
            $queue->push("job-$i");
        }
        $taken = ['high' => [], 'low' => []];
        foreach (['high', 'high', 'low'] as $who) {
            $task = $this->next(${$who});
            $taken[$who][] = $task->getName();
            $held[] = $task; // a consumer whose prefetch is full leaves the rest to the others
        }

        self::assertSame(['high' => ['job-0', 'job-1'], 'low' => ['job-2']], $taken);
        foreach ($held as $task) {
            $task->ack();
        }
    }

    /** @return list<string> the names of this many jobs, each taken by a consumer that buffers nothing */
    private function order(AmqpQueue $queue, int $count): array
    {
        $names = [];
        while (count($names) < $count) {
            $names[] = $this->take($queue)->getName();
        }

        return $names;
    }
}
