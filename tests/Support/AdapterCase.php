<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

/** A package in integrations/ whose application is a producer and a worker of its own. */
abstract class AdapterCase extends ContractTestCase
{
    /** Pushes jobs through the package, each with a string that worker() prints. */
    abstract protected function pushAll(string $dsn, string $queue, iterable $jobs): void;

    /**
     * The code of a worker process. It is called with the DSN, the queue and the seconds a job takes. For each job, it prints
     * "took JOB", calls work(seconds), settles and prints "done JOB" (or "lost", if its delivery was lost). Without jobs for two
     * seconds, or after SIGTERM, it prints "end" and exits with 0.
     */
    abstract protected function worker(): string;

    protected function work(string $dsn, string $queue, float $seconds = 0): Child
    {
        return Child::php(<<<'PHP'
            function work(float $seconds): void {
                for ($until = microtime(true) + $seconds; microtime(true) < $until; usleep(10000)); // signals interrupt usleep()
            }
            PHP . "\n" . $this->worker(), [$dsn, $queue, (string) $seconds]);
    }

    /** @return list<string> the jobs that the worker has printed after $word */
    protected static function jobs(Child $worker, string $word): array
    {
        preg_match_all("/^$word (.*)$/m", $worker->output(), $found);

        return $found[1];
    }

    /** Service Bus returns what a worker held when the locks end. */
    protected function assertOthersDo(array $jobs, string $dsn, string $queue): void
    {
        for ($deadline = microtime(true) + 60; $jobs !== [] && microtime(true) < $deadline;) {
            $worker = $this->work($dsn, $queue);
            self::assertSame(0, $worker->wait(60), $worker->output());
            $jobs = array_diff($jobs, self::jobs($worker, 'done'));
        }
        self::assertSame([], array_values($jobs));
    }
}
