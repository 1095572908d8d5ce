<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Laravel\Tests\Support\LaravelTestCase;
use App\Jobs\Flow;
use App\Jobs\Limited;
use App\Jobs\Note;
use App\Jobs\Patient;
use App\Jobs\Prioritised;
use App\Jobs\Secret;
use App\Jobs\Unique;
use PHPUnit\Framework\Attributes\DataProvider;

/** Laravel's own worker, `artisan queue:work`, in processes of its own. */
final class WorkerTest extends LaravelTestCase
{
    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAFailingJobIsTriedPausedRecordedAndRetried(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $pause = (int) $this->pause($broker, 1);
        $laravel->connection()->push(new Prioritised('job', 'throw-until repaired'));
        $worker = $laravel->worker('--tries=3', "--backoff=$pause", '--sleep=0.1');

        self::assertSame(['job 1', 'job 2', 'job 3', 'job failed: thrown by job'], $laravel->waitForNotes(4));
        $laravel->until(static fn () => $laravel->failedJobs() ?: null, 5, static fn () => 'a failed job');
        [$failed] = $laravel->failedJobs();
        self::assertSame(['amqp1', $laravel->queue], [$failed['connection'], $failed['queue']]);
        self::assertStringContainsString('thrown by job', $failed['exception']);
        self::assertSame('App\Jobs\Prioritised', json_decode($failed['payload'], true)['displayName']);

        $laravel->touch('repaired');
        $laravel->ran('queue:retry', 'all');
        self::assertSame('job 1', $laravel->waitForNotes(5)[4]);
        self::assertSame([], $laravel->failedJobs());
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait());
        self::assertNull($laravel->connection()->pop());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAJobThatExceedsItsTimeIsTriedAgainAndThenRecordedOnce(string $broker): void
    {
        $laravel = $this->laravel($broker, ['dialect' => $this->broker($broker)->isServiceBus() ? 'servicebus' : 'auto']);
        $laravel->connection()->bulk([new Note('slow', 'sleep 30'), new Note('neighbour')]);
        $options = ['--timeout=1', '--tries=2', '--backoff=0', '--sleep=0.1'];

        $first = $laravel->worker(...$options);
        self::assertSame(128 + SIGKILL, $first->wait(20));
        self::assertSame(['slow 1'], $laravel->notes());
        self::assertSame([], $laravel->failedJobs());

        // The second time-out ends its worker, too. The job is recorded before, and gone.
        $second = $laravel->worker(...$options);
        self::assertSame(128 + SIGKILL, $second->wait(20));
        $third = $laravel->worker(...$options);
        $notes = $laravel->waitForNotes(4);
        sort($notes);
        self::assertSame(['neighbour 1', 'slow 1', 'slow 2'], array_slice($notes, 0, 3));
        // Laravel 8 says the one, later versions the other.
        self::assertMatchesRegularExpression('/^slow failed: .* has (been attempted too many times|timed out)/', $notes[3]);
        self::assertCount(1, $laravel->failedJobs());
        // Longer than a lock on Service Bus.
        sleep($this->broker($broker)->isServiceBus() ? 6 : 1);
        $third->kill();
        self::assertCount(4, $laravel->notes());
        self::assertCount(1, $laravel->failedJobs());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAKilledWorkersJobComesAgainAndItsNeighboursLoseNoAttempt(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $laravel->connection()->bulk([new Note('job', 'sleep 3'), new Note('two'), new Note('three')]);
        $worker = $laravel->worker('--tries=5');
        $laravel->waitForNotes(1);
        $worker->kill();
        $laravel->worker('--tries=5', '--sleep=0.1', '--max-jobs=3')->wait();

        $notes = $laravel->waitForNotes(5);
        sort($notes);
        if (!$this->broker($broker)->supports('delivery-count') || $this->broker($broker)->isArtemis()) {
            // They count no lost delivery, or not each: see docs/brokers.md.
            $notes = str_replace('job 2', 'job 1', $notes);
            self::assertSame(['job 1', 'job 1', 'job slept', 'three 1', 'two 1'], $notes);
        } else {
            self::assertSame(['job 1', 'job 2', 'job slept', 'three 1', 'two 1'], $notes);
        }
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAJobThatKillsEachWorkerEndsInFailedJobs(string $broker): void
    {
        if ($this->broker($broker)->isArtemis() || !$this->broker($broker)->supports('delivery-count')) {
            self::markTestSkipped('does not count such deliveries, or not all of them');
        }
        $laravel = $this->laravel($broker);
        $laravel->connection()->push(new Note('deadly', 'die'));
        for ($attempt = 1; $attempt <= 2; $attempt++) {
            self::assertSame(128 + SIGKILL, $laravel->worker('--tries=2', '--sleep=0.1')->wait());
            self::assertSame("deadly $attempt", $laravel->waitForNotes($attempt)[$attempt - 1]);
        }
        $worker = $laravel->worker('--tries=2', '--sleep=0.1');
        self::assertStringContainsString('deadly failed', $laravel->waitForNotes(3)[2]);
        $laravel->until(static fn () => $laravel->failedJobs() ?: null, 5, static fn () => 'a failed job');
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testASignalLetsTheJobEnd(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $laravel->connection()->bulk([new Note('job', 'sleep 2'), new Note('next')]);
        $worker = $laravel->worker();
        $laravel->waitForNotes(1);
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait());
        self::assertSame(['job 1', 'job slept'], $laravel->notes());
        // The next one is there at once, for anybody.
        $job = $laravel->another()->pop();
        self::assertSame(1, $job?->attempts());
        $job->delete();
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testASignalEndsAWaitForJobs(string $broker): void
    {
        $laravel = $this->laravel($broker, ['block_for' => 60]);
        $laravel->connection()->push(new Note('job'));
        $worker = $laravel->worker('--sleep=0');
        $laravel->waitForNotes(1);
        // It waits, and so gets the next job at once.
        usleep(300_000);
        $begun = microtime(true);
        $laravel->connection()->push(new Note('next'));
        $laravel->waitForNotes(2);
        self::assertLessThan(2, microtime(true) - $begun);
        usleep(300_000);
        $begun = microtime(true);
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait());
        self::assertLessThan(3, microtime(true) - $begun);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testOptionsThatEndAWorker(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $laravel->connection()->bulk(array_map(static fn (int $n) => new Note("job-$n"), range(1, 6)));
        $begun = microtime(true);
        $laravel->ran('queue:work', '--max-jobs=2', '--rest=1');
        self::assertCount(2, $laravel->notes());
        self::assertGreaterThan(2, microtime(true) - $begun);
        self::assertSame(12, $laravel->worker('--memory=1')->wait(), 'after one job');
        self::assertCount(3, $laravel->notes());
        $laravel->ran('queue:work', '--once');
        self::assertCount(4, $laravel->notes());
        $laravel->ran('queue:work', '--stop-when-empty');
        self::assertCount(6, $laravel->notes());
        $laravel->ran('queue:work', '--max-time=1', '--sleep=0.1');
        self::assertSame(['job-1 1', 'job-2 1', 'job-3 1', 'job-4 1', 'job-5 1', 'job-6 1'], $laravel->notes());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testWhatJobsDecideThemselves(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $pause = (int) $this->pause($broker, 1);
        $queue = $laravel->connection();
        $queue->push(new Note('released', "release $pause"));
        $queue->push(new Note('failed', 'fail'));
        $queue->push(new Patient('exceptions', 'throw'));
        $queue->push((new Secret('secret', '', $bytes = random_bytes(50_000)))->onQueue($laravel->queue));
        Unique::dispatch('unique');
        Unique::dispatch('unique');
        $worker = $laravel->worker('--sleep=0.1', '--tries=10', '--backoff=0');
        $notes = $laravel->waitForNotes(9);
        sort($notes);
        self::assertSame([
            'exceptions 1', 'exceptions 2', 'exceptions failed: thrown by exceptions', 'failed 1', 'failed failed: failed by failed',
            'released 1', 'released 2', 'secret 1 ' . md5($bytes), 'unique 1',
        ], $notes);
        // The lock is free again.
        Unique::dispatch('unique');
        self::assertSame('unique 1', $laravel->waitForNotes(10)[9]);
        $laravel->until(static fn () => count($laravel->failedJobs()) === 2 ?: null, 5, static fn () => 'two failed jobs');
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testBatchesAndChains(string $broker): void
    {
        $laravel = $this->laravel($broker);
        // Debian 12's library for closures is older than its PHP.
        $level = error_reporting(error_reporting() & ~E_DEPRECATED);
        Flow::batch();
        Flow::chain();
        error_reporting($level);
        $worker = $laravel->worker('--sleep=0.1', '--tries=1');
        $notes = $laravel->waitForNotes(9);
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait());
        self::assertSame(
            ['first 1', 'second 1', 'closure'],
            array_values(array_intersect($notes, ['first 1', 'second 1', 'closure']))
        );
        foreach (['one 1', 'two 1', 'bad 1', 'bad failed: thrown by bad', 'catch', 'finally'] as $note) {
            self::assertContains($note, $notes);
        }
        self::assertSame([3, 1, 1], array_map('intval', array_values($laravel->rows(
            'select total_jobs, pending_jobs, failed_jobs from job_batches'
        )[0])));
    }

    public function testARateLimitReleasesJobs(): void
    {
        $laravel = $this->laravel('program');
        $laravel->connection()->bulk([new Limited('one'), new Limited('two')]);
        $laravel->ran('queue:work', '--stop-when-empty');
        self::assertCount(1, $laravel->notes());
        self::assertSame(1, $laravel->connection()->delayedSize());
    }

    public function testAJobsTimeIsUp(): void
    {
        $laravel = $this->laravel('program');
        $laravel->connection()->push(new Patient('patient', 'release 4'));
        $worker = $laravel->worker('--sleep=0.1');
        $notes = $laravel->waitForNotes(2);
        self::assertSame('patient 1', $notes[0]);
        self::assertStringStartsWith('patient failed: App\Jobs\Patient has been attempted too many times', $notes[1]);
        $worker->kill();
    }

    /** If failed_jobs cannot be written, a job would be lost. It is in the queue's failed queue at the broker. @dataProvider networked */
    #[DataProvider('networked')]
    public function testAFailureThatCannotBeRecordedLosesNoJob(string $broker): void
    {
        $laravel = $this->laravel($broker);
        (new \PDO("sqlite:$laravel->storage/database.sqlite"))->exec('drop table failed_jobs');
        $laravel->connection()->push(new Note('job', 'throw'));
        $laravel->ran('queue:work', '--stop-when-empty', '--tries=1');
        self::assertStringContainsString('no such table: failed_jobs', $laravel->log());
        self::assertNull($laravel->connection()->pop());
        $task = $laravel->amqpQueue()->failed()->reserve(5);
        self::assertNotNull($task);
        self::assertSame('thrown by job', $task->getFailure()['error'] ?? null);
        self::assertSame('App\Jobs\Note', $task->getName());
        $task->ack();
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testSeveralQueuesInTheirOrderAndSeveralConnections(string $broker): void
    {
        $at = $this->broker($broker);
        $other = $this->uniqueName($at, 'laravel');
        $laravel = $this->laravel($broker, [], ['TEST_SECOND_DSN' => $at->dsn, 'TEST_SECOND_QUEUE' => $other]);
        $high = $this->uniqueName($at, 'laravel');
        $laravel->connection()->bulk([new Note('low-1'), new Note('low-2')]);
        $laravel->connection()->pushOn($high, new Note('high-1'));
        $laravel->connection()->pushOn($high, new Note('high-2'));
        Note::dispatch('second')->onConnection('second');
        $laravel->ran('queue:work', "--queue=$high,$laravel->queue", '--stop-when-empty');
        self::assertSame(['high-1 1', 'high-2 1', 'low-1 1', 'low-2 1'], $laravel->notes());
        $laravel->ran('queue:work', 'second', '--stop-when-empty');
        self::assertSame('second 1', $laravel->notes()[4]);
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testTenThousandJobsNoneLostNoneTwice(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $workers = [$laravel->worker('--sleep=0.1', '--quiet'), $laravel->worker('--sleep=0.1', '--quiet')];
        for ($n = 0; $n < 10_000; $n += 1000) {
            $laravel->connection()->bulk(array_map(static fn (int $n) => new Note("$n"), range($n, $n + 999)));
        }
        $notes = $laravel->waitForNotes(10_000, 240);
        foreach ($workers as $worker) {
            $worker->signal(SIGTERM);
            self::assertSame(0, $worker->wait());
        }
        $numbers = array_map('intval', $laravel->notes());
        sort($numbers);
        self::assertSame(range(0, 9999), $numbers);
        self::assertCount(10_000, $notes);
    }
}
