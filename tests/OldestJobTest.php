<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Prometheus;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Worker\Monitoring\OldestJob;
use PHPUnit\Framework\Attributes\DataProvider;

/** How old the oldest job is: told where the broker shows jobs without delivering them, and left out elsewhere, not 0. */
final class OldestJobTest extends ContractTestCase
{
    public static function showing(): array
    {
        return PeekTest::showing();
    }

    public static function notShowing(): array
    {
        return PeekTest::notShowing();
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testTheAgeIsThatOfTheFirstJobThatIsDue(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 1]);
        self::assertSame(['oldest_age' => 0.0, 'oldest_failed_age' => 0.0], self::ages($queue), 'empty');
        // More than are looked at together.
        $queue->pushMany(array_fill(0, 130, ['name' => 'later', 'options' => ['delay' => 600]]));
        self::assertSame(['oldest_age' => 0.0, 'oldest_failed_age' => 0.0], self::ages($queue), 'no job is due');
        $queue->push('soon', null, ['delay' => 2]);
        usleep(3_000_000);
        $queue->push('now');
        $this->eventually(static fn () => $queue->stats()['ready'] === 2, 'two are due');
        self::assertEqualsWithDelta(1.3, self::ages($queue)['oldest_age'], 1, 'since it was due, not since it was pushed');
        $queue->reserve(10)->nack('no');
        usleep(1_200_000);
        $ages = self::ages($queue);
        self::assertEqualsWithDelta(1.3, $ages['oldest_age'], 0.9, 'the second one');
        self::assertEqualsWithDelta(1.3, $ages['oldest_failed_age'], 1.2, 'since it failed');
    }

    public static function showingOverANetwork(): array
    {
        return PeekTest::showingOverANetwork();
    }

    /** @dataProvider showingOverANetwork */
    #[DataProvider('showingOverANetwork')]
    public function testItCostsOneRequestAndAnotherOneForFailedJobs(string $broker): void
    {
        $proxy = new Proxy($this->broker($broker));
        $queue = new AmqpQueue($proxy->dsn, $this->uniqueName($this->broker($broker)), ['max_attempts' => 1, 'timeout' => 10]);
        $queue->push('job');
        $queue->reserve(10)->nack('no');
        $queue->push('job');
        $sent = static function (int $failed) use ($queue, $proxy): int {
            OldestJob::ages($queue, 1, $failed);
            $before = $proxy->counts()['up'];
            OldestJob::ages($queue, 1, $failed);

            return $proxy->counts()['up'] - $before;
        };
        $one = $sent(0);
        $two = $sent(1);
        self::assertLessThan(400, $one, 'bytes');
        self::assertLessThan(2.5 * $one, $two, 'bytes');
    }

    /** @dataProvider notShowing */
    #[DataProvider('notShowing')]
    public function testElsewhereItIsLeftOutAndCostsNothing(string $broker): void
    {
        if (!$this->broker($broker)->supports('management')) {
            self::markTestSkipped('it does not tell its figures');
        }
        $proxy = new Proxy($this->broker($broker));
        $queue = new AmqpQueue($proxy->dsn, $name = $this->uniqueName($this->broker($broker)), ['timeout' => 10]);
        $queue->push('job');
        $stats = $queue->stats();
        $before = $proxy->counts()['up'];
        self::assertSame(['oldest_age' => null, 'oldest_failed_age' => null], OldestJob::ages($queue, $stats['ready'], 0));
        self::assertLessThan(50, $proxy->counts()['up'] - $before, 'a heartbeat at most');
        $this->assertTold($broker, $name, false);
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testCommandsAndMetricsTellIt(string $broker): void
    {
        if ($broker === 'embedded') {
            self::markTestSkipped('another process does not see its jobs');
        }
        $queue = $this->queue($broker);
        $queue->push('job');
        usleep(1_100_000);
        $this->assertTold($broker, $queue->getName(), true);
    }

    private function assertTold(string $broker, string $name, bool $isTold): void
    {
        $environment = ['AMQP1_DSN' => $this->broker($broker)->dsn];
        $old = static fn (mixed $age) => self::assertTrue($isTold ? $age >= 1.0 && $age < 60 : $age === null, json_encode($age));
        $stats = Cli::run(['stats', '-Q', $name, '--json'], $environment);
        $old($stats->json()[0]['oldest_age']);
        self::assertEquals($isTold ? 0 : null, $stats->json()[0]['oldest_failed_age']);
        self::assertMatchesRegularExpression('/ FAILED +OLDEST +BROKER\n.* ' . ($isTold ? '\d+ s' : '-') . ' +\S/', Cli::run(['stats', '-Q', $name], $environment)->out);
        $top = Cli::run(['top', '-Q', $name, '--once', '--json', '--interval=0.2'], $environment);
        $old($top->json()['queues'][0]['oldest_age']);

        // The worker has the job in hand, so that it stays.
        $handlers = sys_get_temp_dir() . '/amqp1-oldest-' . bin2hex(random_bytes(6)) . '.php';
        file_put_contents($handlers, '<?php return function () { fwrite(STDERR, "begin\n"); sleep(30); };');
        $worker = Child::command(Cli::command('work', '-H', $handlers, '-Q', $name, '--prefetch=1', '--metrics=127.0.0.1:0', '--metrics-interval=1'), $environment);
        try {
            preg_match('#http://[\d.:]+/metrics#', $worker->waitFor('metrics at '), $at);
            $worker->waitFor('begin');
            (new AmqpQueue($environment['AMQP1_DSN'], $name))->push('waits');
            $samples = static fn (): array => Prometheus::parse((string) file_get_contents($at[0]));
            $this->eventually(static fn () => ($samples()['amqp1_queue_ready_jobs']['samples'][0]['value'] ?? 0) > 0, 'it was asked');
            $all = $samples();
            self::assertSame($isTold, isset($all['amqp1_queue_oldest_job_age_seconds'], $all['amqp1_queue_oldest_failed_job_age_seconds']));
            if ($isTold) {
                $old($all['amqp1_queue_oldest_job_age_seconds']['samples'][0]['value']);
            }
        } finally {
            $worker->signal(SIGKILL);
            $worker->wait(10);
            unlink($handlers);
        }
    }

    /** @return array<string, float|null> */
    private static function ages(AmqpQueue $queue): array
    {
        return OldestJob::ages($queue, $queue->stats()['ready'], $queue->failed()->count());
    }
}
