<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\TaskLostException;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;

/**
 * A broker crashes (kill -9) and comes back: confirmed jobs are still there, and clients recover by themselves.
 *
 * @group alone
 */
#[Group('alone')]
final class BrokerRestartTest extends ContractTestCase
{
    /**
     * `make soak` does it under load.
     *
     * @dataProvider newestRabbitMq
     */
    #[DataProvider('newestRabbitMq')]
    public function testACrashLosesNothingThatWasConfirmed(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("the user's own broker is not ours to kill");
        }
        $queue = $this->queue($at->name, ['timeout' => 60]);
        $ids = $queue->pushMany(array_fill(0, 300, ['name' => 'before']));
        $consumer = $this->consumer($queue);
        $held = $this->next($consumer);
        // RabbitMQ persists the names of new quorum queues late. If it is killed within a queue's first second, it
        // starts an empty queue ("configured member … was not found on this node. Starting member as a new one").
        sleep(3);
        Ctl::broker($at, 'kill');
        try {
            $this->thrown(TaskLostException::class, static function () use ($held): void {
                usleep(200000);
                $held->ack();
            });
        } finally {
            Ctl::broker($at, 'start');
        }
        $ids[] = $queue->push('after'); // a queue's leader is elected while it waits
        $done = [];
        while (count($done) < 301) {
            $task = $this->next($consumer, 20);
            $done[$task->getId()] = true;
            $task->ack();
        }

        self::assertSame([], array_diff($ids, array_keys($done)));
    }

    /** @return array<string, array{string}> */
    public static function others(): array
    {
        return Brokers::others();
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testACrashOfAnotherBrokerLosesNothingThatWasConfirmed(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::owns($at)) {
            self::markTestSkipped("the user's own broker is not ours to kill");
        }
        $queue = $this->queue($broker, ['timeout' => 60]);
        $ids = $queue->pushMany(array_fill(0, 300, ['name' => 'before']));
        if ($at->supports('delay')) {
            $ids[] = $queue->push('delayed', null, ['delay' => 3]);
        }
        $consumer = $this->consumer($queue);
        $held = $this->next($consumer);
        Ctl::broker($at, 'kill');
        try {
            $this->thrown(TaskLostException::class, static function () use ($held): void {
                sleep(1);
                $held->ack();
            });
        } finally {
            Ctl::broker($at, 'start');
        }
        $ids[] = $queue->push('after');
        $done = [];
        while (count($done) < count($ids)) {
            $task = $this->next($consumer, 20);
            $done[$task->getId()] = true;
            $task->ack();
        }
        self::assertSame([], array_diff($ids, array_keys($done)));
    }
}
