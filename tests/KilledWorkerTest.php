<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Task;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/**
 * A killed worker has one job in hand and nine in its buffer, and the broker counts ten lost deliveries. Jobs that the
 * worker never handed out must keep their attempts, but a job that kills workers must still end in the failed queue.
 */
final class KilledWorkerTest extends ContractTestCase
{
    private const WORKER = <<<'PHP'
        $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['max_attempts' => 3, 'backoff' => 0]);
        $worker = new Amqp1\Worker($queue, ['*' => function ($task) use ($argv) {
            [$name, $id] = [$task->getName(), $task->getPayload()];
            file_put_contents($argv[3], "$name-$id {$task->getAttempts()}\n", FILE_APPEND);
            if ($name === 'kill' || $name === 'unlucky' && substr_count(file_get_contents($argv[3]), "$name-$id ") <= 3) {
                posix_kill(getmypid(), SIGKILL);
            }
            if ($name === 'fail') {
                throw new RuntimeException('on each attempt');
            }
        }], ['prefetch' => 10, 'stopWhenEmpty' => true, 'reserveTimeout' => 1.5], new class {
            public function log($level, $message, array $context = []) {}
        });
        exit($worker->run()->exitCode());
        PHP;

    private string $log;

    protected function setUp(): void
    {
        $this->log = tempnam(sys_get_temp_dir(), 'amqp1-test-');
    }

    protected function tearDown(): void
    {
        @unlink($this->log);
        parent::tearDown();
    }

    /** @return array<string, array{string, string}> brokers and queue types that count lost deliveries */
    public static function counting(): array
    {
        $sets = [];
        foreach (array_diff(array_column(self::fullyFeatured(), 0), ['servicebus', 'artemis']) as $broker) {
            foreach (in_array($broker, ['program', ''], true) ? ['quorum'] : ['quorum', 'classic'] as $type) {
                if ($broker !== 'rabbitmq-4.0' || $type !== 'classic') {
                    $sets[trim("$broker $type")] = [$broker, $type];
                }
            }
        }

        return $sets ?: ['none of AMQP1_TEST_BROKERS' => ['', '']];
    }

    /** @dataProvider counting */
    #[DataProvider('counting')]
    public function testAJobThatKillsEndsAndItsNeighboursKeepTheirAttempts(string $broker, string $type): void
    {
        $queue = $this->filled($broker, $type, 'kill');
        self::assertSame(3, $this->work($broker, $queue), 'workers that were killed');

        $runs = $this->runs();
        self::assertCount(3, $runs['kill-0'], 'as often as max_attempts says');
        self::assertSame(1, $runs['kill-0'][0]);
        for ($n = 1; $n < 10; ++$n) {
            self::assertCount(3, $runs["fail-$n"] ?? [], "fail-$n has its three attempts");
        }
        $failed = [];
        foreach ($this->failures($queue) as $task) {
            $failed[$task->getName() . '-' . $task->getPayload()] = $task->getFailure();
        }
        self::assertCount(10, $failed);
        self::assertSame('lost', $failed['kill-0']['reason']);
        self::assertSame(3, $failed['kill-0']['attempts']);
        self::assertStringContainsString('3 times', $failed['kill-0']['error']);
        self::assertSame(['failed', 3], [$failed['fail-1']['reason'], $failed['fail-1']['attempts']]);
        self::assertCount(0, $queue);
    }

    /** @dataProvider counting */
    #[DataProvider('counting')]
    public function testJobsThatWaitedWhileWorkersWereKilledAgainAndAgainAreDone(string $broker, string $type): void
    {
        $queue = $this->queue($broker, ['queue_type' => $type, 'max_attempts' => 3, 'backoff' => 0]);
        // Each worker is killed in the middle of another job.
        $jobs = array_map(static fn ($n) => ['name' => $n < 4 ? 'unlucky' : 'well', 'payload' => $n], range(0, 9));
        $queue->setup();
        $queue->pushMany($jobs);
        self::assertGreaterThanOrEqual(3, $this->work($broker, $queue));

        $runs = $this->runs();
        for ($n = 4; $n < 10; ++$n) {
            self::assertCount(1, $runs["well-$n"], "well-$n ran once");
            self::assertLessThanOrEqual(2, $runs["well-$n"][0], 'one of its deliveries is doubtful at the most');
        }
        foreach ($this->failures($queue) as $task) {
            self::assertSame('unlucky', $task->getName());
        }
        self::assertCount(0, $queue);
    }

    /** @dataProvider counting */
    #[DataProvider('counting')]
    public function testAJobOfOneAttemptIsNotGivenUpUnseen(string $broker, string $type): void
    {
        $queue = $this->queue($broker, ['queue_type' => $type, 'max_attempts' => 1]);
        $queue->setup();
        $queue->pushMany(array_map(static fn ($n) => ['name' => "job $n"], range(1, 3)));
        for ($kill = 0; $kill < 4; ++$kill) {
            $child = Child::php('
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]), ["prefetch" => 3]);
                $task = $consumer->waitTask(10);
                usleep(200000);
                echo $task->getName(), "\n";
                posix_kill(getmypid(), SIGKILL);
            ', [$this->broker($broker)->dsn, $queue->getName()]);
            self::assertSame(128 + SIGKILL, $child->wait());
            $seen[] = trim($child->output());
            if ($kill === 0) {
                // The first kill may not be the job's fault. This is certain only after it came back a second time.
                self::assertSame('job 1', $seen[0]);
            }
        }
        // Each job was handed out before it went to the failed queue.
        $consumer = $this->consumer($queue);
        for ($rest = []; $task = $consumer->waitTask(1);) {
            $rest[] = $task->getName();
            $task->ack();
        }
        $all = array_unique([...$seen, ...$rest]);
        sort($all);
        self::assertSame(['job 1', 'job 2', 'job 3'], $all);
    }

    /** @return array<string, array{string, string}> */
    public static function notCounting(): array
    {
        $sets = ['rabbitmq-4.0 classic' => ['rabbitmq-4.0', 'classic'], 'rabbitmq-3.10 classic' => ['rabbitmq-3.10', 'classic']];

        return array_filter($sets, static fn ($set) => isset(self::brokers()[$set[0]]))
            ?: ['none of AMQP1_TEST_BROKERS' => ['', '']];
    }

    /** @dataProvider notCounting */
    #[DataProvider('notCounting')]
    public function testWhereNothingIsCountedAKilledWorkersJobComesAgainAtItsFirstAttempt(string $broker, string $type): void
    {
        $queue = $this->declared($this->typed($broker, $type, ['max_attempts' => 2, 'backoff' => 0]));
        $queue->push('kill');
        for ($kill = 0; $kill < 3; ++$kill) {
            $child = Child::php('
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]));
                echo $consumer->waitTask(10)->getAttempts();
                posix_kill(getmypid(), SIGKILL);
            ', [$this->broker($broker)->dsn, $queue->getName()]);
            self::assertSame(128 + SIGKILL, $child->wait());
            self::assertSame('1', $child->output());
        }
        // Its exceptions are still counted.
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack('first');
        $task = $this->next($consumer);
        self::assertSame(2, $task->getAttempts());
        $task->nack('second');
        self::assertSame('dead_lettered', $task->getOutcome());
    }

    /** @return array<string, array{string}> */
    public static function others(): array
    {
        return Brokers::others();
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testElsewhereAKilledWorkersNeighboursCountAsItsOwnJobDoes(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 2, 'backoff' => 0]);
        $queue->pushMany(array_map(static fn ($n) => ['name' => "job $n"], range(1, 4)));
        for ($kill = 0; $kill < 3; ++$kill) {
            $child = Child::php('
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]), ["prefetch" => 4]);
                echo $consumer->waitTask(10)->getName();
                usleep(300000);
                posix_kill(getmypid(), SIGKILL);
            ', [$this->broker($broker)->dsn, $queue->getName()]);
            self::assertSame([128 + SIGKILL, 'job 1'], [$child->wait(), $child->output()]);
        }
        $consumer = $this->consumer($queue, ['prefetch' => 4]);
        $tasks = array_map(fn () => $this->next($consumer), range(1, 4));
        $attempts = array_map(static fn (Task $task) => $task->getAttempts(), $tasks);
        self::assertCount(1, array_unique($attempts), json_encode($attempts));
        switch ($broker) {
            case 'activemq':
                self::assertSame(1, $attempts[0], 'its count is left out');
                break;
            case 'artemis':
                // Artemis does not count some lost connections: it counts all of a connection's deliveries, or none.
                self::assertContains($attempts[0], [1, 2, 3, 4]);
                break;
            default:
                self::assertSame(4, $attempts[0]);
        }
        foreach ($tasks as $task) {
            $task->nack('the first time that it is handed out');
            self::assertSame($attempts[0] < 2 ? 'retried' : 'dead_lettered', $task->getOutcome());
        }
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testWhatGoesBackUnseenIsNoAttempt(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 3, 'backoff' => 0]);
        $queue->setup();
        $queue->pushMany(array_map(static fn ($n) => ['name' => "job $n"], range(1, 5)));
        for ($round = 0; $round < 6; ++$round) {
            $consumer = $this->consumer($queue, ['prefetch' => 5]);
            $task = $this->next($consumer);
            usleep(100000);
            $round % 2 ? $consumer->pause() : $consumer->stop();
            $task->release();
            $consumer->close();
        }
        $consumer = $this->consumer($queue);
        $attempts = [];
        for ($n = 0; $n < 5; ++$n) {
            $task = $this->next($consumer);
            $attempts[$task->getName()] = $task->getAttempts();
            $task->ack();
        }
        self::assertSame(5 + 6, array_sum($attempts), 'the six that were released in hand, and no more: '
            . json_encode($attempts));
    }

    private function filled(string $broker, string $type, string $first): AmqpQueue
    {
        $queue = $this->queue($broker, ['queue_type' => $type]);
        $queue->setup();
        $jobs = array_map(static fn ($n) => ['name' => $n ? 'fail' : $first, 'payload' => $n], range(0, 9));
        $queue->pushMany($jobs);

        return $queue;
    }

    /** Starts workers until one ends by itself. Returns how many were killed. */
    private function work(string $broker, AmqpQueue $queue): int
    {
        $dsn = $this->broker($broker)->dsn;
        for ($killed = 0; $killed < 30; ++$killed) {
            $child = Child::php("require '" . dirname(__DIR__) . "/php/autoload.php';\n" . self::WORKER,
                [$dsn, $queue->getName(), $this->log]);
            $status = $child->wait();
            if ($status !== 128 + SIGKILL) {
                self::assertSame(0, $status, $child->output());

                return $killed;
            }
        }
        self::fail('a job goes on killing workers');
    }

    /** @return list<Task> the jobs in the failed queue */
    private function failures(AmqpQueue $queue): array
    {
        $tasks = [];
        $consumer = $this->consumer($queue->failed());
        while ($task = $consumer->waitTask(0)) {
            $task->ack();
            $tasks[] = $task;
        }

        return $tasks;
    }

    /** @return array<string, list<int>> for each job, the attempts at which its handler ran */
    private function runs(): array
    {
        $runs = [];
        foreach (file($this->log, FILE_IGNORE_NEW_LINES) as $line) {
            [$job, $attempt] = explode(' ', $line);
            $runs[$job][] = (int) $attempt;
        }

        return $runs;
    }
}
