<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use PHPUnit\Framework\Attributes\Group;

/**
 * A job longer than the broker's idle timeout (4 s for the test brokers) loses neither connection nor job.
 *
 * @group alone
 */
#[Group('alone')]
final class HeartbeatTest extends ContractTestCase
{
    public function testConnectionsOutliveALongBusyJob(): void
    {
        // One long job for all brokers at once, to wait ten seconds only once.
        $held = $connections = [];
        foreach (Brokers::names() as $broker) {
            $queue = $this->queue($broker, ['heartbeat' => 4]);
            $queue->push('long');
            $queue->push('second');
            $consumer = $this->consumer($queue, ['prefetch' => 1]);
            $held[$broker] = [$queue, $consumer, $this->next($consumer)];
            $connections[$broker] = $this->connections($broker);
        }

        $end = microtime(true) + 10;
        while (microtime(true) < $end) {
            // busy, without a call into the extension
        }

        foreach ($held as $broker => [$queue, $consumer, $task]) {
            $task->ack(); // TaskLostException if the connection had died
            $second = $this->next($consumer);
            self::assertSame('second', $second->getName(), "$broker: the job was not delivered again");
            self::assertSame(1, $second->getAttempts(), $broker);
            $second->ack();
            $queue->push('after'); // on the publishing connection, which was idle as long
            self::assertSame('after', $this->next($consumer)->getName(), $broker);
            self::assertSame($connections[$broker], array_intersect($connections[$broker], $this->connections($broker)), "$broker: the same connections");
        }
    }

    /** @return list<string> the process ids the broker gives its connections */
    private function connections(string $broker): array
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            return [];
        }

        return array_column(Ctl::table($at, 'list_connections', 'pid'), 0);
    }
}
