<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\ConfigException;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** Pull style: one job at a time, without a standing consumer. */
final class ReserveTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOneJobAfterTheOther(string $broker): void
    {
        $queue = $this->queue($broker);
        self::assertNull($queue->reserve());
        foreach (['first', 'second', 'third'] as $name) {
            $queue->push($name);
        }
        foreach (['first', 'second', 'third'] as $name) {
            $task = $queue->reserve();
            self::assertSame($name, $task?->getName());
            $task->ack();
        }
        self::assertNull($queue->reserve());
        self::assertNull($queue->reserve(0.2));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testNoMoreThanOneJobIsLockedAndNoConsumerStays(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('first');
        $queue->push('second');
        $task = $queue->reserve();
        self::assertSame('first', $task?->getName());
        // The other job is available to everyone. Service Bus also counts locked jobs.
        $isServiceBus = $this->broker($broker)->isServiceBus();
        $this->assertJobs($isServiceBus ? 2 : 1, $queue);
        self::assertSame('second', $this->take($queue)->getName());

        $task->ack();
        unset($task);
        $tells = $this->broker($broker)->supports('management') && !$isServiceBus;
        if ($tells) {
            $this->eventually(static fn () => $queue->stats()['consumers'] === 0, 'no consumer');
        }
        self::assertNull($queue->reserve());
        if ($tells) {
            $this->eventually(static fn () => $queue->stats()['consumers'] === 0, 'no consumer');
        }
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testItIsSettledInAllFourWays(string $broker): void
    {
        $queue = $this->queue($broker, ['backoff' => $this->broker($broker)->supports('delay') ? 0.3 : 0]);
        $queue->push('job');
        $queue->reserve()->release();
        $task = $queue->reserve(10);
        self::assertSame(2, $task->getAttempts());
        $task->nack('try again');
        unset($task);
        $task = $queue->reserve(10);
        self::assertSame(3, $task->getAttempts());
        $task->deadLetter('failed');
        self::assertNull($queue->reserve());
        $task = $queue->failed()->reserve(10);
        self::assertSame('failed', $task->getFailure()['reason']);
        $task->ack();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobThatIsForgottenComesAgain(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('job');
        self::assertSame($id, $queue->reserve()?->getId());
        // Its task is gone, and so is its link.
        self::assertSame($id, $queue->reserve(10)?->getId());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testItWaitsForAJobThatIsToCome(string $broker): void
    {
        $queue = $this->queue($broker);
        if ($this->lacks($broker, 'delay', static fn () => $queue->push('job', null, ['delay' => 0.7]))) {
            return;
        }
        $queue->push('job', null, ['delay' => 0.7]);
        $start = microtime(true);
        $task = $queue->reserve(10);

        self::assertNotNull($task);
        self::assertGreaterThanOrEqual(0.65, microtime(true) - $start);
        $task->ack();
        $start = microtime(true);
        self::assertNull($queue->reserve(0.4));
        self::assertGreaterThanOrEqual(0.35, microtime(true) - $start);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAQueueThatIsNotThere(string $broker): void
    {
        $queue = $this->queue($broker, ['declare' => false]);
        $this->thrown(QueueNotFoundException::class, static fn () => $queue->reserve());
        $this->thrown(ConfigException::class, static fn () => $queue->reserve(-1));
    }
}
