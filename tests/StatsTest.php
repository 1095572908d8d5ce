<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use Amqp1\Tests\Support\Peer;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;

/** stats() counts delayed jobs on RabbitMQ 4 at a bounded cost: an index lists the delay queues. */
final class StatsTest extends ContractTestCase
{
    /** The bytes of about ten requests. One request for each possible delay queue would take a hundred times as many. */
    private const A_FEW_REQUESTS = 3000;

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAFewRequestsTellWhatWaitsInDelayQueuesOfEveryProcess(string $broker): void
    {
        $at = $this->broker($broker);
        $exchange = $this->exchangeName($at);
        $proxy = new Proxy($at);
        $options = ['exchange' => $exchange, 'routing_key' => 'key'];
        $queue = new AmqpQueue($proxy->dsn, $name = $this->uniqueName($at), $options);
        $queue->push('now');
        self::assertSame([1, 0, 1], $this->figures($queue), 'without delays');
        $before = $proxy->counts()['up'];
        $queue->stats();
        self::assertLessThan(self::A_FEW_REQUESTS, $proxy->counts()['up'] - $before, 'without delays');

        $push = '$queue = new Amqp1\AmqpQueue($argv[1], $argv[2], json_decode($argv[3], true));'
            . 'foreach ([60, 61, 900, 7200] as $delay) { $queue->push("later", null, ["delay" => $delay]); }';
        Child::run($push, [$at->dsn, $name, json_encode($options)]);
        Child::run($push, [$at->dsn, $name, json_encode($options)]);
        $queue->push('later', null, ['delay' => 900]);
        // A retry bypasses the exchange and goes to the queue itself.
        Child::run($push, [$at->dsn, $name, '{}']);
        $before = $proxy->counts()['up'];
        self::assertSame([14, 13, 1], $this->figures($queue), 'with delays');
        self::assertLessThan(self::A_FEW_REQUESTS, $proxy->counts()['up'] - $before, 'with delays');

        // As if the queue were deleted and created again: waiting jobs are not forgotten.
        (new Peer($at))->deleteQueue($name);
        self::assertSame([13, 13, 0], $this->figures(new AmqpQueue($at->dsn, $name, $options)));
    }

    /**
     * The queue, the delay queues and their index: the permissions that a user needs.
     *
     * @dataProvider rabbitMq
     */
    #[DataProvider('rabbitMq')]
    public function testTheRightsThatAUserNeedsForDelays(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("rabbitmqctl does not reach the user's own broker");
        }
        $name = $this->uniqueName($at);
        $user = 'user-' . bin2hex(random_bytes(4));
        Ctl::run($at, 'add_user', $user, 'secret');
        try {
            $own = "^($name|amqp1\\.delay\\..*)\$";
            Ctl::run($at, 'set_permissions', $user, $own, "^($name|amqp1\\.delay\\..*|amq\\.default)\$", $own);
            $queue = new AmqpQueue($at->withCredentials($user, 'secret'), $name);
            $queue->push('soon', null, ['delay' => 0.5]);
            $queue->push('later', null, ['delay' => 600]);

            self::assertSame('soon', $this->take($queue)->getName());
            self::assertSame([1, 1, 0], $this->figures($queue));
        } finally {
            Ctl::run($at, 'delete_user', $user);
        }
    }

    /** @return array{int, int, int} active, delayed, ready */
    private function figures(AmqpQueue $queue): array
    {
        $stats = $queue->stats();

        return [$stats['active'], $stats['delayed'], $stats['ready']];
    }
}
