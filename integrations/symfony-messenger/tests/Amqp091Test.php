<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use Amqp1\SymfonyMessenger\Stamp\Amqp1ReceivedStamp;
use Amqp1\SymfonyMessenger\TransportFactory;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Child;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Messenger\Bridge\Amqp\Transport\AmqpReceivedStamp;
use Symfony\Component\Messenger\Bridge\Amqp\Transport\AmqpStamp;
use Symfony\Component\Messenger\Bridge\Amqp\Transport\AmqpTransportFactory;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Stamp\RedeliveryStamp;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;
use Symfony\Component\Messenger\Transport\Serialization\Serializer;
use Symfony\Component\Messenger\Transport\TransportInterface;

/** Symfony's own transport on php-amqp (AMQP 0-9-1) shares a queue with this one, so that producers and workers can be moved one by one. */
final class Amqp091Test extends TestCase
{
    /** @return array<string, array{string}> */
    public static function rabbitMq(): array
    {
        return Brokers::rabbitMq();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testMessagesGoBothWays(string $broker): void
    {
        if ($broker === '') {
            self::markTestSkipped('no RabbitMQ 4');
        }
        foreach ([new PhpSerializer(), new Serializer()] as $serializer) {
            $queue = 'amqp1-symfony-' . bin2hex(random_bytes(6));
            $new = (new TransportFactory())->createTransport(AppTestCase::dsn(Brokers::get($broker)), ['queue' => $queue], $serializer);
            $new->setup();
            $old = $this->old(Brokers::get($broker), $queue, $serializer);

            $new->send(new Envelope(new App\Work(1, 'ok', 'to 0-9-1'), [new RedeliveryStamp(2)]));
            $got = self::next($old);
            self::assertEquals(new App\Work(1, 'ok', 'to 0-9-1'), $got->getMessage());
            self::assertSame(2, $got->last(RedeliveryStamp::class)->getRetryCount());
            self::assertNotNull($got->last(AmqpReceivedStamp::class));
            $old->ack($got);

            $old->send(new Envelope(new App\Work(2, 'ok', 'from 0-9-1'), [new RedeliveryStamp(1), new AmqpStamp($queue, AMQP_NOPARAM, ['priority' => 3])]));
            $got = self::next($new);
            self::assertEquals(new App\Work(2, 'ok', 'from 0-9-1'), $got->getMessage());
            self::assertSame(1, $got->last(RedeliveryStamp::class)->getRetryCount());
            self::assertSame(3, $got->last(Amqp1ReceivedStamp::class)->getTask()->getPriority());
            $new->ack($got);
            self::assertSame([], [...$new->get()]);
            $new->close();
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheBenchmarkRuns(string $broker): void
    {
        if ($broker === '') {
            self::markTestSkipped('no RabbitMQ 4');
        }
        $child = Child::command(
            [dirname(__DIR__, 3) . '/bench/messenger', '--messages=20', '--rounds=1'],
            ['AMQP1_BENCH_RABBITMQ' => Brokers::get($broker)->dsn]
        );
        self::assertSame(0, $child->wait(120), $child->output());

        self::assertSame(5, preg_match_all('/^\| (send|consume), (amqp1|php-amqp|php-amqp unconfirmed) \|( [\d,.]+ \|){4}$/m', $child->output()), $child->output());
    }

    private function old(Broker $broker, string $queue, object $serializer): TransportInterface
    {
        $url = parse_url($broker->dsn);

        return (new AmqpTransportFactory())->createTransport(
            sprintf('amqp://%s:%s@%s:%d/%%2f', $url['user'], $url['pass'], $url['host'], $url['port']),
            [
                // The default exchange, and the queue as it is.
                'exchange' => ['name' => '', 'type' => 'direct', 'default_publish_routing_key' => $queue],
                'queues' => [$queue => ['flags' => AMQP_DURABLE, 'arguments' => ['x-queue-type' => 'quorum']]],
                'auto_setup' => false,
            ],
            $serializer
        );
    }

    private static function next(TransportInterface $transport): Envelope
    {
        $deadline = microtime(true) + 10;
        do {
            foreach ($transport->get() as $envelope) {
                return $envelope;
            }
            usleep(50_000);
        } while (microtime(true) < $deadline);
        self::fail('no message');
    }
}
