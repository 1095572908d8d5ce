<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use PHPUnit\Framework\Attributes\DataProvider;

/**
 * What each package in integrations/ that brings its own worker must pass: jobs survive a killed worker and a lost connection,
 * SIGTERM lets the current job finish, ten thousand jobs are done once each.
 */
abstract class AdapterTestCase extends AdapterCase
{
    /** @return array<string, array{string}> */
    public static function workedOn(): array
    {
        return array_intersect_key(self::networked(), ['program' => 0, 'servicebus' => 0, 'rabbitmq' => 0, 'rabbitmq-4.3' => 0])
            ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider workedOn */
    #[DataProvider('workedOn')]
    public function testAKilledWorkerLosesNoJob(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $jobs = array_map(static fn (int $n) => "job-$n", range(1, 20));
        $this->pushAll($at->dsn, $name, $jobs);
        $killed = $this->work($at->dsn, $name, 0.2);
        $killed->waitFor('done job-2');
        $killed->signal(SIGKILL);
        self::assertSame(128 + SIGKILL, $killed->wait());
        $this->assertOthersDo(array_diff($jobs, self::jobs($killed, 'done')), $at->dsn, $name);
    }

    /** @dataProvider workedOn */
    #[DataProvider('workedOn')]
    public function testSigtermLetsTheJobFinishAndLeavesTheOthers(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $this->pushAll($at->dsn, $name, ['one', 'two', 'three']);
        $worker = $this->work($at->dsn, $name, 1);
        $worker->waitFor('took one');
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertSame([['one'], ['one']], [self::jobs($worker, 'took'), self::jobs($worker, 'done')]);
        $next = $this->work($at->dsn, $name);
        self::assertSame(0, $next->wait(30), $next->output());

        self::assertSame(['two', 'three'], self::jobs($next, 'done'));
    }

    /** @dataProvider workedOn */
    #[DataProvider('workedOn')]
    public function testALostConnectionLosesNoJob(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $proxy = new Proxy($at);
        $jobs = array_map(static fn (int $n) => "job-$n", range(1, 50));
        $this->pushAll($proxy->dsn, $name, $jobs);
        $worker = $this->work($proxy->dsn, $name, 0.02);
        foreach (['done job-10', 'done job-25'] as $line) {
            $worker->waitFor($line);
            $proxy->cut();
        }
        self::assertSame(0, $worker->wait(60), $worker->output());
        $this->assertOthersDo(array_diff($jobs, self::jobs($worker, 'done')), $at->dsn, $name);
    }

    /** @return array<string, array{string}> */
    public static function real(): array
    {
        return self::newestRabbitMq();
    }

    /** @dataProvider real */
    #[DataProvider('real')]
    public function testTenThousandJobsAreDoneOnceEach(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $jobs = array_map(strval(...), range(1, 10_000));
        $this->pushAll($at->dsn, $name, $jobs);
        $workers = [$this->work($at->dsn, $name), $this->work($at->dsn, $name)];
        $done = [];
        foreach ($workers as $worker) {
            self::assertSame(0, $worker->wait(300), substr($worker->output(), -2000));
            $done = [...$done, ...self::jobs($worker, 'done')];
        }
        sort($done, SORT_NUMERIC);

        self::assertSame($jobs, $done);
    }
}
