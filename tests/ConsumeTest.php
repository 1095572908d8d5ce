<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Consumer;
use Amqp1\Task;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** Waiting for jobs: one, many, in a loop, from several queues, and stopping. */
final class ConsumeTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnEmptyQueueGivesNullAfterTheTimeout(string $broker): void
    {
        $consumer = $this->consumer($this->queue($broker));
        $consumer->waitTask(0.01);
        $start = microtime(true);
        self::assertNull($consumer->waitTask(0.5));
        $took = microtime(true) - $start;

        self::assertGreaterThanOrEqual(0.5 - 0.001, $took);
        self::assertLessThan(3.0, $took);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWaitingCostsNoCpu(string $broker): void
    {
        $cpu = static function (): float {
            $usage = getrusage();

            return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']
                + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
        };
        $consumer = $this->consumer($this->queue($broker));
        $consumer->waitTask(0.2);
        $before = $cpu();
        $consumer->waitTask(1);

        self::assertLessThan(0.1, $cpu() - $before, 'seconds of CPU in one second of waiting');
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheTimeoutOptionIsTheDefault(string $broker): void
    {
        $consumer = $this->consumer($this->queue($broker), ['timeout' => 0.3]);
        $start = microtime(true);

        self::assertNull($consumer->waitTask());
        self::assertGreaterThanOrEqual(0.3 - 0.001, microtime(true) - $start);
        self::assertSame([], $consumer->waitTasks(5));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWaitingBeforeTheJobIsThere(string $broker): void
    {
        $queue = $this->queue($broker);
        $consumer = $this->consumer($queue);
        $this->assertNoTask($consumer, 0.05);
        $queue->push('came later');

        self::assertSame('came later', $this->next($consumer)->getName());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWaitTasksTakesWhatIsThereUpToTheMaximum(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 24)));
        $consumer = $this->consumer($queue, ['prefetch' => 50]);
        $names = [];
        while (count($names) < 25) {
            $tasks = $consumer->waitTasks(10, 10);
            self::assertNotSame([], $tasks);
            self::assertLessThanOrEqual(10, count($tasks));
            self::assertTrue(array_is_list($tasks));
            foreach ($tasks as $task) {
                self::assertInstanceOf(Task::class, $task);
                $names[] = $task->getName();
                $task->ack();
            }
        }

        self::assertSame(array_map(static fn (int $i) => "job-$i", range(0, 24)), $names);
        self::assertSame([], $consumer->waitTasks(10, 0.1));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testForeachEndsWhenNoMoreJobsCome(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany([['name' => 'a'], ['name' => 'b'], ['name' => 'c']]);
        $names = [];
        foreach ($this->consumer($queue, ['timeout' => 0.5]) as $task) {
            $names[] = $task->getName();
            $task->ack();
        }

        self::assertSame(['a', 'b', 'c'], $names);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testForeachEndsByStop(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany([['name' => 'a'], ['name' => 'b'], ['name' => 'c']]);
        $consumer = $this->consumer($queue);
        $names = [];
        foreach ($consumer as $task) {
            $names[] = $task->getName();
            $task->ack();
            if ($task->getName() === 'b') {
                $consumer->stop();
            }
        }

        self::assertSame(['a', 'b'], $names);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSeveralQueuesAreServedFairly(string $broker): void
    {
        $queues = [];
        foreach (['one', 'two', 'three'] as $name) {
            $queues[] = $queue = $this->queue($broker, ['name' => $name]);
            $queue->pushMany(array_map(static fn (int $i) => ['name' => "$name-$i"], range(0, 29)));
        }
        $consumer = $this->consumer($queues, ['prefetch' => 30]);
        // All three links have delivered before counting starts.
        $this->next($consumer)->nack(null, true);
        usleep(300_000);
        $seen = [];
        for ($i = 0; $i < 45; ++$i) {
            $task = $this->next($consumer);
            $seen[$task->getQueue()] = ($seen[$task->getQueue()] ?? 0) + 1;
            $task->ack();
        }
        ksort($seen);

        self::assertSame(['one', 'three', 'two'], array_keys($seen));
        foreach ($seen as $name => $count) {
            self::assertGreaterThanOrEqual(10, $count, "$name of " . json_encode($seen));
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAFullQueueDoesNotStarveAnother(string $broker): void
    {
        $full = $this->queue($broker, ['name' => 'full']);
        $quiet = $this->queue($broker, ['name' => 'quiet']);
        $full->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 499)));
        $consumer = $this->consumer([$full, $quiet]);
        $this->next($consumer)->ack();
        $quiet->push('urgent');
        for ($i = 0; $i < 400; ++$i) {
            $task = $this->next($consumer);
            $task->ack();
            if ($task->getQueue() === 'quiet') {
                self::assertSame('urgent', $task->getName());

                return;
            }
        }
        self::fail('400 jobs of the full queue came first');
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testPauseGivesNothingAndResumeGoesOn(string $broker): void
    {
        $queue = $this->queue($broker);
        $consumer = $this->consumer($queue);
        self::assertFalse($consumer->isPaused());
        $this->assertNoTask($consumer, 0.05);
        $consumer->pause();
        self::assertTrue($consumer->isPaused());
        $queue->push('job');
        $this->assertNoTask($consumer);
        $consumer->resume();
        self::assertFalse($consumer->isPaused());

        $this->next($consumer)->ack();
    }

    /** @return array<string, array{string, string}> every broker with every way to release jobs */
    public static function waysToLetGo(): array
    {
        $sets = [];
        foreach (self::brokers() as $name => [$broker]) {
            foreach (['pause', 'stop', 'close'] as $way) {
                $sets["$name, $way"] = [$broker, $way];
            }
        }

        return $sets;
    }

    /** @dataProvider waysToLetGo */
    #[DataProvider('waysToLetGo')]
    public function testBufferedJobsGoBackAtOnce(string $broker, string $way): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 19)));
        $first = $this->consumer($queue, ['prefetch' => 20]);
        $held = $this->next($first);
        usleep(200_000); // the rest is in the first consumer's buffer now
        $first->$way();
        $second = $this->consumer($queue, ['prefetch' => 20]);
        $start = microtime(true);
        $names = [];
        while (count($names) < 19) {
            $task = $this->next($second);
            if ($task->getId() !== $held->getId()) {
                self::assertSame(1, $task->getAttempts(), 'a job that nobody worked on has not been attempted');
            }
            $names[] = $task->getName();
            $task->ack();
        }

        self::assertLessThan(5.0, microtime(true) - $start);
        self::assertCount(19, array_unique($names));
        if ($way !== 'close') {
            self::assertNotContains($held->getName(), $names, 'it is in the first one\'s hands');
            $held->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAfterStopNothingMoreComes(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany([['name' => 'a'], ['name' => 'b']]);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->ack();
        $consumer->stop();
        $start = microtime(true);

        self::assertNull($consumer->waitTask(5));
        self::assertSame([], $consumer->waitTasks(5, 5));
        self::assertLessThan(2.0, microtime(true) - $start, 'it does not wait');
        $consumer->close();
        self::assertSame('b', $this->take($queue)->getName());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testClosingTwiceAndWithoutUse(string $broker): void
    {
        $queue = $this->queue($broker);
        $consumer = new Consumer($queue);
        $consumer->close();
        $consumer->close();
        $queue->push('still there');

        self::assertSame('still there', $this->take($queue)->getName());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testPrefetchLeavesTheRestToOthers(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 9)));
        $first = $this->consumer($queue, ['prefetch' => 3]);
        $held = [$this->next($first)];
        usleep(200_000);
        $second = $this->consumer($queue, ['prefetch' => 10]);
        $count = 0;
        while (($task = $second->waitTask($count < 7 ? 10 : 0.5)) !== null) {
            $task->ack();
            ++$count;
        }

        self::assertSame(7, $count, 'three are with the first consumer');
        self::assertCount(1, $held);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testUnsettledTasksUseUpThePrefetch(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 4)));
        $consumer = $this->consumer($queue, ['prefetch' => 2]);
        $tasks = [$this->next($consumer), $this->next($consumer)];
        $this->assertNoTask($consumer);
        $tasks[0]->ack();

        self::assertSame('job-2', $this->next($consumer)->getName());
        $this->assertNoTask($consumer, 0.2);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAutoAckSettlesEachJobAsItIsHandedOut(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany([['name' => 'a'], ['name' => 'b'], ['name' => 'c']]);
        $consumer = $this->consumer($queue, ['auto_ack' => true, 'prefetch' => 1]);
        foreach (['a', 'b'] as $name) {
            $task = $this->next($consumer);
            self::assertSame($name, $task->getName());
            self::assertTrue($task->isCompleted());
            $task->ack();
        }
        $consumer->close();

        self::assertSame('c', $this->take($queue)->getName(), 'what was not handed out was not settled');
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnUnsettledJobComesBackWhenTheConsumerCloses(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $consumer->close();

        self::assertSame($task->getId(), $this->take($queue)->getId());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testManyConsumersShareAQueueAndNoJobComesTwice(string $broker): void
    {
        $queue = $this->queue($broker);
        $ids = $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 299)));
        $consumers = [];
        for ($i = 0; $i < 4; ++$i) {
            $consumers[] = $this->consumer($queue, ['prefetch' => 5]);
        }
        $seen = [];
        for ($i = 0; count($seen) < 300 && $i < 4000; ++$i) {
            $task = $consumers[$i % 4]->waitTask(0.2);
            if ($task !== null) {
                $seen[] = $task->getId();
                $task->ack();
            }
        }
        sort($ids);
        sort($seen);

        self::assertSame($ids, $seen);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAForgottenConsumerGivesItsJobsBack(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany([['name' => 'a'], ['name' => 'b'], ['name' => 'c']]);
        $consumer = new Consumer($queue, ['prefetch' => 10]);
        $this->next($consumer)->ack();
        usleep(100_000);
        unset($consumer);

        self::assertSame('b', $this->take($queue)->getName());
        self::assertSame('c', $this->take($queue)->getName());
    }
}
