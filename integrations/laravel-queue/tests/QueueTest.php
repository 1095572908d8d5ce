<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Exception\BatchException;
use Amqp1\Laravel\Amqp1Job;
use Amqp1\Laravel\Amqp1Queue;
use Amqp1\Laravel\Tests\Support\LaravelTestCase;
use App\Jobs\Note;
use App\Jobs\Prioritised;
use Illuminate\Queue\Events\JobQueued;
use PHPUnit\Framework\Attributes\DataProvider;

/** A queue connection: what Laravel calls, on every broker. */
final class QueueTest extends LaravelTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobIsLaravelsJsonAndComesBack(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $queue = $laravel->connection();

        $id = $queue->push(new Note('one'));
        $job = $this->pop($queue);

        self::assertSame($id, $job->getJobId());
        self::assertSame(1, $job->attempts());
        self::assertSame($laravel->queue, $job->getQueue());
        self::assertSame('amqp1', $job->getConnectionName());
        self::assertSame('App\Jobs\Note', $job->resolveName());
        $payload = json_decode($job->getRawBody(), true);
        self::assertSame($payload['uuid'], $job->uuid());
        self::assertSame('Illuminate\Queue\CallQueuedHandler@call', $payload['job']);
        self::assertEquals('one', unserialize($payload['data']['command'])->text);
        self::assertSame('App\Jobs\Note', $job->getTask()->getName());
        self::assertSame('application/json', $job->getTask()->getContentType());
        $job->delete();
        self::assertTrue($job->isDeleted());
        self::assertNull($queue->pop());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEveryWayToPush(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $queue = $laravel->connection();
        $other = $this->uniqueName($this->broker($broker), 'laravel');
        $queue->push('Handler@handle', ['n' => 1]);
        $queue->pushOn($other, 'Handler@handle', ['n' => 2]);
        $queue->pushRaw('{"job":"Handler@handle","data":{"n":3}}');
        $queue->bulk(['Handler@handle', 'Handler@handle'], ['n' => 4]);

        self::assertSame([1, 3, 4, 4], array_map(static fn (Amqp1Job $job) => $job->payload()['data']['n'], $this->popAll($queue)));
        self::assertSame([2], array_map(static fn (Amqp1Job $job) => $job->payload()['data']['n'], $this->popAll($queue, $other)));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testADelayIsTheBrokers(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $queue = $laravel->connection();
        $refused = $this->lacks($broker, 'delay', static fn () => $queue->later(1, new Note('later')));
        if ($refused) {
            return;
        }
        $begun = microtime(true);
        $queue->later(2, new Note('two'));
        $queue->later(now()->addSeconds(1), new Note('one'));
        $queue->laterOn($laravel->queue, new \DateInterval('PT3S'), new Note('three'));
        $queue->bulk([(new Note('four'))->delay(4), new Note('zero')]);

        self::assertSame('zero', $this->text($this->done($queue)));
        foreach (['one' => 0.0, 'two' => 2.0, 'three' => 3.0, 'four' => 4.0] as $text => $after) {
            self::assertSame($text, $this->text($this->done($queue, 10)));
            self::assertGreaterThan($after - 0.1, microtime(true) - $begun);
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAReleasedJobComesAgainWithItsAttempts(string $broker): void
    {
        $queue = $this->laravel($broker)->connection();
        $queue->push(new Note('again'));
        $job = $this->pop($queue);
        $job->release();
        self::assertTrue($job->isReleased());
        $job = $this->pop($queue);
        self::assertSame(2, $job->attempts());
        $begun = microtime(true);
        $job->release($pause = (int) $this->pause($broker, 2));
        $job = $this->pop($queue, 10);
        self::assertSame(3, $job->attempts());
        self::assertGreaterThan($pause - 0.1, microtime(true) - $begun);
        $job->delete();
        self::assertNull($queue->pop());
    }

    /** More than the broker's own limit, and than the extension's. @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAttemptsAreLaravelsToLimit(string $broker): void
    {
        $queue = $this->laravel($broker)->connection();
        $queue->push(new Note('often'));
        for ($attempt = 1; $attempt <= 25; $attempt++) {
            $job = $this->pop($queue);
            self::assertSame($attempt, $job->attempts());
            $attempt < 25 ? $job->release() : $job->delete();
        }
        self::assertNull($queue->pop());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnyBytes(string $broker): void
    {
        $queue = $this->laravel($broker)->connection();
        $bytes = implode('', array_map('chr', range(0, 255)));
        $queue->pushRaw($bytes);
        self::assertSame($bytes, $this->pop($queue)->getRawBody());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testALargeJob(string $broker): void
    {
        $queue = $this->laravel($broker)->connection();
        $size = $this->broker($broker)->supports('large-messages') ? 1_000_000 : 200_000;
        $queue->push(new Note(str_repeat('x', $size)));
        self::assertSame($size, strlen($this->text($this->pop($queue, 10))));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSizes(string $broker): void
    {
        $queue = $this->laravel($broker)->connection();
        if ($this->lacks($broker, 'management', static fn () => $queue->size())) {
            return;
        }
        $begun = time();
        $queue->bulk([new Note('one'), new Note('two'), new Note('three')]);
        $queue->later(60, new Note('later'));
        $held = $this->pop($queue);
        // Service Bus does not tell waiting jobs from those that a worker has.
        $pending = $this->broker($broker)->isServiceBus() ? 3 : 2;
        $delayed = $queue->delayedSize();
        $reserved = $queue->reservedSize();
        self::assertContains($delayed, [1, null]);
        self::assertContains($reserved, [1, null]);
        $this->eventually(static fn () => $queue->pendingSize() === $pending, "$pending jobs are pending");
        self::assertSame($pending + $delayed + $reserved, $queue->size());

        $oldest = $queue->creationTimeOfOldestPendingJob();
        $shows = $this->broker($broker)->isEmbedded() || $this->broker($broker)->isServiceBus() || $broker === 'program';
        self::assertSame($shows, $oldest !== null);
        if ($oldest !== null) {
            self::assertEqualsWithDelta($begun, $oldest, 2);
        }
        $held->delete();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testClear(string $broker): void
    {
        $queue = $this->laravel($broker)->connection();
        if ($this->lacks($broker, 'management', static fn () => $queue->clear(null))) {
            return;
        }
        $queue->bulk([new Note('one'), new Note('two')]);
        self::assertSame(2, $queue->clear(null));
        self::assertNull($queue->pop());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAProcessHoldsNoJobBesidesTheOneThatLaravelWorksOn(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $queue = $laravel->connection();
        $another = $laravel->another();
        self::assertNull($queue->pop(), 'an empty queue, which it has asked');
        $queue->bulk([new Note('one'), new Note('two'), new Note('three')]);

        $held = $this->pop($another);
        self::assertSame('one', $this->text($held));
        self::assertSame('two', $this->text($this->done($queue)));
        $held->delete();
        // The other one has settled its job, and does not ask for the next.
        self::assertSame('three', $this->text($third = $this->pop($queue)));
        self::assertSame(1, $third->attempts());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobThatWasForgottenGoesBack(string $broker): void
    {
        $queue = $this->laravel($broker)->connection();
        $queue->bulk([new Note('one'), new Note('two')]);
        $job = $this->pop($queue);
        unset($job);
        $texts = [];
        foreach (range(1, 2) as $_) {
            $job = $this->pop($queue);
            $texts[$this->text($job)] = $job->attempts();
            $job->delete();
        }
        ksort($texts);
        self::assertSame(['one' => 2, 'two' => 1], $texts);
        self::assertNull($queue->pop());
    }

    public function testAPrefetchAboveOneHoldsJobs(): void
    {
        $laravel = $this->laravel('embedded', ['prefetch' => 3]);
        $queue = $laravel->connection();
        $queue->bulk([new Note('one'), new Note('two'), new Note('three')]);
        $held = $this->pop($queue);
        self::assertNull($laravel->another()->pop());
        $held->delete();
        $queue->close();
        self::assertSame('two', $this->text($this->pop($laravel->another())));
    }

    public function testJobsOfABulkThatAreNotConfirmed(): void
    {
        $laravel = $this->laravel('embedded');
        $queued = [];
        $laravel->app['events']->listen(JobQueued::class, static function (JobQueued $event) use (&$queued): void {
            $queued[$event->id] = $event->job->text;
        });
        $error = $this->thrown(BatchException::class, static fn () => $laravel->connection()->bulk(
            [new Note('one'), new Prioritised('two', 'wrong'), new Note('three')]
        ));
        self::assertSame([1], array_keys($error->getFailures()));
        self::assertSame(['one', 'three'], array_values($queued));
        self::assertSame(array_values($error->getConfirmedIds()), array_keys($queued));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOptionsOfTheExtensionComeWithAJob(string $broker): void
    {
        $queue = $this->laravel($broker)->connection();
        $queue->push(new Prioritised('acme'));
        $queue->bulk([new Prioritised('other')]);
        $task = $this->done($queue)->getTask();
        self::assertSame(['acme'], $task->getHeader('tenant'));
        self::assertSame(9, $task->getPriority());
        self::assertSame(['other'], $this->done($queue)->getTask()->getHeader('tenant'));
    }

    public function testOfSeveralQueuesOnlyTheFirstIsWaitedFor(): void
    {
        $laravel = $this->laravel('embedded', ['block_for' => 1]);
        $queue = $laravel->connection();
        $begun = microtime(true);
        self::assertNull($queue->pop('high'));
        self::assertNull($queue->pop('low'));
        self::assertGreaterThan(0.9, microtime(true) - $begun);
        self::assertLessThan(1.8, microtime(true) - $begun);

        // As long as another queue has jobs, the first one is only asked.
        $queue->pushOn('low', new Note('one'));
        self::assertNotNull($queue->pop('low'));
        $begun = microtime(true);
        self::assertNull($queue->pop('high'));
        self::assertLessThan(0.5, microtime(true) - $begun);
    }

    public function testTheFirstJobEndsTheWait(): void
    {
        $laravel = $this->laravel('embedded', ['block_for' => 20]);
        $queue = $laravel->connection();
        $queue->later(1, new Note('one'));
        $begun = microtime(true);
        self::assertSame('one', $this->text($queue->pop()));
        self::assertLessThan(3, microtime(true) - $begun);
    }

    public function testAJobIsPushedWhenItsTransactionIsCommitted(): void
    {
        $laravel = $this->laravel('embedded', ['after_commit' => true]);
        $queue = $laravel->connection();
        $database = $laravel->app['db'];
        $database->transaction(function () use ($queue): void {
            $queue->push(new Note('one'));
            $queue->bulk([new Note('two'), new Note('three')]);
            self::assertNull($queue->pop());
        });
        self::assertSame(['one', 'two', 'three'], array_map($this->text(...), $this->popAll($queue)));

        try {
            $database->transaction(function () use ($queue): void {
                $queue->push(new Note('never'));

                throw new \LogicException();
            });
        } catch (\LogicException) {
        }
        self::assertNull($queue->pop());
    }

    /** Octane gives each request its own application, and keeps the manager and its connections. */
    public function testConnectionsOutliveApplications(): void
    {
        $laravel = $this->laravel('embedded');
        $manager = $laravel->app['queue'];
        for ($request = 0; $request < 3; $request++) {
            $sandbox = clone $laravel->app;
            $sandbox->instance('app', $sandbox);
            $manager->setApplication($sandbox);
            $manager->push(new Note("request $request"));
            self::assertSame($sandbox, $manager->connection()->getContainer());
        }
        self::assertSame(['request 0', 'request 1', 'request 2'], array_map($this->text(...), $this->popAll($manager->connection())));
    }

    private function pop(Amqp1Queue $queue, float $within = 5): Amqp1Job
    {
        $until = microtime(true) + $within;
        do {
            $job = $queue->pop();
        } while ($job === null && microtime(true) < $until);
        self::assertNotNull($job, "a job within $within s");

        return $job;
    }

    private function done(Amqp1Queue $queue, float $within = 5): Amqp1Job
    {
        $job = $this->pop($queue, $within);
        $job->delete();

        return $job;
    }

    /** @return list<Amqp1Job> */
    private function popAll(Amqp1Queue $queue, ?string $name = null): array
    {
        $jobs = [];
        while (($job = $queue->pop($name)) !== null) {
            $job->delete();
            $jobs[] = $job;
        }

        return $jobs;
    }

    private function text(Amqp1Job $job): string
    {
        return unserialize($job->payload()['data']['command'])->text;
    }
}
