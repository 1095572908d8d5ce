<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** A job that was not taken within its ttl is not delivered. The time of its delay does not count. */
final class TtlTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobExpires(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('dies', '', ['ttl' => 0.3]);
        $queue->push('lives', '', ['ttl' => 60]);
        $queue->push('lives without');
        usleep(800_000);
        $consumer = $this->consumer($queue);
        $names = [];
        for ($i = 0; $i < 2; ++$i) {
            $task = $this->next($consumer);
            $names[] = $task->getName();
            $task->ack();
        }
        $this->assertNoTask($consumer);

        self::assertSame(['lives', 'lives without'], $names);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheQueuesTtlIsForJobsThatNameNone(string $broker): void
    {
        $queue = $this->queue($broker, ['ttl' => 0.3]);
        $queue->push('dies');
        $queue->push('lives', '', ['ttl' => 60]);
        usleep(800_000);

        self::assertSame('lives', $this->take($queue)->getName());
        $this->assertNoTask($this->consumer($queue));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheTtlCountsFromTheEndOfTheDelay(string $broker): void
    {
        $queue = $this->queue($broker);
        if ($this->lacks($broker, 'delay', static fn () => $queue->push('job', '', ['delay' => 1, 'ttl' => 1]))) {
            return;
        }
        $queue->push('lives', '', ['delay' => 1.5, 'ttl' => 1]);
        self::assertSame('lives', $this->take($queue)->getName());

        $queue->push('dies', '', ['delay' => 0.5, 'ttl' => 0.3]);
        usleep(2_000_000);
        $this->assertNoTask($this->consumer($queue));
    }
}
