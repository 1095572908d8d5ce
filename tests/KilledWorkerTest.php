<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Task;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
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
        }], ['prefetch' => 10, 'stopWhenEmpty' => true, 'reserveTimeout' => (float) $argv[4]], new class {
            public function log($level, $message, array $context = []) {}
        });
        exit($worker->run()->exitCode());
        PHP;

    /** Of Service Bus: locks of two seconds, which are all that is left of a killed process. */
    private static ?ProgramBroker $locks = null;

    private string $log;

    protected function setUp(): void
    {
        $this->log = tempnam(sys_get_temp_dir(), 'amqp1-test-');
    }

    public static function tearDownAfterClass(): void
    {
        self::$locks = null;
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
        foreach (array_filter(array_unique(array_column([...self::fullyFeatured(), ...self::others()], 0))) as $broker) {
            $types = match (true) {
                $broker === 'activemq' => [],
                in_array($broker, ['servicebus', 'artemis', 'qpid'], true) => [''],
                in_array($broker, ['program', 'rabbitmq-4.0'], true) => ['quorum'],
                default => ['quorum', 'classic'],
            };
            foreach ($types as $type) {
                $sets[trim("$broker $type")] = [$broker, $type];
            }
        }

        return $sets ?: ['none of AMQP1_TEST_BROKERS' => ['', '']];
    }

    /** @dataProvider counting */
    #[DataProvider('counting')]
    public function testAJobThatKillsEndsAndItsNeighboursKeepTheirAttempts(string $broker, string $type): void
    {
        $queue = $this->filled($broker, $type, 'kill');
        $killed = $this->work($broker, $queue);
        $runs = $this->runs();
        self::assertCount($killed, $runs['kill-0']);
        if ($broker === 'artemis') {
            // Some lost connections are not counted there: all of a connection's deliveries are, or none.
            self::assertGreaterThanOrEqual(3, $killed);
        } else {
            self::assertSame(3, $killed, 'as often as max_attempts says');
        }
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
        $this->assertDone($queue);
    }

    /** @dataProvider counting */
    #[DataProvider('counting')]
    public function testJobsThatWaitedWhileWorkersWereKilledAgainAndAgainAreDone(string $broker, string $type): void
    {
        $queue = $this->made($broker, $type, ['max_attempts' => 3, 'backoff' => 0]);
        // Each worker is killed in the middle of another job.
        $jobs = array_map(static fn ($n) => ['name' => $n < 4 ? 'unlucky' : 'well', 'payload' => $n], range(0, 9));
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
        $this->assertDone($queue);
    }

    /** @dataProvider counting */
    #[DataProvider('counting')]
    public function testAJobOfOneAttemptIsNotGivenUpUnseen(string $broker, string $type): void
    {
        $queue = $this->made($broker, $type, ['max_attempts' => 1]);
        $queue->pushMany(array_map(static fn ($n) => ['name' => "job $n"], range(1, 3)));
        for ($kill = 0; $kill < 4; ++$kill) {
            $child = Child::php('
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]), ["prefetch" => 3]);
                $task = $consumer->waitTask(10);
                usleep(200000);
                echo $task->getName(), "\n";
                posix_kill(getmypid(), SIGKILL);
            ', [$this->dsn($broker), $queue->getName()]);
            self::assertSame(128 + SIGKILL, $child->wait(), $child->output());
            $seen[] = trim($child->output());
            if ($kill === 0) {
                // The first kill may not be the job's fault. This is certain only after it came back a second time.
                self::assertSame('job 1', $seen[0]);
            }
        }
        // Each job was handed out before it went to the failed queue.
        $consumer = $this->consumer($queue);
        for ($rest = []; $task = $consumer->waitTask($this->patience($broker));) {
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
        $types = ['rabbitmq-4.0' => 'classic', 'rabbitmq-3.10' => 'classic', 'activemq' => ''];
        $sets = [];
        foreach (array_unique(array_column([...self::brokers(), ...self::others()], 0)) as $broker) {
            if (isset($types[$broker])) {
                $sets[trim("$broker $types[$broker]")] = [$broker, $types[$broker]];
            }
        }

        return $sets ?: ['none of AMQP1_TEST_BROKERS' => ['', '']];
    }

    /** @dataProvider notCounting */
    #[DataProvider('notCounting')]
    public function testWhereNothingIsCountedAKilledWorkersJobsComeAgainAtTheirFirstAttempt(string $broker, string $type): void
    {
        $queue = $this->made($broker, $type, ['max_attempts' => 3, 'backoff' => 0]);
        $queue->pushMany(array_map(static fn ($n) => ['name' => "job $n"], range(1, 10)));
        for ($kill = 0; $kill < 4; ++$kill) {
            $child = Child::php('
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]), ["prefetch" => 10]);
                $task = $consumer->waitTask(10);
                usleep(200000);
                echo $task->getName(), $task->getAttempts();
                posix_kill(getmypid(), SIGKILL);
            ', [$this->dsn($broker), $queue->getName()]);
            self::assertSame([128 + SIGKILL, 'job 11'], [$child->wait(), $child->output()]);
        }
        // Their exceptions are still counted, each job's own.
        $consumer = $this->consumer($queue, ['prefetch' => 10]);
        $outcomes = [];
        for ($n = 0; $n < 30; ++$n) {
            $task = $this->next($consumer);
            $task->nack('again');
            $outcomes[$task->getAttempts()][] = $task->getOutcome();
        }
        self::assertSame([
            1 => array_fill(0, 10, 'retried'),
            2 => array_fill(0, 10, 'retried'),
            3 => array_fill(0, 10, 'dead_lettered'),
        ], $outcomes);
    }

    /** @return array<string, array{string}> */
    public static function limiting(): array
    {
        $brokers = array_unique(array_column([...self::brokers(), ...self::others()], 0));
        $sets = array_intersect(['artemis', 'qpid'], $brokers);

        return $sets ? array_combine($sets, array_map(static fn ($broker) => [$broker], $sets))
            : ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider limiting */
    #[DataProvider('limiting')]
    public function testAJobWithoutAnEndOfAttemptsOutlivesTheBrokersOwnLimit(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 0]);
        $queue->pushMany(array_map(static fn ($n) => ['name' => $n ? "job $n" : 'kill'], range(0, 3)));
        $dead = $broker === 'artemis' ? $this->queue($broker, [], 'DLQ') : null;
        $before = $dead?->count();
        for ($attempts = $kills = 0; $attempts < 13; ++$kills) {
            $child = Child::php('
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2], ["max_attempts" => 0]), ["prefetch" => 4]);
                while ($task = $consumer->waitTask(10)) {
                    $tasks[] = $task;
                    if ($task->getName() === "kill") {
                        usleep(100000);
                        echo $task->getAttempts();
                        posix_kill(getmypid(), SIGKILL);
                    }
                }
            ', [$this->dsn($broker), $queue->getName()]);
            self::assertSame(128 + SIGKILL, $child->wait(), $child->output());
            $attempts = (int) $child->output();
            self::assertLessThan(80, $kills, "attempt $attempts");
        }
        $consumer = $this->consumer($queue, ['prefetch' => 4]);
        for ($names = []; $task = $consumer->waitTask(2); $task->ack()) {
            $names[] = $task->getName();
        }
        sort($names);
        self::assertSame(['job 1', 'job 2', 'job 3', 'kill'], $names, "after $kills kills");
        self::assertSame($before, $dead?->count(), 'nothing is in the dead-letter queue of the broker');
    }

    public function testOnServiceBusAJobIsTriedMoreOftenThanTheQueueDeliversOne(): void
    {
        $queue = $this->made(self::serviceBus(), '', ['max_attempts' => 13, 'backoff' => 0]);
        $queue->push('job', 'payload', ['headers' => ['kept' => 'yes']]);
        $consumer = $this->consumer($queue);
        for ($attempt = 1; $attempt <= 13; ++$attempt) {
            $task = $this->next($consumer);
            self::assertSame([$attempt, 'yes', 'payload'], [$task->getAttempts(), $task->getHeader('kept')[0], $task->getPayload()]);
            $task->nack("the {$attempt}th");
        }
        self::assertSame('dead_lettered', $task->getOutcome());
        [$task] = $this->failures($queue);
        self::assertSame(['failed', 'the 13th', 13], array_values(array_intersect_key($task->getFailure(),
            ['reason' => 0, 'error' => 0, 'attempts' => 0])));
    }

    public function testOnServiceBusASessionKeepsItsOrderAndItsJobsTheirAttempts(): void
    {
        $broker = ProgramBroker::serviceBus(['--lock-duration', '2', '--session-queue', 'sessions']);
        $queue = new AmqpQueue(self::emulated($broker), 'sessions', ['max_attempts' => 2, 'backoff' => 0]);
        foreach (range(1, 4) as $n) {
            $queue->push("job $n", null, ['group' => 's']);
        }
        // Frozen, as by a machine that is out of memory: the lock runs out, which counts; a connection's end does not.
        for ($frozen = []; count($frozen) < 3;) {
            $frozen[] = $child = Child::php('
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]), ["prefetch" => 4, "session" => "s"]);
                $task = $consumer->waitTask(20);
                usleep(200000);
                echo $task->getName(), " at ", $task->getAttempts(), "\n";
                sleep(60);
            ', [self::emulated($broker), 'sessions']);
            $child->waitFor('job 1 at ' . count($frozen));
            $child->signal(SIGSTOP);
        }
        $consumer = $this->consumer($queue, ['prefetch' => 4, 'session' => 's']);
        $tasks = array_map(fn () => $this->next($consumer, 20), range(1, 4));
        self::assertSame(['job 1', 'job 2', 'job 3', 'job 4'], array_map(static fn (Task $task) => $task->getName(), $tasks));
        foreach ($tasks as $task) {
            $task->nack('once');
            self::assertSame([4, 'retried'], [$task->getAttempts(), $task->getOutcome()], $task->getName());
        }
        array_map(static fn (Child $child) => $child->signal(SIGKILL), $frozen);
    }

    /** @return array<string, array{string}> */
    public static function others(): array
    {
        return array_diff_key(Brokers::others(), ['none of AMQP1_TEST_BROKERS' => '']);
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

    /** @dataProvider counting */
    #[DataProvider('counting')]
    public function testWhatIsInHandWhenItsConsumerClosesIsNoAttempt(string $broker, string $type): void
    {
        $queue = $this->made($broker, $type, ['max_attempts' => 2]);
        $queue->pushMany(array_map(static fn ($n) => ['name' => "job $n"], range(1, 3)));
        for ($round = 0; $round < 4; ++$round) {
            $consumer = $this->consumer($queue, ['prefetch' => 3]);
            $tasks = array_map(fn () => $this->next($consumer), range(1, 3));
            self::assertSame([1, 1, 1], array_map(static fn (Task $task) => $task->getAttempts(), $tasks));
            $consumer->close();
        }
    }

    private function filled(string $broker, string $type, string $first): AmqpQueue
    {
        $queue = $this->made($broker, $type);
        $jobs = array_map(static fn ($n) => ['name' => $n ? 'fail' : $first, 'payload' => $n], range(0, 9));
        $queue->pushMany($jobs);

        return $queue;
    }

    /** A queue that is there. */
    private function made(string $broker, string $type, array $options = []): AmqpQueue
    {
        if ($broker === 'servicebus') {
            return new AmqpQueue($this->dsn($broker), 'killed-' . bin2hex(random_bytes(6)), $options);
        }
        $queue = $type === '' ? $this->queue($broker, $options) : $this->typed($broker, $type, $options);
        if ($this->broker($broker)->supports('queue-options')) {
            $queue->setup();
        }

        return $queue;
    }

    private static function serviceBus(): string
    {
        return in_array('servicebus', Brokers::names(), true) ? 'servicebus' : '';
    }

    private function dsn(string $broker): string
    {
        if ($broker !== 'servicebus') {
            return $this->broker($broker)->dsn;
        }
        self::$locks ??= ProgramBroker::serviceBus(['--lock-duration', '2']);

        return self::emulated(self::$locks);
    }

    private static function emulated(ProgramBroker $broker): string
    {
        return 'amqp://RootManageSharedAccessKey:SAS_KEY_VALUE@' . $broker->address() . '/?dialect=servicebus';
    }

    /** Seconds after which nothing more comes back from a killed process. */
    private function patience(string $broker): float
    {
        return $broker === 'servicebus' ? 4 : 1.5;
    }

    private function assertDone(AmqpQueue $queue): void
    {
        self::assertNull($this->consumer($queue)->waitTask(0.5));
    }

    /** Starts workers until one ends by itself; how many were killed. */
    private function work(string $broker, AmqpQueue $queue): int
    {
        $dsn = $this->dsn($broker);
        for ($killed = 0; $killed < 30; ++$killed) {
            $child = Child::php("require '" . dirname(__DIR__) . "/php/autoload.php';\n" . self::WORKER,
                [$dsn, $queue->getName(), $this->log, $this->patience($broker)]);
            $status = $child->wait();
            if ($status !== 128 + SIGKILL) {
                self::assertSame(0, $status, $child->output());

                return $killed;
            }
        }
        self::fail('a job goes on killing workers');
    }

    /** @return list<Task> what is in the failed queue */
    private function failures(AmqpQueue $queue): array
    {
        $tasks = [];
        $consumer = $this->consumer($queue->failed());
        while ($task = $consumer->waitTask(1)) {
            $task->ack();
            $tasks[] = $task;
        }

        return $tasks;
    }

    /** @return array<string, list<int>> of each job the attempts at which its handler ran */
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
