<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Task;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Worker;
use Amqp1\Worker\Batch;
use Amqp1\Worker\Event;
use Amqp1\Worker\StopReason;
use DomainException;
use PHPUnit\Framework\Attributes\DataProvider;

/** Handlers that take many jobs at once: when they are called, how each job ends, and what a signal, a lost broker or an end does to them. */
final class WorkerBatchTest extends ContractTestCase
{
    /**
     * The handler of "rows" prints the ids that it gets, and then does what the batch's first payload says. The options are
     * JSON in $argv[3], the size and the seconds of a batch are $argv[4] and $argv[5].
     */
    private const WORKER = <<<'PHP'
        require getenv('AMQP1_TEST_AUTOLOAD');
        [, $dsn, $name, $options, $size, $seconds] = $argv;
        $queue = new Amqp1\AmqpQueue($dsn, $name, ['redial_timeout' => 0.5]);
        $worker = new Amqp1\Worker($queue, ['other' => fn () => print("other\n")], json_decode($options, true));
        $worker->batch('rows', function (array $tasks) {
            echo 'begin ', implode(',', array_map(fn ($task) => $task->getId(), $tasks)), "\n";
            $do = $tasks[0]->getPayload();
            if ($do === 'exit') {
                $tasks[1]->ack();
                exit(7);
            }
            for ($until = microtime(true) + (float) $do; microtime(true) < $until;) { usleep(20_000); }
            echo "end\n";
        }, (int) $size, (float) $seconds);
        $worker->listen('*', fn ($event) => print("event $event->name\n"));
        $summary = $worker->run();
        echo json_encode($summary), "\n";
        exit($summary->exitCode());
        PHP;

    private string|false $log;

    public static function setUpBeforeClass(): void
    {
        putenv('AMQP1_TEST_AUTOLOAD=' . dirname(__DIR__) . '/php/autoload.php');
    }

    protected function setUp(): void
    {
        $this->log = ini_set('error_log', '/dev/null');
    }

    protected function tearDown(): void
    {
        ini_set('error_log', (string) $this->log);
        parent::tearDown();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testABatchIsHandedOverWhenItIsFullAndWhenItIsOldEnough(string $broker): void
    {
        // The queue's own prefetch would never fill a batch.
        $queue = $this->declared($this->queue($broker, ['prefetch' => 3]));
        $queue->pushMany(array_map(static fn (int $n) => ['name' => 'row', 'payload' => $n], range(1, 23)));
        $batches = $times = [];
        $start = hrtime(true);
        $worker = new Worker($queue, [], ['stopWhenEmpty' => true, 'reserveTimeout' => 2]);
        $worker->batch('row', static function (array $tasks) use (&$batches, &$times, $start): void {
            $batches[] = array_map(static fn (Task $task) => $task->getPayload(), $tasks);
            $times[] = (hrtime(true) - $start) / 1e9;
        }, size: 10, seconds: 1.5);

        $summary = $worker->run();

        self::assertSame([10, 10, 3], array_map('count', $batches));
        self::assertSame(range(1, 23), array_merge(...$batches), 'each once, in their order');
        self::assertGreaterThanOrEqual(1.5, $times[2] - $times[1] + 0.05);
        self::assertSame([StopReason::Empty, 23, 23], [$summary->reason, $summary->jobs, $summary->acked]);
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEachJobOfABatchIsSettledOnItsOwn(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $queue->pushMany(array_map(static fn (string $name) => ['name' => $name], ['acked', 'buried', 'failed', 'untouched']));
        $seen = [];
        $worker = new Worker($queue, ['*' => new Batch(static function (array $tasks) use (&$seen): void {
            foreach ($tasks as $task) {
                $seen[] = "{$task->getName()} {$task->getAttempts()}";
                match ($task->getName()) {
                    'acked' => $task->ack(),
                    'buried' => $task->deadLetter('spoilt'),
                    'failed' => $task->getAttempts() === 1 ? $task->nack(new DomainException('not yet')) : null,
                    'untouched' => null,
                };
            }
        }, 4, 0.5)], ['backoff' => 0, 'stopWhenEmpty' => true, 'reserveTimeout' => 1.5]);

        $summary = $worker->run();

        self::assertSame(['acked 1', 'buried 1', 'failed 1', 'untouched 1', 'failed 2'], $seen);
        self::assertSame([5, 3, 1, 1], [$summary->jobs, $summary->acked, $summary->retried, $summary->deadLettered]);
        self::assertSame('spoilt', $this->take($queue->failed())->getFailure()['reason']);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testABatchThatThrowsHasFailedButForWhatItSettled(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $queue->pushMany(array_map(static fn (int $n) => ['name' => 'row', 'payload' => $n], range(1, 4)));
        $seen = $events = [];
        $worker = new Worker($queue, [], ['maxAttempts' => 2, 'backoff' => 0, 'stopWhenEmpty' => true, 'reserveTimeout' => 1.5]);
        $worker->batch('row', static function (array $tasks) use (&$seen): void {
            foreach ($tasks as $task) {
                $seen[] = $task->getPayload() . '/' . $task->getAttempts();
            }
            $tasks[0]->ack();
            throw new DomainException('the database is away');
        }, size: 4, seconds: 0.5);
        $worker->listen(Event\JobEnded::class, static function (Event $event) use (&$events): void {
            $events[] = "$event->name {$event->task->getPayload()} " . ($event->error?->getMessage() ?? '-');
        });

        $summary = $worker->run();

        self::assertSame(['1/1', '2/1', '3/1', '4/1', '2/2', '3/2', '4/2'], $seen);
        self::assertSame([7, 2, 3, 2], [$summary->jobs, $summary->acked, $summary->retried, $summary->deadLettered]);
        self::assertSame(['job.ack 1 -', 'job.retry 2 the database is away', 'job.retry 3 the database is away'], array_slice($events, 0, 3));
        self::assertSame('the database is away', $this->take($queue->failed())->getFailure()['error']);
    }

    public function testBatchesBesideOtherHandlersAndOfSeveralQueues(): void
    {
        [$one, $two] = [$this->queue('embedded'), $this->queue('embedded')];
        foreach (range(1, 5) as $n) {
            $one->push('a', "one $n");
            $one->push('single', "single $n");
            $two->push('a', "two $n");
            $two->push('b.x', "b $n");
        }
        $seen = ['a' => [], 'b' => [], 'single' => 0];
        $worker = new Worker([$one, $two], [
            'single' => static function () use (&$seen): void {
                $seen['single']++;
            },
            'b.*' => new Batch(static function (array $tasks) use (&$seen): void {
                $seen['b'][] = count($tasks);
            }, size: 3, seconds: 0.4),
        ], ['stopWhenEmpty' => true, 'reserveTimeout' => 1]);
        $worker->batch('a', static function (array $tasks) use (&$seen): void {
            $seen['a'][] = count($tasks);
        }, size: 10, seconds: 30);
        $worker->middleware(static function (Task|array $job, callable $next) use (&$seen): void {
            $seen['around'][] = is_array($job) ? count($job) : 'one';
            $next($job);
        });

        $summary = $worker->run();

        self::assertSame([20, 20], [$summary->jobs, $summary->acked]);
        self::assertSame([[10], [3, 2], 5], [$seen['a'], $seen['b'], $seen['single']]);
        self::assertEqualsCanonicalizing([10, 3, 2, 'one', 'one', 'one', 'one', 'one'], $seen['around']);
    }

    /** @return array<string, array{array<string, mixed>, list<int>, StopReason, int}> options, batches, reason, jobs left */
    public static function ends(): array
    {
        return [
            'as many jobs as it may do' => [['maxJobs' => 7], [4, 3], StopReason::MaxJobs, 3],
            'a full one is enough' => [['maxJobs' => 4], [4], StopReason::MaxJobs, 6],
            'less than one' => [['maxJobs' => 2], [2], StopReason::MaxJobs, 8],
            'the time is over' => [['maxRuntime' => 0.6], [4, 4, 2], StopReason::MaxRuntime, 0],
            'no more jobs' => [['stopWhenEmpty' => true, 'reserveTimeout' => 0.2], [4, 4, 2], StopReason::Empty, 0],
        ];
    }

    /**
     * @dataProvider ends
     *
     * @param list<int> $sizes
     */
    #[DataProvider('ends')]
    public function testWhatWasCollectedIsHandedOverWhenTheWorkerEnds(array $options, array $sizes, StopReason $reason, int $left): void
    {
        $queue = $this->queue('embedded');
        $queue->pushMany(array_fill(0, 10, ['name' => 'row']));
        $batches = [];
        $summary = (new Worker($queue, ['row' => new Batch(static function (array $tasks) use (&$batches): void {
            $batches[] = count($tasks);
        }, 4, 60)], $options))->run();

        self::assertSame([$reason, $sizes], [$summary->reason, $batches]);
        self::assertSame([array_sum($sizes), array_sum($sizes)], [$summary->jobs, $summary->acked]);
        self::assertCount($left, $queue);
    }

    public function testWhatCannotBeIsSaidAtOnce(): void
    {
        $queue = $this->queue('embedded');
        $batch = static fn (int $size) => new Batch(static fn (array $tasks) => null, $size);
        foreach ([
            'Invalid handler for "a": it takes one Task, but the handler of a batch is given an array' => ['a' => new Batch(static fn (Task $task) => null)],
            'Invalid handler for "a": it takes an array, but is given one Task: register it with batch()' => ['a' => static fn (array $tasks) => null],
            'called with the list of tasks alone' => ['a' => new Batch(static fn (array $tasks, int $more) => null)],
            'no class or function "Nobody\\Knows"' => ['a' => new Batch('Nobody\\Knows')],
            'The batches ("a" 60, "b" 41) need a prefetch of at least 101, but the worker option "prefetch" is 100' => ['a' => $batch(60), 'b' => $batch(41)],
        ] as $message => $handlers) {
            self::assertStringContainsString($message, $this->thrown(ConfigException::class,
                static fn () => new Worker($queue, $handlers, ['prefetch' => 100]))->getMessage());
        }
        self::assertStringContainsString('need a prefetch of at least 80000, but 65535 is the most', $this->thrown(ConfigException::class,
            static fn () => new Worker($queue, ['a' => $batch(40000), 'b' => $batch(40000)]))->getMessage());
        self::assertStringContainsString('The size of a batch must be from 1 to 65535, not 0',
            $this->thrown(ConfigException::class, static fn () => $batch(0))->getMessage());
        self::assertStringContainsString('seconds of a batch must be 0 or greater, not -1',
            $this->thrown(ConfigException::class, static fn () => new Batch('strlen', 1, -1))->getMessage());
        new Worker($queue, ['a' => $batch(60), 'b' => $batch(40)], ['prefetch' => 100]);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testASignalHandsOverWhatWasCollected(string $broker): void
    {
        [$worker, $queue] = $this->start($broker, ['r1' => '0', 'r2' => null, 'r3' => null], [], 100, 60);
        $this->collected($worker, $queue, 3);
        $worker->signal(SIGTERM);

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertStringContainsString("begin r1,r2,r3\nend\n", $worker->output());
        self::assertSame(['signal', 3, 3, false], $this->end($worker, 'reason', 'jobs', 'acked', 'interrupted'));
        $this->assertJobs(0, $queue);
    }

    public function testASecondSignalGivesTheBatchBack(): void
    {
        [$worker, $queue] = $this->start('program', ['r1' => '60', 'r2' => null], [], 2, 60);
        $worker->waitFor('begin r1,r2');
        $worker->signal(SIGTERM);
        usleep(250_000);
        $worker->signal(SIGTERM);

        self::assertSame(128 + SIGTERM, $worker->wait(10), $worker->output());
        self::assertSame([2, 2, true], $this->end($worker, 'jobs', 'released', 'interrupted'));
        $this->assertJobs(2, $queue);
    }

    public function testABatchThatTakesTooLongFails(): void
    {
        [$worker, $queue] = $this->start('program', ['r1' => '60', 'r2' => null], ['jobTimeout' => 1, 'maxAttempts' => 1, 'maxJobs' => 2], 2, 60);

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertSame([2, 2], $this->end($worker, 'jobs', 'dead_lettered'));
        self::assertSame('Amqp1\Worker\JobTimeout', $this->take($queue->failed())->getFailure()['exception']);
    }

    public function testABatchThatEndsTheProcessHasFailedButForWhatItSettled(): void
    {
        [$worker, $queue] = $this->start('program', ['r1' => 'exit', 'r2' => null, 'r3' => null], ['maxAttempts' => 1], 3, 60);

        self::assertSame(7, $worker->wait(20), $worker->output());
        self::assertSame(2, substr_count($worker->output(), "event job.dead_letter\n"));
        self::assertSame(1, substr_count($worker->output(), "event job.ack\n"));
        self::assertSame('Amqp1\Worker\ProcessEnded', $this->take($queue->failed())->getFailure()['exception']);
        self::assertCount(0, $queue);
    }

    public function testABrokerThatIsLostBeforeAndInABatch(): void
    {
        $broker = ProgramBroker::start();
        $port = (int) parse_url($broker->dsn, PHP_URL_PORT);
        $queue = new AmqpQueue($broker->dsn, 'night');
        $queue->push('rows', null, ['id' => 'r1']);
        $worker = Child::php(self::WORKER, [$broker->dsn, 'night', '{"maxJobs": 4}', '2', '60']);
        $this->collected($worker, $queue, 1);
        $broker->stop();
        $worker->waitFor('event worker.lost', 30);
        $broker = ProgramBroker::start([], $port);
        $queue->push('rows', '3', ['id' => 'r2']);
        $queue->push('rows', null, ['id' => 'r3']);
        // r1 is gone with the broker, but its task is not handed over.
        $worker->waitFor('begin r2,r3', 60);
        self::assertStringContainsString('jobs of a batch for "rows" were lost before it began, and will be delivered again: 1', $worker->output());
        $broker->stop();
        $worker->waitFor('event job.lost', 30);
        $this->eventually(static fn () => substr_count($worker->output(), "event job.lost\n") === 2, 'both are told');
        self::assertStringNotContainsString("\nend\n", $worker->output(), 'while the handler works');
        $broker = ProgramBroker::start([], $port);
        $queue->push('rows', '0', ['id' => 'r4']);
        $queue->push('rows', null, ['id' => 'r5']);

        self::assertSame(0, $worker->wait(60), $worker->output());
        self::assertStringContainsString("begin r4,r5\nend\n", $worker->output());
        self::assertSame([4, 2, 2], $this->end($worker, 'jobs', 'acked', 'lost'));
        $broker->stop();
    }

    /** Waits until the worker holds this many jobs. */
    private function collected(Child $worker, AmqpQueue $queue, int $jobs): void
    {
        $worker->waitFor('event worker.start');
        $deadline = microtime(true) + 15;
        do {
            usleep(100_000);
            try {
                $stats = $queue->stats();
                $isCollected = $stats['ready'] === 0 && ($stats['reserved'] ?? $jobs) === $jobs;
            } catch (UnsupportedException) {
                break;
            }
            // Service Bus counts jobs in hand as ready.
        } while (!$isCollected && $queue->getBroker()['dialect'] !== 'servicebus' && microtime(true) < $deadline);
        usleep($isCollected ?? false ? 500_000 : 2_000_000);
    }

    /**
     * A worker on its own queue, which already has these jobs of the name "rows" (id => payload).
     *
     * @return array{Child, AmqpQueue}
     */
    private function start(string $broker, array $jobs, array $options, int $size, float $seconds): array
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker, [], $name = $this->uniqueName($at, 'worker'));
        foreach ($jobs as $id => $payload) {
            $queue->push('rows', $payload, ['id' => $id]);
        }

        return [Child::php(self::WORKER, [$at->dsn, $name, (string) json_encode((object) $options), (string) $size, (string) $seconds]), $queue];
    }

    /** The fields of its summary. */
    private function end(Child $worker, string ...$names): array
    {
        $lines = explode("\n", trim($worker->output()));
        $summary = json_decode((string) end($lines), true);
        self::assertIsArray($summary, $worker->output());

        return array_map(static fn (string $name) => $summary[$name], $names);
    }
}
