<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TimeoutException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;

/** A timeout of zero takes jobs that are there, even if they are still on their way: frameworks poll like that. */
final class PollTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAFreshConsumerFindsWhatIsThere(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job$i"], range(1, 20)));
        $found = 0;
        for ($i = 0; $i < 20; $i++) {
            $this->areThere(20 - $i, $broker, $queue);
            $consumer = $this->consumer($queue);
            if ($task = $consumer->waitTask(0)) {
                $task->ack();
                $found++;
            }
            $consumer->close();
        }
        self::assertSame(20, $found);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAPollerEmptiesTheQueue(string $broker): void
    {
        $queue = $this->queue($broker);
        for ($round = 0; $round < 5; $round++) {
            $queue->pushMany(array_map(static fn (int $i) => ['name' => "job$i"], range(1, 25)));
            $consumer = $this->consumer($queue, ['prefetch' => 1 + $round]);
            $done = 0;
            while ($task = $consumer->waitTask(0)) {
                $task->ack();
                $done++;
            }
            self::assertSame(25, $done, "round $round");
            $consumer->close();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testABatchIsAllThatIsThere(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job$i"], range(1, 15)));
        foreach ([15, 100] as $max) {
            $this->areThere(15, $broker, $queue);
            $consumer = $this->consumer($queue, ['prefetch' => 100]);
            self::assertCount(15, $consumer->waitTasks($max, 0));
            self::assertSame([], $consumer->waitTasks($max, 0));
            $consumer->close();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobThatWasJustPushedIsThere(string $broker): void
    {
        $queue = $this->queue($broker);
        $consumer = $this->consumer($queue);
        self::assertNull($consumer->waitTask(0));
        for ($i = 0; $i < 50; $i++) {
            $queue->push("job$i");
            $task = $consumer->waitTask(0);
            self::assertSame("job$i", $task?->getName());
            $task->ack();
            self::assertNull($consumer->waitTask(0));
        }
        // Asking has not used up its credit.
        $queue->push('last');
        self::assertSame('last', $this->next($consumer)->getName());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOneOfSeveralQueuesHasAJob(string $broker): void
    {
        $queues = [];
        for ($i = 0; $i < 5; $i++) {
            $queues[] = $this->queue($broker);
        }
        $consumer = $this->consumer($queues);
        self::assertNull($consumer->waitTask(0));
        foreach ($queues as $i => $queue) {
            $queue->push("job$i");
            $task = $consumer->waitTask(0);
            self::assertSame("job$i", $task?->getName());
            $task->ack();
        }
        foreach ($queues as $queue) {
            $queue->push('job');
        }
        $found = 0;
        foreach ($this->consumer($queues)->waitTasks(10, 0) as $task) {
            $task->ack();
            $found++;
        }
        while ($task = $consumer->waitTask(0)) {
            $task->ack();
            $found++;
        }
        self::assertSame(5, $found);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testPausedFullAndStoppedConsumersPollTheirs(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('first');
        $queue->push('second');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $first = $consumer->waitTask(0);
        self::assertNotNull($first);
        self::assertNull($consumer->waitTask(0), 'the prefetch is used up');
        $first->ack();
        $consumer->pause();
        self::assertNull($consumer->waitTask(0));
        $consumer->resume();
        // Jobs that arrived while it was being paused are on their way back.
        $this->eventually(static fn () => $consumer->waitTask(0)?->ack() !== false, 'the second job');
        $queue->push('third');
        $consumer->stop();
        self::assertNull($consumer->waitTask(0));
        self::assertSame([], $consumer->waitTasks(5, 0));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testQueuesOfEachType(string $broker): void
    {
        foreach (['classic' => 1, 'quorum' => 400] as $type => $prefetch) {
            $queue = $this->queue($broker, ['queue_type' => $type]);
            $queue->pushMany(array_map(static fn (int $i) => ['name' => "job$i"], range(1, 300)));
            $consumer = $this->consumer($queue, ['prefetch' => $prefetch]);
            $done = 0;
            while ($tasks = $consumer->waitTasks(1000, 0)) {
                foreach ($tasks as $task) {
                    $task->ack();
                    $done++;
                }
            }
            self::assertSame(300, $done, $type);
        }
    }

    public function testSessionsThatHaveJobsAreFoundOneAfterTheOther(): void
    {
        $broker = ProgramBroker::serviceBus(['--session-queue', 'sessions']);
        $queue = new AmqpQueue($broker->connectionString(), 'sessions', ['timeout' => 20]);
        foreach (['a', 'b', 'c'] as $session) {
            $queue->push($session, null, ['group' => $session]);
        }
        $consumer = $this->consumer($queue, ['session' => true]);
        $done = [];
        while ($task = $consumer->waitTask(0)) {
            $done[] = $task->getName();
            $task->ack();
        }
        sort($done);
        self::assertSame(['a', 'b', 'c'], $done);
        $queue->push('d', null, ['group' => 'd']);
        self::assertSame('d', $consumer->waitTask(0)?->getName());
        $named = $this->consumer($queue, ['session' => 'a']);
        self::assertNull($named->waitTask(0));
        $queue->push('a', null, ['group' => 'a']);
        self::assertSame('a', $named->waitTask(0)?->getName());
    }

    public function testABrokerThatDoesNotAnswerIsNotTakenForAnEmptyQueue(): void
    {
        $at = $this->broker(current(self::fullyFeatured())[0]);
        $proxy = new Proxy($at);
        $queue = new AmqpQueue($proxy->dsn, $this->uniqueName($at), ['timeout' => 0.5]);
        $consumer = $this->consumer($queue);
        self::assertNull($consumer->waitTask(0));
        $proxy->swallow('up', 'down');
        $start = microtime(true);
        $thrown = $this->thrown(ExceptionInterface::class, static fn () => $consumer->waitTask(0));
        self::assertLessThan(5.0, microtime(true) - $start);
        self::assertInstanceOf(TimeoutException::class, $thrown);
        self::assertStringContainsString('whether there is a job', $thrown->getMessage());
        self::assertStringContainsString($queue->getName(), $thrown->getMessage());
    }

    public function testASignalHandlerRunsDuringTheQuestion(): void
    {
        $at = $this->broker(current(self::fullyFeatured())[0]);
        $proxy = new Proxy($at);
        $queue = new AmqpQueue($proxy->dsn, $this->uniqueName($at), ['timeout' => 20]);
        $consumer = $this->consumer($queue);
        self::assertNull($consumer->waitTask(0));
        $proxy->swallow('up', 'down');
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => $consumer->stop());
        pcntl_alarm(1);
        $start = microtime(true);
        self::assertNull($consumer->waitTask(0));
        self::assertLessThan(4.0, microtime(true) - $start);
        pcntl_signal(SIGALRM, SIG_DFL);
    }

    /** Jobs that the previous consumer returned are on their way for a moment. */
    private function areThere(int $jobs, string $broker, AmqpQueue $queue): void
    {
        if ($this->broker($broker)->isRabbitMq3() || $this->broker($broker)->supports('management')) {
            $this->eventually(fn () => $this->jobsIn($queue) === $jobs, "$jobs jobs in the queue");
        } else {
            usleep(300000);
        }
    }
}
