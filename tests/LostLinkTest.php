<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** A queue is refused or deleted while it is used: its users get a typed exception, and other queues continue. */
final class LostLinkTest extends ContractTestCase
{
    /** @dataProvider everyRabbitMq */
    #[DataProvider('everyRabbitMq')]
    public function testAMissingQueueOfSeveralIsReportedAndTheOthersAreServed(string $broker): void
    {
        $missing = $this->queue($broker, ['declare' => false]);
        [$one, $two] = [$this->queue($broker), $this->queue($broker)];
        $one->push('one');
        $two->push('two');
        $consumer = $this->consumer([$missing, $one, $two]);
        $thrown = $this->thrown(QueueNotFoundException::class, static fn () => $consumer->waitTask(5));
        self::assertStringContainsString($missing->getName(), $thrown->getMessage());

        $names = [];
        for ($try = 0; count($names) < 2 && $try < 6; ++$try) {
            try {
                $names[] = $this->next($consumer)->getName();
            } catch (QueueNotFoundException) { // on a slow machine, it is tried again every few seconds
            }
        }
        sort($names);
        self::assertSame(['one', 'two'], $names);

        // It is tried again, and served once it exists.
        (new AmqpQueue($this->broker($broker)->dsn, $missing->getName()))->push('at last');
        $deadline = microtime(true) + 20;
        do {
            try {
                $task = $consumer->waitTask(10);
            } catch (QueueNotFoundException) {
                $task = null;
            }
        } while ($task === null && microtime(true) < $deadline);
        self::assertSame('at last', $task?->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAQueueDeletedUnderAConsumerIsReportedAndItsNeighbourGoesOn(string $broker): void
    {
        [$deleted, $neighbour] = [$this->queue($broker), $this->queue($broker)];
        $deleted->setup();
        $neighbour->push('before');
        $strict = new AmqpQueue($this->broker($broker)->dsn, $deleted->getName(), ['declare' => false]);
        $consumer = $this->consumer([$strict, $neighbour]);
        $held = $this->next($consumer);
        (new Peer($this->broker($broker)))->deleteQueue($deleted->getName());

        $thrown = $this->thrown(QueueNotFoundException::class, static fn () => $consumer->waitTask(10));
        self::assertMatchesRegularExpression('/resource-deleted|does not exist|not-found|no queue/', $thrown->getMessage());
        self::assertStringContainsString($deleted->getName(), $thrown->getMessage());
        $held->ack(); // its own link is intact
        $neighbour->push('after');
        $task = null;
        for ($try = 0; $task === null && $try < 3; ++$try) {
            try {
                $task = $consumer->waitTask(5);
            } catch (QueueNotFoundException) { // attaching again failed
            }
        }
        self::assertSame('after', $task?->getName());
        self::assertSame(1, $task->getAttempts(), 'its delivery outlived the neighbour\'s end');
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAQueueDeletedUnderADeclaringConsumerIsDeclaredAgain(string $broker): void
    {
        $queue = $this->queue($broker);
        $consumer = $this->consumer($queue);
        self::assertNull($consumer->waitTask(0.1));
        (new Peer($this->broker($broker)))->deleteQueue($queue->getName());
        $this->thrown(QueueNotFoundException::class, static fn () => $consumer->waitTask(10));
        self::assertNull($consumer->waitTask(0.1), 'attached again');
        $queue->push('job');

        self::assertSame('job', $this->next($consumer)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAQueueDeletedUnderAPublisher(string $broker): void
    {
        [$queue, $neighbour] = [$this->queue($broker), $this->queue($broker)];
        $queue->push('before');
        $neighbour->push('before');
        $strict = new AmqpQueue($this->broker($broker)->dsn, $queue->getName(), ['declare' => false]);
        $strict->push('before');
        (new Peer($this->broker($broker)))->deleteQueue($queue->getName());

        $thrown = $this->thrown(QueueNotFoundException::class, static fn () => $strict->push('lost', null, ['id' => 'x']));
        self::assertStringContainsString($queue->getName(), $thrown->getMessage());
        $batch = $this->thrown(BatchException::class, static fn () => $strict->pushMany([['name' => 'a'], ['name' => 'b']]));
        self::assertContainsOnlyInstancesOf(QueueNotFoundException::class, $batch->getFailures());
        self::assertCount(2, $batch->getFailures());
        $neighbour->push('after');
        self::assertSame(2, $neighbour->count());
        $queue->push('declared again');
        self::assertSame(1, $queue->count());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testLinksThatTheBrokerEndsDoNotUseUpTheSessions(string $broker): void
    {
        $missing = $this->queue($broker, ['declare' => false]);
        for ($try = 0; $try < 70; ++$try) { // RabbitMQ allows 64 sessions
            $this->thrown(QueueNotFoundException::class, static fn () => $missing->push('lost'));
        }
        $other = $this->queue($broker);
        $other->push('job');
        self::assertSame(1, $other->count());
    }
}
