<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use PHPUnit\Framework\Attributes\DataProvider;

/** RabbitMQ's virtual hosts: the DSN's path. */
final class VhostTest extends ContractTestCase
{
    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAVirtualHostIsAWorldOfItsOwn(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("rabbitmqctl does not reach the user's own broker");
        }
        $vhost = 'a vhost-' . bin2hex(random_bytes(3));
        Ctl::run($at, 'add_vhost', $vhost);
        try {
            Ctl::run($at, 'set_permissions', '-p', $vhost, 'guest', '.*', '.*', '.*');
            $name = $this->uniqueName($at);
            $there = new AmqpQueue(rtrim($at->dsn, '/') . '/' . rawurlencode($vhost), $name);
            $here = new AmqpQueue($at->dsn, $name);
            $there->push('there');

            self::assertSame([1, 0], [$there->count(), $here->count()]);
            self::assertSame('there', $this->take($there)->getName());
        } finally {
            Ctl::run($at, 'delete_vhost', $vhost);
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAMissingVirtualHostFailsInTime(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = new AmqpQueue(rtrim($at->dsn, '/') . '/no-such-vhost', 'q', ['timeout' => 6, 'redial_timeout' => 1]);
        $start = microtime(true);
        $thrown = $this->thrown(ExceptionInterface::class, static fn () => $queue->push('job'));

        self::assertLessThan(10.0, microtime(true) - $start);
        self::assertStringContainsString($at->endpoint(), $thrown->getMessage());
    }
}
