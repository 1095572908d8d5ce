<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\RawSender;
use PHPUnit\Framework\Attributes\DataProvider;

/** Brokers whose addresses become queues or topics, as a link asks for, and a broker without a dialect. */
final class ActiveMqTest extends ContractTestCase
{
    /** @return array<string, array{string}> */
    public static function others(): array
    {
        return Brokers::others();
    }

    /** @return array<string, array{string}> */
    public static function activeMq(): array
    {
        return Brokers::activeMq();
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testAJobThatWasPushedBeforeAnyConsumerIsKept(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('early', ['n' => 1], ['priority' => 7, 'headers' => ['a' => 'b']]);
        $ids = $queue->pushMany(array_fill(0, 50, ['name' => 'early']));

        $task = $this->take($queue);
        self::assertSame([$id, 'early', ['n' => 1], 7, 'b', 1], [$task->getId(), $task->getName(), $task->getPayload(),
            $task->getPriority(), $task->getHeaderLine('a'), $task->getAttempts()]);
        self::assertSame($ids, $this->drained($queue));
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testThreeConsumersShareTheJobsInsteadOfGettingEachACopy(string $broker): void
    {
        $queue = $this->queue($broker);
        $consumers = [];
        for ($n = 0; $n < 3; $n++) {
            $consumers[] = $this->consumer(new AmqpQueue($this->broker($broker)->dsn, $queue->getName()), ['prefetch' => 2]);
            $consumers[$n]->waitTask(0.05);
        }
        $ids = $queue->pushMany(array_fill(0, 60, ['name' => 'one']));
        $taken = [];
        for ($silent = 0; $silent < 9;) {
            foreach ($consumers as $n => $consumer) {
                $task = $consumer->waitTask(0.1);
                $silent = $task === null ? $silent + 1 : 0;
                if ($task !== null) {
                    $taken[] = $task->getId();
                    $task->ack();
                }
            }
        }
        sort($ids);
        sort($taken);
        self::assertSame($ids, $taken);
    }

    /** @return array<string, array{string}> */
    public static function artemis(): array
    {
        return array_intersect_key(self::others(), ['artemis' => true]) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider artemis */
    #[DataProvider('artemis')]
    public function testAnAddressThatIsATopicIsRefusedInsteadOfLosingJobs(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        // A link that does not ask for a queue turns its address into a topic.
        RawSender::send($at, $name, RawSender::section(0x77, RawSender::string('to nobody')));
        $queue = new AmqpQueue($at->dsn, "/queues/$name", ['timeout' => 10]);
        $since = microtime(true);
        foreach ([
            static fn () => $queue->push('lost'),
            static fn () => (new AmqpQueue($at->dsn, 'other'))->push('lost', null, ['routing_key' => "/queues/$name"]),
            static fn () => (new Consumer($queue))->waitTask(5),
            static fn () => $queue->setup(),
        ] as $do) {
            self::assertStringContainsString('topic', $this->thrown(UnsupportedException::class, $do)->getMessage());
        }
        self::assertLessThan(5, microtime(true) - $since, 'at once');
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testAJobThatFailsIsTriedAgainAndThenInTheFailedQueue(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 12, 'backoff' => 0]);
        $id = $queue->push('fails');
        $consumer = $this->consumer($queue);
        // More often than Artemis delivers a message before it moves it to its dead-letter address (ten times).
        for ($attempt = 1; $attempt <= 12; $attempt++) {
            $task = $this->next($consumer);
            self::assertSame([$id, $attempt], [$task->getId(), $task->getAttempts()]);
            $task->nack("attempt $attempt");
        }
        $this->assertNoTask($consumer);
        $failed = $queue->failed()->reserve(5);
        self::assertNotNull($failed);
        self::assertSame('attempt 12', $failed->getFailure()['error']);
        $failed->release();
        self::assertSame(1, $queue->retryFailed());
        self::assertSame([$id, 1], [($task = $this->next($consumer))->getId(), $task->getAttempts()]);
        $task->ack();
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testADelayIsKeptOrRefused(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 2, 'backoff' => 1.5]);
        if ($this->lacks($broker, 'delay', static fn () => $queue->push('late', null, ['delay' => 1]))) {
            return;
        }
        $since = microtime(true);
        $queue->push('late', null, ['delay' => 1.5, 'ttl' => 6]);
        $queue->push('soon');
        $consumer = $this->consumer($queue);
        self::assertSame('soon', ($soon = $this->next($consumer))->getName());
        self::assertLessThan(1.4, microtime(true) - $since);
        $soon->ack();
        $late = $this->next($consumer);
        self::assertSame('late', $late->getName());
        self::assertGreaterThan(1.45, microtime(true) - $since);
        $since = microtime(true);
        $late->nack('once more');
        $again = $this->next($consumer);
        self::assertSame(['late', 2], [$again->getName(), $again->getAttempts()]);
        self::assertGreaterThan(1.45, microtime(true) - $since);
        $again->ack();
        // A TTL counts from the end of the delay.
        $queue->push('short', null, ['delay' => 1.5, 'ttl' => 1]);
        self::assertSame('short', ($short = $this->next($consumer))->getName());
        $short->ack();
    }

    /** @dataProvider activeMq */
    #[DataProvider('activeMq')]
    public function testFiguresPurgeAndSetup(string $broker): void
    {
        $queue = $this->queue($broker);
        self::assertSame(0, $queue->count());
        $queue->setup();
        $queue->pushMany(array_fill(0, 5, ['name' => 'ready']));
        $queue->push('delayed', null, ['delay' => 60]);
        $consumer = $this->consumer($queue, ['prefetch' => 2]);
        $held = $this->next($consumer);
        $artemis = $broker === 'artemis';
        $this->eventually(static fn () => $queue->stats()['reserved'] === 2, 'two are reserved');
        $stats = $queue->stats();
        self::assertSame([3, 2, 1, $artemis ? 1 : null, $artemis ? 6 : 5], [$stats['ready'], $stats['reserved'], $stats['consumers'],
            $stats['delayed'], $stats['active']]);
        self::assertSame(3, $queue->count());
        self::assertSame($artemis ? 'artemis' : 'activemq', $stats['broker']['dialect']);
        if (!$artemis) {
            self::assertStringContainsString('purge()', $this->thrown(UnsupportedException::class, static fn () => $queue->purge())->getMessage());

            return;
        }
        // Delayed jobs too.
        self::assertSame(4, $queue->purge());
        $held->ack();
        $consumer->close();
        $missing = $this->queue($broker, ['declare' => false]);
        $this->thrown(QueueNotFoundException::class, static fn () => $missing->count());
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testWhatWasGivenBackUnseenHasNotBeenTried(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_fill(0, 5, ['name' => 'job']));
        for ($round = 0; $round < 3; $round++) {
            $consumer = $this->consumer($queue, ['prefetch' => 5]);
            $task = $this->next($consumer);
            self::assertSame(1, $task->getAttempts(), "round $round");
            $task->ack();
            $consumer->pause();
            $consumer->close();
        }
        self::assertSame(1, $this->take($queue)->getAttempts());
    }

    /** @dataProvider activeMq */
    #[DataProvider('activeMq')]
    public function testANameThatStandsForSeveralQueuesIsRefused(string $broker): void
    {
        $names = $broker === 'artemis' ? ['a.*', 'a.#'] : ['a.>', 'a,b', 'a?consumer.exclusive=true'];
        foreach ($names as $name) {
            $queue = $this->queue($broker, name: $name);
            foreach ([static fn () => $queue->push('x'), static fn () => (new Consumer($queue))->waitTask(1)] as $do) {
                self::assertStringContainsString($name, $this->thrown(UnsupportedException::class, $do)->getMessage());
            }
        }
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testAnEmptyQueueIsKnownAtOnce(string $broker): void
    {
        $queue = $this->queue($broker);
        self::assertNull($queue->reserve(0));
        $queue->push('one');
        $task = $queue->reserve(5);
        self::assertSame('one', $task?->getName());
        $task->ack();
        self::assertNull($queue->reserve(0));
    }

    /** @return list<string> the ids of all jobs in the queue, in order */
    private function drained(AmqpQueue $queue): array
    {
        $consumer = $this->consumer($queue);
        $ids = [];
        while ($task = $consumer->waitTask(1)) {
            $ids[] = $task->getId();
            $task->ack();
        }
        $consumer->close();

        return $ids;
    }
}
