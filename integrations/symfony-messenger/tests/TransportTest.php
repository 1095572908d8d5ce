<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use Amqp1\AmqpQueue;
use Amqp1\SymfonyMessenger\Stamp\Amqp1ReceivedStamp;
use Amqp1\SymfonyMessenger\Stamp\Amqp1Stamp;
use Amqp1\SymfonyMessenger\Transport;
use Amqp1\SymfonyMessenger\TransportFactory;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Brokers;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Exception\InvalidArgumentException;
use Symfony\Component\Messenger\Exception\LogicException;
use Symfony\Component\Messenger\Exception\TransportException;
use Symfony\Component\Messenger\Stamp\DelayStamp;
use Symfony\Component\Messenger\Stamp\RedeliveryStamp;
use Symfony\Component\Messenger\Stamp\TransportMessageIdStamp;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;
use Symfony\Component\Messenger\Transport\Serialization\Serializer;

/** The transport by itself, on every broker. */
final class TransportTest extends TestCase
{
    private Broker $broker;

    /** @return array<string, array{string}> */
    public static function brokers(): array
    {
        return Brokers::all();
    }

    /** @param array<string, mixed> $options */
    private function transport(string $broker, array $options = [], bool $json = false): Transport
    {
        $this->broker = Brokers::get($broker);
        if (!isset($options['queues']) && !isset($options['queue'])) {
            $options['queue'] = 'amqp1-symfony-' . bin2hex(random_bytes(6));
        }
        if (!$this->broker->supports('queue-options')) {
            unset($options['exchange'], $options['exchange_type']);
        }

        return (new TransportFactory())->createTransport(
            AppTestCase::dsn($this->broker),
            $options,
            $json ? new Serializer() : new PhpSerializer()
        );
    }

    private static function id(Envelope $envelope): string
    {
        self::assertCount(1, $envelope->all(TransportMessageIdStamp::class));

        return $envelope->last(TransportMessageIdStamp::class)->getId();
    }

    private static function next(Transport $transport): Envelope
    {
        $deadline = microtime(true) + 15;
        do {
            foreach ($transport->get() as $envelope) {
                return $envelope;
            }
            usleep(20_000);
        } while (microtime(true) < $deadline);
        self::fail('no message');
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAllThatIsSentArrivesAndStaysInARetry(string $broker): void
    {
        foreach ([false, true] as $json) {
            $transport = $this->transport($broker, [], $json);
            $sent = $transport->send(new Envelope(new App\Work(7, 'ok', 'body'), [new Amqp1Stamp(
                priority: 6,
                group: 'customer-7',
                headers: ['tenant' => 'company-a'],
                properties: ['correlation_id' => 'c-1', 'reply_to' => 'answers'],
                annotations: ['x-opt-tenant' => 'a'],
            )]));
            $first = self::next($transport);
            self::assertEquals(new App\Work(7, 'ok', 'body'), $first->getMessage());
            self::assertSame(self::id($sent), self::id($first));
            $retried = $transport->send($first->with(new RedeliveryStamp(1), new DelayStamp(0)));
            $transport->reject($first);
            $second = self::next($transport);
            self::assertSame(self::id($retried), self::id($second));
            self::assertSame(1, $second->last(RedeliveryStamp::class)->getRetryCount());

            foreach ([$first, $second] as $envelope) {
                $received = $envelope->last(Amqp1ReceivedStamp::class);
                $task = $received->getTask();
                $properties = $task->getProperties();
                self::assertSame(1, $received->getAttempts());
                self::assertSame($task->getQueue(), $received->getQueueName());
                self::assertStringContainsString($received->getQueueName(), $received->getSource());
                self::assertSame(
                    [6, 'customer-7', ['company-a'], 'c-1', 'a', $json ? 'application/json' : 'application/octet-stream'],
                    [$task->getPriority(), $task->getGroup(), $task->getHeader('tenant'), $properties['correlation_id'],
                        $task->getAnnotations()['x-opt-tenant'], $properties['content_type']]
                );
                self::assertStringContainsString('answers', $properties['reply_to']);
            }
            $transport->ack($second);
            self::assertSame([], [...$transport->get()]);
            $transport->close();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testGetDoesNotBlockAndTakesOneAfterTheOther(string $broker): void
    {
        $transport = $this->transport($broker);
        if ($this->broker->supports('management')) {
            $transport->setup();
        }
        $since = microtime(true);
        self::assertSame([], [...$transport->get()]);
        self::assertLessThan(3, microtime(true) - $since);
        for ($i = 1; $i <= 5; $i++) {
            $transport->send(new Envelope(new App\Work($i)));
        }
        $numbers = [];
        foreach ($transport->get(3) as $envelope) {
            $numbers[] = $envelope->getMessage()->number;
            $transport->ack($envelope);
        }
        self::assertSame([1, 2, 3], $numbers);
        $transport->close();
        self::assertContains(self::next($transport)->getMessage()->number, [4, 5], 'it can be used after close()');
        $transport->close();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testMessagesAreListedAndFoundById(string $broker): void
    {
        $transport = $this->transport($broker);
        self::assertSame([], [...$transport->all()], 'of a queue that is not there yet');
        self::assertNull($transport->find('nothing'));
        $ids = [];
        for ($i = 1; $i <= 5; $i++) {
            $ids[$i] = self::id($transport->send(new Envelope(new App\Work($i))));
        }
        $listed = [...$transport->all()];
        self::assertSame(array_values($ids), array_map(self::id(...), $listed));
        self::assertCount(2, [...$transport->all(2)]);

        $found = $transport->find($ids[3]);
        self::assertSame(3, $found->getMessage()->number);
        unset($found); // as messenger:failed:show does
        self::assertNull($transport->find('nothing'));
        $transport->ack($transport->find($ids[3]));
        $transport->reject($listed[4]);
        self::assertNull($transport->find($ids[3]));
        // RabbitMQ 4.0 turns the order round when messages are given back.
        $left = [$ids[1], $ids[2], $ids[4]];
        sort($left);
        $this->assertSameIn($left, static function () use ($transport): array {
            $found = array_map(self::id(...), [...$transport->all()]);
            sort($found);

            return $found;
        });
        $this->expectException(LogicException::class);
        $transport->ack($listed[4]);
    }

    /** Brokers give back in their own time. */
    private function assertSameIn(array $expected, callable $actual): void
    {
        $deadline = microtime(true) + 10;
        while (($found = $actual()) !== $expected && microtime(true) < $deadline) {
            usleep(100_000);
        }
        self::assertSame($expected, $found);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSeveralQueues(string $broker): void
    {
        $queue = 'amqp1-symfony-' . bin2hex(random_bytes(6));
        $transport = $this->transport($broker, ['queues' => ["$queue-a" => null, "$queue-b" => ['prefetch' => 3]]]);
        $transport->send(new Envelope(new App\Work(1)));
        $transport->send(new Envelope(new App\Work(2), [new Amqp1Stamp(queue: "$queue-b")]));
        if ($this->broker->supports('management')) {
            $this->assertSameIn([2], static fn () => [$transport->getMessageCount()]);
        }
        $numbers = [];
        foreach (["$queue-b", "$queue-a"] as $name) {
            foreach ($transport->getFromQueues([$name]) as $envelope) {
                self::assertSame($name, $envelope->last(Amqp1ReceivedStamp::class)->getQueueName());
                $numbers[] = $envelope->getMessage()->number;
                $transport->ack($envelope);
            }
        }
        self::assertSame([2, 1], $numbers);
        foreach ([fn () => [...$transport->getFromQueues(['other'])], fn () => $transport->send(new Envelope(new App\Work(), [new Amqp1Stamp(queue: 'other')]))] as $wrong) {
            try {
                $wrong();
                self::fail('no exception');
            } catch (InvalidArgumentException $e) {
                self::assertSame("The transport has no queue \"other\"; it has \"$queue-a\", \"$queue-b\".", $e->getMessage());
            }
        }
        $transport->close();
    }

    /** @return array<string, array{string}> */
    public static function rabbitMq(): array
    {
        return Brokers::rabbitMq();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testARetryReachesOnlyTheQueueThatItCameFrom(string $broker): void
    {
        if ($broker === '') {
            self::markTestSkipped('no RabbitMQ');
        }
        $name = 'amqp1-symfony-' . bin2hex(random_bytes(6));
        $transport = $this->transport($broker, ['exchange' => $name, 'exchange_type' => 'fanout', 'queues' => ["$name-a", "$name-b"]]);
        $transport->setup();
        $transport->send(new Envelope(new App\Work(1)));
        [$a] = [...$transport->getFromQueues(["$name-a"])];
        [$b] = [...$transport->getFromQueues(["$name-b"])];
        $transport->ack($b);
        $transport->send($a->with(new RedeliveryStamp(1)));
        $transport->reject($a);
        [$again] = [...$transport->getFromQueues(["$name-a"])];
        $transport->ack($again);

        self::assertSame([], [...$transport->getFromQueues(["$name-b"])], 'nothing came to the other queue');
    }

    /** Messenger rejects a message that is retried, and newer versions acknowledge it; neither may lose it. */
    public function testTheBrokerRetriesWhateverMessengerCalls(): void
    {
        $transport = $this->transport('embedded', ['retry' => 'broker', 'max_attempts' => 3, 'backoff' => 0]);
        $transport->send(new Envelope(new App\Work(1)));
        foreach (['reject', 'ack'] as $attempt => $method) {
            [$envelope] = [...$transport->get()];
            self::assertSame($attempt + 1, $envelope->last(Amqp1ReceivedStamp::class)->getAttempts());
            $transport->send($envelope->with(new RedeliveryStamp($attempt + 1)));
            $transport->$method($envelope);
        }
        [$last] = [...$transport->get()];
        self::assertSame(3, $last->last(Amqp1ReceivedStamp::class)->getAttempts());
        $transport->ack($last);
        self::assertSame([], [...$transport->get()]);
        self::assertSame(0, $transport->getMessageCount());
    }

    public function testARoutingKeyLeadsToItsQueue(): void
    {
        $transport = $this->transport('embedded', [
            'exchange' => 'orders', 'exchange_type' => 'topic',
            'queues' => ['created' => ['bindings' => ['order.created']], 'all' => ['bindings' => ['order.#']]],
        ]);
        $transport->setup();
        $transport->send(new Envelope(new App\Work(1), [new Amqp1Stamp(routingKey: 'order.paid')]));
        $transport->send(new Envelope(new App\Work(2), [new Amqp1Stamp(routingKey: 'order.created')]));
        $got = [];
        foreach (['created', 'all'] as $queue) {
            foreach ($transport->getFromQueues([$queue], 10) as $envelope) {
                $got[$queue][] = $envelope->getMessage()->number;
                $transport->ack($envelope);
            }
        }

        self::assertSame(['created' => [2], 'all' => [1, 2]], $got);
    }

    public function testErrorsAreTheTransports(): void
    {
        $transport = (new TransportFactory())->createTransport('amqp1://127.0.0.1:1/?timeout=2', [], new PhpSerializer());
        foreach ([
            fn () => $transport->send(new Envelope(new App\Work())), fn () => [...$transport->get()], $transport->getMessageCount(...),
            $transport->setup(...), fn () => [...$transport->all()], fn () => $transport->find('x'),
        ] as $call) {
            try {
                $call();
                self::fail('no exception');
            } catch (TransportException $e) {
                self::assertStringContainsString('127.0.0.1:1', $e->getMessage());
                self::assertInstanceOf(\Amqp1\Exception\ExceptionInterface::class, $e->getPrevious());
            }
        }
        $this->expectException(LogicException::class);
        $this->expectExceptionMessage('No "Amqp1ReceivedStamp" stamp found on the Envelope.');
        $transport->ack(new Envelope(new App\Work()));
    }

    public function testALostMessageIsAnError(): void
    {
        $transport = $this->transport('embedded');
        $transport->send(new Envelope(new App\Work()));
        [$envelope] = [...$transport->get()];
        $transport->close();

        $this->expectException(TransportException::class);
        $transport->ack($envelope);
    }

    public function testKeepaliveRenewsTheLock(): void
    {
        $transport = (new TransportFactory())->createTransport('embedded://keepalive?dialect=servicebus', ['max_lock_renewal' => 0], new PhpSerializer());
        $transport->send(new Envelope(new App\Work()));
        [$envelope] = [...$transport->get()];
        $task = $envelope->last(Amqp1ReceivedStamp::class)->getTask();
        $until = $task->getLockedUntil();
        usleep(200_000);
        $transport->keepalive($envelope, 60);

        self::assertGreaterThan($until->modify('+150 milliseconds'), $task->getLockedUntil());
        $transport->ack($envelope);
    }

    public function testItSharesTheQueueOfTheExtension(): void
    {
        $transport = $this->transport('embedded', ['queue' => 'shared']);
        $transport->send(new Envelope(new App\Work(3)));
        $task = (new AmqpQueue($this->broker->dsn, 'shared'))->reserve(1);

        self::assertSame([App\Work::class, 'raw'], [$task->getName(), $task->getFormat()]);
        $task->ack();
    }
}
