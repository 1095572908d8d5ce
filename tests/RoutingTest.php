<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\RejectedException;
use Amqp1\Exception\UnroutableException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** Where a job goes on RabbitMQ. If it goes nowhere, the right exception is thrown, and the next push works. */
final class RoutingTest extends ContractTestCase
{
    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testThroughAnExchangeByItsRoutingKey(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker, [
            'exchange' => $this->exchangeName($at),
            'exchange_type' => 'direct',
            'routing_key' => 'orders.new',
        ]);
        $queue->push('job');

        self::assertSame('job', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testEachJobMayNameItsRoutingKey(string $broker): void
    {
        $at = $this->broker($broker);
        $exchange = $this->exchangeName($at);
        $queues = [];
        foreach (['default', 'other', 'third'] as $key) {
            $queues[$key] = $queue = $this->queue($broker, [
                'exchange' => $exchange,
                'exchange_type' => 'topic',
                'routing_key' => "key.$key",
            ]);
            $queue->setup();
        }
        $queue = $queues['default'];
        $queue->push('for default');
        $queue->push('for other', '', ['routing_key' => 'key.other']);
        $queue->push('for third', '', ['headers' => ['x-routing-key' => 'key.third', 'kept' => 'yes']]);
        $queue->pushMany([
            ['name' => 'many other', 'options' => ['routing_key' => 'key.other']],
            ['name' => 'many default'],
            ['name' => 'many third', 'options' => ['routing_key' => 'key.third']],
        ]);

        foreach (['default', 'other', 'third'] as $key) {
            $task = $this->take($queues[$key]);
            self::assertSame("for $key", $task->getName());
            self::assertFalse($task->hasHeader('x-routing-key'), 'it is not sent');
            if ($key === 'third') {
                self::assertSame(['kept' => ['yes']], $task->getHeaders());
            }
            self::assertSame("many $key", $this->take($queues[$key])->getName());
            self::assertSame(0, $queues[$key]->count());
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAnExchangeOfEveryType(string $broker): void
    {
        $at = $this->broker($broker);
        foreach (['direct', 'fanout', 'topic'] as $type) {
            $queue = $this->queue($broker, ['exchange' => $this->exchangeName($at, $type), 'exchange_type' => $type]);
            $queue->push("by $type");
            self::assertSame("by $type", $this->take($queue)->getName());
        }
    }

    /** @return array<string, array{string, string}> */
    public static function names(): array
    {
        $sets = [];
        foreach (self::rabbitMq() as $broker => [$name]) {
            foreach (['a space', 'slash/es/', 'žluťoučký 🐎', '100%', 'a%20b', '~tilde?&=+#:@', "quote'\"\\", '.'] as $part) {
                $sets["$broker, $part"] = [$name, $part];
            }
        }

        return $sets;
    }

    /** @dataProvider names */
    #[DataProvider('names')]
    public function testNamesWithEveryKindOfCharacter(string $broker, string $part): void
    {
        $at = $this->broker($broker);
        $name = $this->owned($at, $part . bin2hex(random_bytes(4)) . $part);
        $peer = new Peer($at);

        $queue = $this->queue($broker, [], $name);
        $queue->push('straight');
        self::assertTrue($peer->hasQueue($name), 'the broker knows the queue by that very name');
        self::assertSame('straight', $this->take($queue)->getName());

        $exchange = $this->exchangeName($at, $part);
        $queue = $this->queue($broker, ['exchange' => $exchange, 'routing_key' => "key $part"], $name);
        $queue->push('through the exchange');
        $queue->push('with the key', '', ['routing_key' => "key $part"]);
        self::assertSame('through the exchange', $this->take($queue)->getName());
        $task = $this->take($queue);
        self::assertSame('with the key', $task->getName());
        self::assertSame($name, $task->getQueue());
        $queue->push('delayed', '', ['delay' => 0.2]);
        self::assertSame('delayed', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testUnroutable(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker, ['exchange' => $this->exchangeName($at), 'routing_key' => 'bound']);
        $queue->push('bound');
        $thrown = $this->thrown(
            UnroutableException::class,
            static fn () => $queue->push('nowhere', '', ['routing_key' => 'nobody-is-bound'])
        );
        self::assertStringContainsString('nobody-is-bound', $thrown->getMessage());
        $queue->push('next');

        self::assertSame('bound', $this->take($queue)->getName());
        self::assertSame('next', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAMissingQueueThatMustNotBeDeclared(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $queue = $this->queue($broker, ['declare' => false], $name);
        $other = $this->queue($broker);
        $other->push('before');

        $thrown = $this->thrown(QueueNotFoundException::class, static fn () => $queue->push('job'));
        self::assertStringContainsString($name, $thrown->getMessage());
        self::assertStringContainsString($at->endpoint(), $thrown->getMessage());
        $thrown = $this->thrown(QueueNotFoundException::class, fn () => $this->consumer($queue)->waitTask(2));
        self::assertStringContainsString($name, $thrown->getMessage());
        $this->thrown(QueueNotFoundException::class, static fn () => $queue->count());

        $other->push('after');
        self::assertSame('before', $this->take($other)->getName());
        self::assertSame('after', $this->take($other)->getName());
        (new Peer($at))->declareQueue($name);
        $queue->push('now it is there');
        self::assertSame('now it is there', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAMissingExchangeThatMustNotBeDeclared(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $exchange = $this->exchangeName($at);
        (new Peer($at))->declareQueue($name);
        $queue = $this->queue($broker, ['declare' => false, 'exchange' => $exchange, 'routing_key' => 'k'], $name);

        $thrown = $this->thrown(QueueNotFoundException::class, static fn () => $queue->push('job'));
        self::assertStringContainsString($exchange, $thrown->getMessage());
        $thrown = $this->thrown(
            QueueNotFoundException::class,
            static fn () => $queue->push('job', '', ['routing_key' => 'other'])
        );
        self::assertStringContainsString($exchange, $thrown->getMessage());
        $straight = $this->queue($broker, ['declare' => false], $name);
        $straight->push('next');
        self::assertSame('next', $this->take($straight)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAFullQueueRejects(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        (new Peer($at))->declareQueue($name, [
            'x-queue-type' => 'classic',
            'x-max-length' => 1,
            'x-overflow' => 'reject-publish',
        ]);
        $queue = $this->queue($broker, [], $name);
        $queue->push('fits');
        $thrown = $this->thrown(RejectedException::class, static function () use ($queue) {
            // Flow control between the queue's process and the channel sometimes lets one more through.
            for ($i = 0; $i < 5; ++$i) {
                $queue->push('does not');
            }
        });
        self::assertStringContainsString($name, $thrown->getMessage());
        $queue->purge();
        $queue->push('next');

        self::assertSame('next', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTooLargeForTheBroker(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('before');
        $large = str_repeat('x', 17 * 1024 * 1024);
        $thrown = $this->thrown(RejectedException::class, static fn () => $queue->push('too large', $large));
        self::assertStringContainsString('16777216', str_replace([',', '_', ' '], '', $thrown->getMessage()));
        $queue->push('after');

        self::assertSame('before', $this->take($queue)->getName());
        self::assertSame('after', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAQueueDeletedUnderTheSenderIsNamed(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $peer = new Peer($at);
        $peer->declareQueue($name);
        $queue = $this->queue($broker, ['declare' => false], $name);
        $queue->push('before');
        $peer->deleteQueue($name);
        usleep(200_000);
        $this->thrown(QueueNotFoundException::class, static fn () => $queue->push('after'));
        $peer->declareQueue($name);
        $queue->push('again');

        self::assertSame('again', $this->take($queue)->getName());
    }
}
