<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use Amqp1\SymfonyMessenger\Stamp\Amqp1ReceivedStamp;
use Amqp1\SymfonyMessenger\Stamp\Amqp1Stamp;
use Amqp1\SymfonyMessenger\Transport;
use Amqp1\SymfonyMessenger\TransportFactory;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Stamp\RedeliveryStamp;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;

/** By a connection string: sessions, and a topic with a subscription. */
final class ServiceBusTest extends TestCase
{
    private ProgramBroker $broker;

    protected function setUp(): void
    {
        $this->broker = ProgramBroker::serviceBus(['--session-queue', 'sessions']);
    }

    protected function tearDown(): void
    {
        $this->broker->stop();
    }

    /** @param array<string, mixed> $options */
    private function transport(array $options): Transport
    {
        return (new TransportFactory())->createTransport($this->broker->connectionString(), $options, new PhpSerializer());
    }

    private static function next(Transport $transport): Envelope
    {
        $deadline = microtime(true) + 15;
        while (microtime(true) < $deadline) {
            foreach ($transport->get() as $envelope) {
                return $envelope;
            }
        }
        self::fail('no message');
    }

    public function testASessionKeepsItsOrder(): void
    {
        $transport = $this->transport(['queue' => 'sessions', 'consumer' => ['session' => true]]);
        foreach ([1, 2, 3] as $number) {
            foreach (['a', 'b'] as $group) {
                $transport->send(new Envelope(new App\Work($number, $group), [new Amqp1Stamp(group: $group)]));
            }
        }
        $numbers = [];
        for ($i = 0; $i < 6; $i++) {
            $envelope = self::next($transport);
            $numbers[$envelope->getMessage()->do][] = $envelope->getMessage()->number;
            $transport->ack($envelope);
        }

        self::assertEquals(['a' => [1, 2, 3], 'b' => [1, 2, 3]], $numbers);
        $transport->close();
    }

    public function testTheBrokerRetriesOnASubscription(): void
    {
        $topic = $this->transport(['queue' => 'orders']);
        $billing = $this->transport(['queue' => 'orders/Subscriptions/billing', 'retry' => 'broker', 'max_attempts' => 2]);
        self::assertSame([], [...$billing->get()], 'it exists from its first use on');
        $topic->send(new Envelope(new App\Work(7)));
        foreach ([1, 2] as $attempt) {
            $envelope = self::next($billing);
            self::assertSame([7, $attempt], [$envelope->getMessage()->number, $envelope->last(Amqp1ReceivedStamp::class)->getAttempts()]);
            // What Messenger does with a message that failed.
            $billing->send($envelope->with(new RedeliveryStamp(1)));
            $billing->reject($envelope);
        }

        self::assertSame([], [...$billing->get()]);
        $failed = $this->transport(['queue' => 'orders/Subscriptions/billing/$DeadLetterQueue']);
        $envelope = self::next($failed);
        self::assertSame('failed', $envelope->last(Amqp1ReceivedStamp::class)->getTask()->getFailure()['reason']);
        $failed->ack($envelope);
    }
}
