<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** A delay is honoured or refused, never dropped. */
final class DelayTest extends ContractTestCase
{
    /** A job is too early if it arrives more than this many seconds before its time. Two clocks are involved. */
    private const EARLY = 0.02;

    /** On a busy machine, a job may be later than promised (5 % or one second) by this many seconds. */
    private const SLACK = 3.0;

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testDelaysAreHonouredAndAShortOneIsNotHeldUpByALongOne(string $broker): void
    {
        $queue = $this->queue($broker);
        if ($this->lacks($broker, 'delay', static fn () => $queue->push('job', '', ['delay' => 1]))) {
            $this->assertNoTask($this->consumer($queue));

            return;
        }
        // Long delays before short ones, and several of one length: jobs are due in an order other than pushed.
        $delays = ['long' => 3.0, 'short' => 1.0, 'none' => 0.0, 'middle' => 2, 'fraction' => 1.25, 'second short' => 1.0];
        $pushed = [];
        $consumer = $this->consumer($queue);
        $this->assertNoTask($consumer, 0.1);
        foreach ($delays as $name => $delay) {
            $pushed[$name] = microtime(true);
            $queue->push($name, '', ['delay' => $delay]);
        }
        // No job is taken before all are pushed, because pushing declares queues.
        $looked = microtime(true);
        $order = [];
        while (count($order) < count($delays)) {
            $task = $this->next($consumer, 15);
            $name = $task->getName();
            $due = $pushed[$name] + $delays[$name];
            $late = microtime(true) - max($due, $looked);
            $order[] = $name;
            $task->ack();
            self::assertGreaterThanOrEqual(-self::EARLY, microtime(true) - $due, "$name came early");
            self::assertLessThan(max($delays[$name] * 0.05, 1.0) + self::SLACK, $late, "$name came late");
            self::assertSame(1, $task->getAttempts(), 'waiting is no attempt');
            self::assertEqualsWithDelta($delays[$name], (float) $task->getDelay(), 1.0, 'the delay asked for');
        }

        self::assertSame('none', $order[0]);
        self::assertSame('long', $order[5]);
        $this->assertNoTask($consumer);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testADelayedJobIsWhole(string $broker): void
    {
        $queue = $this->queue($broker);
        $payload = implode('', array_map('chr', range(0, 255)));
        if ($this->lacks($broker, 'delay', static fn () => $queue->push('job', $payload, ['delay' => 0.5]))) {
            return;
        }
        $id = $queue->push('job', $payload, [
            'delay' => 0.5,
            'priority' => 6,
            'headers' => ['tenant' => ['a', 'b']],
            'trace_id' => 'trace',
        ]);
        $task = $this->take($queue);

        self::assertSame([$id, 'job', 6, 'trace'], [$task->getId(), $task->getName(), $task->getPriority(), $task->getTraceId()]);
        self::assertTrue($payload === $task->getPayload());
        self::assertSame(['a', 'b'], $task->getHeader('tenant'));
        self::assertSame($queue->getName(), $task->getPipeline());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testDelayedJobsOfABatch(string $broker): void
    {
        $queue = $this->queue($broker);
        $start = microtime(true);
        $one = [['name' => 'job', 'options' => ['delay' => 1]]];
        if ($this->lacks($broker, 'delay', static fn () => $queue->pushMany($one), BatchException::class)) {
            return;
        }
        $ids = $queue->pushMany(
            array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 99)),
            ['delay' => 1]
        );
        $consumer = $this->consumer($queue);
        $seen = [];
        while (count($seen) < 100) {
            $task = $this->next($consumer);
            self::assertGreaterThanOrEqual(1 - self::EARLY, microtime(true) - $start);
            $seen[] = $task->getId();
            $task->ack();
        }
        sort($ids);
        sort($seen);

        self::assertSame($ids, $seen);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testStatsKnowWhatIsDelayed(string $broker): void
    {
        $queue = $this->queue($broker);
        if ($this->lacks($broker, 'management', static fn () => $queue->stats())) {
            return;
        }
        $queue->push('now');
        $queue->push('later', '', ['delay' => 60]);
        $this->eventually(static fn () => $queue->stats()['ready'] === 1, 'one job is ready');
        self::assertSame(1, $queue->stats()['delayed']);
        self::assertSame(2, $queue->stats()['active']);
        self::assertSame(1, $queue->count(), 'only what can be delivered now');
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testDelayQueuesAreBoundedAndDurableWhateverDelaysAreAskedFor(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("rabbitmqctl does not reach the user's own broker");
        }
        $before = $this->queuesOf($broker);
        $queue = $this->queue($broker);
        // From half a second to about three minutes, all different.
        $counts = [];
        foreach ([0.0, 0.37] as $between) {
            $queue->pushMany((static function () use ($between) {
                for ($i = 0; $i < 150; ++$i) {
                    yield ['name' => "job-$i", 'options' => ['delay' => 0.5 * 400 ** (($i + $between) / 150)]];
                }
            })());
            // Others may use the same broker: only the queues for this one.
            $new = array_filter(
                array_diff_key($this->queuesOf($broker), $before),
                static fn (string $name) => $name !== $queue->getName() && str_contains($name, $queue->getName()),
                ARRAY_FILTER_USE_KEY
            );
            $counts[] = count($new);
            foreach ($new as $name => [$durable]) {
                self::assertSame('true', $durable, "$name is durable");
                $this->owned($at, $name);
            }
        }

        self::assertGreaterThan(0, $counts[0], 'the delay queues were seen');
        self::assertLessThanOrEqual(140, $counts[1], 'for 300 different delays');
        self::assertLessThanOrEqual($counts[0] + 5, $counts[1], 'other delays use the same queues');
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testADelayedJobSurvivesItsProducersConnection(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->uniqueName($at);
        Support\Child::run(
            '(new Amqp1\AmqpQueue($argv[1], $argv[2]))->push("later", "x", ["delay" => 1.5]);',
            [$at->dsn, $queue]
        );

        self::assertSame('later', $this->take(new AmqpQueue($at->dsn, $queue), 15)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testADelayToAnExchangeArrivesByItsRoutingKeyOrIsRefused(string $broker): void
    {
        $at = $this->broker($broker);
        $exchange = $this->exchangeName($at);
        $queue = $this->queue($broker, ['exchange' => $exchange, 'exchange_type' => 'direct', 'routing_key' => 'orders']);
        $queue->setup();
        $start = microtime(true);
        try {
            $queue->push('job', '', ['delay' => 1]);
        } catch (UnsupportedException $refused) {
            self::assertStringContainsString('delay', $refused->getMessage());
            self::assertSame(0, $queue->count());
            $queue->push('without');
            self::assertSame('without', $this->take($queue)->getName());

            return;
        }
        self::assertSame('job', $this->take($queue, 15)->getName());
        self::assertGreaterThanOrEqual(1 - self::EARLY, microtime(true) - $start);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testADelayWithoutDeclaringIsRefusedAndNotDropped(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        (new Peer($at))->declareQueue($name);
        $queue = $this->queue($broker, ['declare' => false], $name);
        $start = microtime(true);
        try {
            $queue->push('job', '', ['delay' => 1]);
        } catch (UnsupportedException $refused) {
            self::assertStringContainsString('declare', $refused->getMessage());
            self::assertSame(0, $queue->count());

            return;
        }
        $this->take($queue, 15);
        self::assertGreaterThanOrEqual(1 - self::EARLY, microtime(true) - $start);
    }

    /** @return array<string, list<string>> name → durable, arguments */
    private function queuesOf(string $broker): array
    {
        $queues = [];
        foreach (Ctl::table($this->broker($broker), 'list_queues', 'name', 'durable', 'arguments') as $row) {
            $queues[$row[0]] = array_slice($row, 1);
        }

        return $queues;
    }
}
