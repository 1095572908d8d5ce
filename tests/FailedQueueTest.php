<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** Failed jobs can be inspected and moved back. */
final class FailedQueueTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testJobsAreMovedBackAsIfTheyWereNew(string $broker): void
    {
        $queue = $this->queue($broker);
        $ids = $this->bury($queue, 5);
        $this->assertJobs(5, $queue->failed());

        self::assertSame(5, $queue->retryFailed());
        $this->assertJobs(0, $queue->failed());
        $consumer = $this->consumer($queue);
        $back = [];
        for ($i = 0; $i < 5; ++$i) {
            $task = $this->next($consumer);
            self::assertSame(1, $task->getAttempts());
            self::assertNull($task->getFailure());
            self::assertSame(['n' => [(string) count($back)]], $task->getHeaders());
            $back[] = $task->getId();
            $task->ack();
        }
        self::assertSame($ids, $back);
        $this->assertNoTask($consumer);
        self::assertSame(0, $queue->retryFailed());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testNoMoreThanAskedForAreMoved(string $broker): void
    {
        $queue = $this->queue($broker);
        $ids = $this->bury($queue, 5);

        self::assertSame(0, $queue->retryFailed(0));
        self::assertSame(2, $queue->retryFailed(2));
        $this->assertJobs(3, $queue->failed());
        $this->assertIds(array_slice($ids, 0, 2), $queue);
        self::assertSame(3, $queue->retryFailed(100));
        $this->assertIds(array_slice($ids, 2), $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testJobsAreMovedByTheirIds(string $broker): void
    {
        $queue = $this->queue($broker);
        $ids = $this->bury($queue, 6);

        self::assertSame(0, $queue->retryFailed(null, []), 'no ids are no jobs');
        self::assertSame(2, $queue->retryFailed(null, [$ids[4], 'no-such-job', $ids[1]]));
        $this->assertIds([$ids[1], $ids[4]], $queue);
        // The others stay where they were, and no attempt is counted.
        $this->assertJobs(4, $queue->failed());
        self::assertSame(1, $this->take($queue->failed())->getFailure()['attempts']);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEachGoesBackToTheQueueItCameFrom(string $broker): void
    {
        $graveyard = $this->uniqueName($this->broker($broker), 'graveyard');
        $one = $this->queue($broker, ['failed_queue' => $graveyard]);
        $two = $this->queue($broker, ['failed_queue' => $graveyard]);
        $ofOne = $this->bury($one, 2);
        $ofTwo = $this->bury($two, 2);
        self::assertSame($graveyard, $one->failed()->getName());

        self::assertSame(4, $one->retryFailed());
        $this->assertIds($ofOne, $one);
        $this->assertIds($ofTwo, $two);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testMoreThanARoundOfThemInOrder(string $broker): void
    {
        $queue = $this->queue($broker);
        $ids = $this->bury($queue, 600);

        self::assertSame(600, $queue->retryFailed());
        $this->assertIds($ids, $queue);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAJobThatFailsAgainMeanwhileStays(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $this->bury($queue, 300);
        $child = Child::php('
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]), ["max_attempts" => 1]);
            echo "ready\n";
            while ($task = $consumer->waitTask(3)) { $task->nack("still"); }
            echo "done\n";
        ', [$at->dsn, $queue->getName()]);
        $child->waitFor('ready');

        self::assertSame(300, $queue->retryFailed());
        $child->waitFor('done', 30);
        $this->assertJobs(300, $queue->failed());
    }

    /**
     * On a host whose clock is ahead: a failure in the future cannot be recognised as new.
     *
     * @dataProvider everyRabbitMq
     */
    #[DataProvider('everyRabbitMq')]
    public function testAJobThatFailedInTheFutureIsMovedOnce(string $broker): void
    {
        $queue = $this->queue($broker);
        $failed = $this->queue($broker, ['format' => 'raw', 'failed_queue' => 'none'], $queue->failed()->getName());
        foreach (['ahead-1' => 'x', 'ahead-2' => 'y', 'ahead-1 ' => 'again'] as $id => $payload) {
            $failed->push('job', ['header' => ['rr_id' => trim($id), 'rr_job' => 'job', 'dead_letter' => [
                'reason' => 'failed', 'failed_at' => (time() + 600) * 1000, 'original_queue' => $queue->getName(), 'attempts' => 1,
            ]], 'body' => $payload]);
        }

        self::assertSame(2, $queue->retryFailed());
        $this->assertIds(['ahead-1', 'ahead-2'], $queue);
        self::assertSame('again', $this->take($failed)->getPayload(), 'it has failed again meanwhile');
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAProcessKilledWhileItMovesThemLosesNothing(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $ids = $this->bury($queue, 400);
        for ($kill = 0; $kill < 6; ++$kill) {
            $child = Child::php('
                echo "ready\n";
                (new Amqp1\AmqpQueue($argv[1], $argv[2]))->retryFailed();
            ', [$at->dsn, $queue->getName()]);
            $child->waitFor('ready');
            usleep(random_int(0, 40_000));
            $child->signal(SIGKILL);
            $child->wait();
        }
        if (!$at->supports('locks-of-a-connection')) {
            sleep(6); // the killed process had jobs in hand
        }
        $queue->retryFailed();

        $consumer = $this->consumer($queue, ['prefetch' => 500]);
        $back = [];
        while ($task = $consumer->waitTask(1)) {
            $back[$task->getId()] = true;
            $task->ack();
        }
        self::assertEqualsCanonicalizing($ids, array_keys($back));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheQueuesOwnDeadLetterQueue(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker), 'dead');
        $queue = $this->queue($broker, [
            'dead_letter_exchange' => '', 'dead_letter_routing_key' => $name,
            'failed_queue' => '@dead-letter', 'max_attempts' => 1,
        ]);
        $queue->failed()->setup(); // otherwise, the broker drops jobs that expire before
        $id = $queue->push('job');
        $queue->push('expires', null, ['ttl' => 0.2]);
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $this->next($consumer)->nack('no');
        $consumer->close();
        usleep(300_000);
        self::assertNull($queue->reserve());

        // Jobs that the broker dead-lettered itself are there too.
        $dead = $queue->failed();
        self::assertSame($name, $dead->getName());
        $failures = [];
        foreach (range(1, 2) as $_) {
            $task = $dead->reserve(10);
            $failures[$task->getName()] = $task->getFailure();
            $task->ack();
        }
        self::assertSame(['failed', 'no'], [$failures['job']['reason'], $failures['job']['error']]);
        self::assertSame(['expired', $queue->getName()], [$failures['expires']['reason'], $failures['expires']['queue']]);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testThereMayBeNoFailedQueueYet(string $broker): void
    {
        self::assertSame(0, $this->queue($broker)->retryFailed());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAFailedQueueThatMustExist(string $broker): void
    {
        $queue = $this->queue($broker, ['declare' => false]);
        $thrown = $this->thrown(QueueNotFoundException::class, static fn () => $queue->retryFailed());
        self::assertStringContainsString($queue->getName() . '.failed', $thrown->getMessage());
    }

    public function testWrongParametersAreRefused(): void
    {
        $queue = new AmqpQueue('embedded://failed', 'q');
        foreach ([[-1], [null, ['']], [null, [[]]]] as $parameters) {
            $this->thrown(ConfigException::class, static fn () => $queue->retryFailed(...$parameters));
        }
        foreach (
            [
                'is not configured' => [],
                'leads back' => ['dead_letter_exchange' => ''],
                "exchange 'x'" => ['dead_letter_exchange' => 'x', 'dead_letter_routing_key' => 'y'],
            ] as $says => $options
        ) {
            $make = static fn () => new AmqpQueue('embedded://failed', 'q', ['failed_queue' => '@dead-letter'] + $options);
            $thrown = $this->thrown(UnsupportedException::class, $make);
            self::assertStringContainsString($says, $thrown->getMessage());
        }
    }

    /** @return list<string> the ids of the jobs in the failed queue */
    private function bury(AmqpQueue $queue, int $count): array
    {
        $jobs = [];
        for ($i = 0; $i < $count; ++$i) {
            $jobs[] = ['name' => 'job', 'payload' => ['n' => $i], 'options' => ['headers' => ['n' => $i]]];
        }
        $ids = $queue->pushMany($jobs);
        $consumer = $this->consumer($queue, ['prefetch' => 100, 'max_attempts' => 3, 'backoff' => 0]);
        for ($i = 0; $i < $count; ++$i) {
            $task = $this->next($consumer);
            $task->deadLetter('failed', 'no');
        }
        $consumer->close();

        return $ids;
    }

    private function assertIds(array $ids, AmqpQueue $queue): void
    {
        $consumer = $this->consumer($queue, ['prefetch' => 100]);
        $there = [];
        while (count($there) < count($ids) && $task = $consumer->waitTask(10)) {
            $there[] = $task->getId();
            $task->ack();
        }
        self::assertSame($ids, $there);
        $this->assertNoTask($consumer);
        $consumer->close();
    }
}
