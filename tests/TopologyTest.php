<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\RejectedException;
use Amqp1\Exception\UnroutableException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** Declaring, counting, purging, and identifying the broker. */
final class TopologyTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheBrokerSaysWhoItIs(string $broker): void
    {
        $info = $this->queue($broker)->getBroker();

        self::assertSame(['dialect', 'product', 'version', 'longest_job'], array_keys($info));
        self::assertSame(match (true) {
            $this->broker($broker)->isRabbitMq() && version_compare($info['version'], '4.3', '>=') => 1800.0,
            $info['dialect'] === 'servicebus' => 300.0,
            default => null,
        }, $info['longest_job']);
        if ($this->broker($broker)->isRabbitMq()) {
            self::assertSame('RabbitMQ', $info['product']);
            self::assertMatchesRegularExpression('/^[34]\.\d+\.\d+/', $info['version']);
            self::assertSame("rabbitmq{$info['version'][0]}", $info['dialect']);
            if (str_contains($broker, '-')) {
                self::assertStringStartsWith(substr($broker, strlen('rabbitmq-')) . '.', $info['version']);
            }
        } elseif ($this->broker($broker)->isArtemis()) {
            self::assertSame(['artemis', 'apache-activemq-artemis'], [$info['dialect'], $info['product']]);
            self::assertMatchesRegularExpression('/^2\.\d+\.\d+/', $info['version']);
        } else {
            self::assertStringContainsString('amqp1', $info['product']);
            // The service does not identify itself; amqp1-broker does in either dialect.
            self::assertMatchesRegularExpression('/^\d+\.\d+\.\d+/', $info['version']);
        }
        self::assertNotSame('', $info['dialect']);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testPingMeasuresARoundTrip(string $broker): void
    {
        $seconds = $this->queue($broker)->ping();

        self::assertGreaterThan(0.0, $seconds);
        self::assertLessThan(5.0, $seconds);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testCountAndPurge(string $broker): void
    {
        $queue = $this->queue($broker);
        if ($this->lacks($broker, 'management', static fn () => $queue->count())) {
            $this->lacks($broker, 'management', static fn () => $queue->purge());

            return;
        }
        self::assertSame(0, $queue->count());
        self::assertSame(0, $queue->purge());
        $queue->pushMany(array_fill(0, 5, ['name' => 'job']));

        self::assertSame(5, $queue->count());
        self::assertCount(5, $queue, 'Countable');
        self::assertSame(5, $queue->purge());
        self::assertSame(0, $queue->count());
        $queue->push('next');
        self::assertSame('next', $this->take($queue)->getName());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testStats(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_fill(0, 5, ['name' => 'job']));
        if ($this->lacks($broker, 'management', static fn () => $queue->stats())) {
            return;
        }
        $stats = $queue->stats();
        self::assertSame(['active', 'delayed', 'ready', 'reserved', 'consumers', 'broker'], array_keys($stats));
        // RabbitMQ does not report jobs that are delivered but not settled.
        if ($this->broker($broker)->isServiceBus()) {
            self::assertSame([5, 0, 5, null, null], array_slice(array_values($stats), 0, 5));

            return;
        }
        $reserved = $this->broker($broker)->isRabbitMq() ? null : 0;
        self::assertSame([5, 0, 5, $reserved, 0], array_slice(array_values($stats), 0, 5));
        self::assertSame($queue->getBroker(), $stats['broker']);

        $consumer = $this->consumer($queue, ['prefetch' => 2]);
        $task = $this->next($consumer);
        $this->eventually(static function () use ($queue) {
            $stats = $queue->stats();

            return $stats['consumers'] === 1 && $stats['ready'] === 3;
        }, 'one consumer holds two jobs');
        $task->ack();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSetupTwiceIsTheSame(string $broker): void
    {
        $queue = $this->queue($broker);
        if ($this->lacks($broker, 'management', static fn () => $queue->setup())) {
            return;
        }
        $queue->setup();
        $queue->push('job');
        $queue->setup();
        $this->queue($broker, [], $queue->getName())->setup();

        self::assertSame(1, $queue->count());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testSetupDeclaresADurableQuorumQueue(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();

        self::assertSame(['quorum', 'true'], array_slice($this->row($broker, $queue), 0, 2));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheFirstPushDeclaresTheSameAsSetup(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');

        self::assertSame(['quorum', 'true'], array_slice($this->row($broker, $queue), 0, 2));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAConsumerDeclaresTheQueueItWaitsFor(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $this->assertNoTask($this->consumer($queue), 0.1);

        self::assertTrue((new Peer($at))->hasQueue($queue->getName()));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testSetupDeclaresAClassicQueueWithArguments(string $broker): void
    {
        $queue = $this->queue($broker, ['queue_type' => 'classic', 'arguments' => [
            'x-max-length' => 1000,
            'x-message-ttl' => 60000,
            'x-single-active-consumer' => true,
            'x-overflow' => 'reject-publish',
        ]]);
        $queue->setup();
        [$type, $durable, $arguments] = $this->row($broker, $queue);

        self::assertSame(['classic', 'true'], [$type, $durable]);
        foreach (['x-max-length', '1000', 'x-message-ttl', '60000', 'x-single-active-consumer', 'true', 'reject-publish'] as $part) {
            self::assertStringContainsString($part, $arguments);
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testSetupDeclaresExchangeAndBinding(string $broker): void
    {
        $at = $this->broker($broker);
        $exchange = $this->exchangeName($at);
        $queue = $this->queue($broker, ['exchange' => $exchange, 'exchange_type' => 'topic', 'routing_key' => 'a.*']);
        $queue->setup();
        $queue->setup();
        $peer = new Peer($at);
        $with = new \AMQPExchange($peer->channel);
        $with->setName($exchange);
        $with->publish('hello', 'a.b');

        self::assertSame('hello', $this->take($queue)->getPayload());
        $this->assertNoTask($this->consumer($queue), 0.2);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testSetupReportsAQueueThatDiffers(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $peer = new Peer($at);
        $peer->declareQueue($name);
        $queue = $this->queue($broker, ['queue_type' => 'quorum'], $name);
        $thrown = $this->thrown(ExceptionInterface::class, static fn () => $queue->setup());
        self::assertStringContainsString("'$name'", $thrown->getMessage());
        self::assertStringContainsString("type is 'classic' (configured: 'quorum')", $thrown->getMessage());

        $name = $this->uniqueName($at);
        $peer->declareQueue($name, ['x-queue-type' => 'classic', 'x-max-length' => 7]);
        $queue = $this->queue($broker, ['queue_type' => 'classic', 'arguments' => ['x-max-length' => 8]], $name);
        $thrown = $this->thrown(ExceptionInterface::class, static fn () => $queue->setup());
        self::assertStringContainsString("'$name'", $thrown->getMessage());
        self::assertStringContainsString('x-max-length is 7 (configured: 8)', $thrown->getMessage());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSetupNamesEachDifferenceWithBothValuesAndChangesNothing(string $broker): void
    {
        $is = ['queue_type' => 'classic', 'max_length' => 7, 'overflow' => 'reject-publish'];
        $first = $this->queue($broker, $is);
        if ($this->lacks($broker, 'queue-options', static fn () => $first->setup())
            || $this->lacks($broker, 'management', static fn () => $first->setup())) {
            return;
        }
        $first->setup();
        $wanted = ['queue_type' => 'quorum', 'max_length' => 8, 'dead_letter_exchange' => '', 'dead_letter_routing_key' => 'dead'];
        $second = $this->queue($broker, $wanted, $first->getName());
        $message = $this->thrown(ConfigException::class, static fn () => $second->setup())->getMessage();
        foreach ([
            "type is 'classic' (configured: 'quorum')",
            'x-max-length is 7 (configured: 8)',
            "x-overflow is 'reject-publish' (configured: not set)",
            "x-dead-letter-exchange is not set (configured: '')",
            "x-dead-letter-routing-key is not set (configured: 'dead')",
        ] as $difference) {
            self::assertStringContainsString($difference, $message);
        }
        self::assertStringNotContainsString('durable', $message, 'what does not differ is not named');
        self::assertStringNotContainsString('delivery-limit', $message, 'nor what nobody asked for');
        $second->push('but what exists is used');
        self::assertSame(1, $first->count());
        $first->setup();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEveryOptionIsDeclaredAndTheSameTheSecondTime(string $broker): void
    {
        $options = [
            'queue_type' => 'classic',
            'max_length' => 100,
            'overflow' => 'reject-publish',
            'dead_letter_exchange' => '',
            'dead_letter_routing_key' => 'nobody',
            'single_active_consumer' => true,
            'max_priority' => 10,
            'arguments' => ['x-message-ttl' => 60000],
        ];
        $queue = $this->queue($broker, $options);
        if ($this->lacks($broker, 'queue-options', static fn () => $queue->setup())
            || $this->lacks($broker, 'management', static fn () => $queue->setup())) {
            return;
        }
        $queue->setup();
        $queue->setup();
        $this->queue($broker, $options, $queue->getName())->push('job');
        self::assertSame(1, $queue->count());
        foreach ($options as $option => $_) {
            if ($option === 'queue_type') {
                continue; // max_priority needs it
            }
            $less = $this->queue($broker, array_diff_key($options, [$option => 0] + ($option === 'dead_letter_exchange'
                ? ['dead_letter_routing_key' => 0] : [])), $queue->getName());
            $message = $this->thrown(ConfigException::class, static fn () => $less->setup())->getMessage();
            $argument = $option === 'arguments' ? 'x-message-ttl' : 'x-' . strtr($option, '_', '-');
            self::assertMatchesRegularExpression("/$argument is [^;]+ \\(configured: not set\\)/", $message);
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAFullQueueRefusesOrDropsAsConfigured(string $broker): void
    {
        $refusing = $this->queue($broker, ['max_length' => 1, 'overflow' => 'reject-publish']);
        if ($this->lacks($broker, 'queue-options', static fn () => $refusing->push('job'))) {
            return;
        }
        $refusing->push('fits');
        $this->thrown(RejectedException::class, static function () use ($refusing) {
            for ($i = 0; $i < 5; ++$i) { // flow control sometimes lets one more through
                $refusing->push('does not');
            }
        });
        self::assertSame('fits', $this->take($refusing)->getName());

        $dead = $this->queue($broker);
        $dead->setup();
        $dropping = $this->queue($broker, [
            'max_length' => 2,
            'dead_letter_exchange' => '',
            'dead_letter_routing_key' => $dead->getName(),
        ]);
        foreach (['first', 'second', 'third'] as $name) {
            $dropping->push($name);
        }
        self::assertSame('first', $this->take($dead)->getName(), 'the oldest made room');
        self::assertSame('second', $this->take($dropping)->getName());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSeveralBindingsInPlaceOfTheUsualOne(string $broker): void
    {
        $at = $this->broker($broker);
        $exchange = $this->exchangeName($at);
        $queue = $this->queue($broker, [
            'exchange' => $exchange,
            'exchange_type' => 'topic',
            'routing_key' => 'orders.created',
            'bindings' => ['orders.*', ['routing_key' => 'refunds.#'], ['exchange' => 'amq.topic', 'routing_key' => "$exchange.#"]],
        ]);
        if ($this->lacks($broker, 'exchanges', static fn () => $queue->setup())
            || $this->lacks($broker, 'management', static fn () => $queue->setup())) {
            return;
        }
        $queue->setup();
        $queue->setup();
        $queue->push('usual');
        $queue->push('refund', '', ['routing_key' => 'refunds.partly.eu']);
        $this->thrown(UnroutableException::class, static fn () => $queue->push('no', '', ['routing_key' => 'invoices.new']));
        $other = $this->queue($broker, ['declare' => false, 'exchange' => 'amq.topic', 'routing_key' => "$exchange.x"], $queue->getName());
        $other->push('of the other exchange');
        // New bindings are added; existing ones stay.
        $this->queue($broker, ['exchange' => $exchange, 'exchange_type' => 'topic', 'bindings' => ['invoices.new']], $queue->getName())->setup();
        $queue->push('invoice', '', ['routing_key' => 'invoices.new']);
        $queue->push('still there');

        foreach (['usual', 'refund', 'of the other exchange', 'invoice', 'still there'] as $name) {
            self::assertSame($name, $this->take($queue)->getName());
        }
        self::assertSame(0, $queue->count());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAHeadersExchangeIsBoundByArguments(string $broker): void
    {
        $at = $this->broker($broker);
        $options = ['exchange' => $this->exchangeName($at), 'exchange_type' => 'headers'];
        $eu = $this->queue($broker, $options + ['bindings' => [['arguments' => ['x-match' => 'all', 'region' => 'eu']]]]);
        $us = $this->queue($broker, $options + ['bindings' => [['arguments' => ['x-match' => 'all', 'region' => 'us']]]]);
        $eu->setup();
        $us->setup();
        (new Peer($at))->publishTo($options['exchange'], 'to eu', ['headers' => ['region' => 'eu']]);

        self::assertSame('to eu', $this->take($eu)->getPayload());
        self::assertSame(0, $us->count());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testWhatExistsIsUsedAsItIs(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        (new Peer($at))->declareQueue($name, ['x-queue-type' => 'classic', 'x-max-length' => 7]);
        $queue = $this->queue($broker, [], $name);
        $queue->push('job');

        self::assertSame('job', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testSetupReportsAnExchangeThatDiffers(string $broker): void
    {
        $at = $this->broker($broker);
        $exchange = $this->exchangeName($at);
        (new Peer($at))->declareExchange($exchange, AMQP_EX_TYPE_FANOUT);
        $queue = $this->queue($broker, ['exchange' => $exchange, 'exchange_type' => 'topic']);
        $thrown = $this->thrown(ConfigException::class, static fn () => $queue->setup());

        foreach ([$exchange, 'fanout', 'topic'] as $named) {
            self::assertStringContainsString("'$named'", $thrown->getMessage());
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testSetupReportsAnArgumentTheBrokerRefuses(string $broker): void
    {
        $queue = $this->queue($broker, ['arguments' => ['x-max-length' => 'many']]);
        $thrown = $this->thrown(ExceptionInterface::class, static fn () => $queue->setup());
        self::assertStringContainsString($queue->getName(), $thrown->getMessage());

        $other = $this->queue($broker);
        $other->push('works');
        self::assertSame('works', $this->take($other)->getName());
    }

    public function testTheNameOptionIsThePipelinesName(): void
    {
        self::assertSame('q', (new AmqpQueue('embedded://', 'q'))->getName());
        self::assertSame('pipeline', (new AmqpQueue('embedded://', 'q', ['name' => 'pipeline']))->getName());
    }

    public function testEmbeddedBrokersOfDifferentNamesAreDifferentBrokers(): void
    {
        $one = new AmqpQueue('embedded://one', 'same-name');
        $two = new AmqpQueue('embedded://two', 'same-name');
        $one->push('job');

        self::assertSame([1, 0], [$one->count(), $two->count()]);
        self::assertSame(1, (new AmqpQueue('embedded://one', 'same-name'))->count(), 'one name is one broker');
        $one->purge();
    }

    /** @return list<string> type, durable, arguments */
    private function row(string $broker, AmqpQueue $queue): array
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("rabbitmqctl does not reach the user's own broker");
        }
        foreach (Ctl::table($at, 'list_queues', 'name', 'type', 'durable', 'arguments') as $row) {
            if ($row[0] === $queue->getName()) {
                return array_slice($row, 1);
            }
        }
        self::fail($queue->getName() . ' was not declared');
    }
}
