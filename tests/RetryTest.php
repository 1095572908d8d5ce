<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;

/** Retries: attempts are counted, pauses are kept, and the job ends in the failed queue. */
final class RetryTest extends ContractTestCase
{
    /** @return array<string, array{string, string}> */
    public static function brokersAndQueueTypes(): array
    {
        $sets = [];
        foreach (self::brokers() as $name => [$broker]) {
            $queueTypes = match (true) {
                in_array($broker, ['embedded', 'program'], true) => ['quorum'],
                !str_starts_with($broker, 'rabbitmq'), $broker === 'rabbitmq-3.10' => [null],
                default => ['quorum', 'classic'],
            };
            foreach ($queueTypes as $type) {
                $sets[$name . ($type === 'classic' ? ', classic queue' : '')] = [$broker, $type];
            }
        }

        return $sets;
    }

    /** @dataProvider brokersAndQueueTypes */
    #[DataProvider('brokersAndQueueTypes')]
    public function testAFailingJobIsTriedByThePolicyAndThenInTheFailedQueue(string $broker, ?string $type): void
    {
        $delays = $this->broker($broker)->supports('delay');
        $queue = $this->queue($broker, ['queue_type' => $type, 'max_attempts' => 3] + ($delays ? ['backoff' => [0.5, 1]] : []));
        $id = $queue->push('Charge', ['order' => 7], ['headers' => ['tenant' => 'a'], 'trace_id' => 'trace', 'priority' => 6]);
        $consumer = $this->consumer($queue);
        $before = microtime(true);
        $pauses = [];
        for ($attempt = 1; $attempt <= 3; ++$attempt) {
            $task = $this->next($consumer, 15);
            $pauses[] = microtime(true) - $before;
            self::assertSame($attempt, $task->getAttempts());
            self::assertSame([$id, 'Charge', ['order' => 7]], [$task->getId(), $task->getName(), $task->getPayload()]);
            self::assertSame(['a'], $task->getHeader('tenant'));
            self::assertSame('trace', $task->getTraceId());
            self::assertSame(6, $task->getPriority());
            self::assertNull($task->getOutcome());
            self::assertNull($task->getFailure());
            $before = microtime(true);
            $task->nack(new RuntimeException("try $attempt"));
            self::assertSame($attempt < 3 ? 'retried' : 'dead_lettered', $task->getOutcome());
        }
        if ($delays) {
            self::assertGreaterThanOrEqual(0.49, $pauses[1]);
            self::assertGreaterThanOrEqual(0.99, $pauses[2]);
        }
        $this->assertNoTask($consumer, 1.5);

        $failed = $queue->failed();
        $suffix = $this->broker($broker)->isServiceBus() ? '/$DeadLetterQueue' : '.failed';
        self::assertSame($queue->getName() . $suffix, $failed->getName());
        $task = $this->take($failed);
        self::assertSame([$id, 'Charge', ['order' => 7]], [$task->getId(), $task->getName(), $task->getPayload()]);
        self::assertSame(['tenant' => ['a']], $task->getHeaders());
        $failure = $task->getFailure();
        self::assertIsArray($failure);
        self::assertEqualsWithDelta(microtime(true), $failure['failed_at'], 60);
        unset($failure['failed_at']);
        self::assertEquals([
            'reason' => 'failed',
            'error' => 'try 3',
            'exception' => RuntimeException::class,
            'queue' => $queue->getName(),
            'attempts' => 3,
        ], $failure);
    }

    /** @dataProvider brokersAndQueueTypes */
    #[DataProvider('brokersAndQueueTypes')]
    public function testAttemptsAreTrueWhoeverHadTheJobInBetween(string $broker, ?string $type): void
    {
        $queue = $this->queue($broker, ['queue_type' => $type, 'backoff' => 0, 'max_attempts' => 0]);
        $queue->push('job');
        $attempt = 0;
        $settle = [
            'nack' => static fn ($task) => $task->nack(),
            'release' => static fn ($task) => $task->release(),
            'release with headers' => static fn ($task) => $task->release(0, ['x' => 'y']),
            'nack with a pause' => static fn ($task) => $task->nack('no'),
            'requeue' => static fn ($task) => $task->nack('no', true),
        ];
        if (!$this->broker($broker)->supports('delay')) {
            unset($settle['nack with a pause']);
        }
        foreach ($settle as $how => $do) {
            // A new consumer each time.
            $consumer = $this->consumer($queue, $how === 'nack with a pause' ? ['backoff' => 0.3] : []);
            $task = $this->next($consumer);
            self::assertSame(++$attempt, $task->getAttempts(), "before $how");
            // Otherwise, it would be delivered to this consumer again, which RabbitMQ 4.3 counts on classic queues.
            $consumer->stop();
            $do($task);
            unset($task);
            $consumer->close();
        }
        $task = $queue->reserve(10);
        self::assertNotNull($task);
        self::assertSame(++$attempt, $task->getAttempts());
        $task->ack();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAConsumersPolicyIsOverItsQueues(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 5]);
        $name = $this->uniqueName($this->broker($broker), 'graveyard');
        $queue->push('job');
        $consumer = $this->consumer($queue, ['max_attempts' => 1, 'failed_queue' => $name]);
        $this->next($consumer)->nack('at once');

        $graveyard = $this->queue($broker, [], $name);
        self::assertSame('at once', $this->take($graveyard)->getFailure()['error']);
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAPauseThatWasAskedForIsKeptOrRefused(string $broker): void
    {
        $queue = $this->queue($broker, ['backoff' => 0.4]);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        if ($this->lacks($broker, 'delay', static fn () => $task->nack('later'))) {
            self::assertFalse($task->isCompleted());
            $task->nack('now', true);
            self::assertSame(2, $this->next($consumer)->getAttempts());

            return;
        }
        $start = microtime(true);
        $task->nack('later');
        $this->next($consumer);
        self::assertGreaterThanOrEqual(0.39, microtime(true) - $start);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testRequeueOnFailNeverGivesUp(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 1, 'backoff' => 0, 'requeue_on_fail' => true]);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        for ($attempt = 1; $attempt <= 4; ++$attempt) {
            $task = $this->next($consumer);
            self::assertSame($attempt, $task->getAttempts());
            $task->nack('again');
            self::assertSame('retried', $task->getOutcome());
        }
        $task = $this->next($consumer);
        $task->nack('enough', false);
        self::assertSame('dead_lettered', $task->getOutcome());
        self::assertSame('enough', $this->take($queue->failed())->getFailure()['error']);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testNothingIsRepublishedWhereTheBrokerDelaysByItself(string $broker): void
    {
        $queue = $this->queue($broker, ['backoff' => 0.5]);
        if (version_compare($queue->getBroker()['version'], '4.3', '<')) {
            // What the broker cannot do is done with a copy: RabbitMQ 4.0 is the counterpart.
            self::assertSame(1, $this->republished($queue));

            return;
        }
        self::assertSame(0, $this->republished($queue));
    }

    /** How many messages a retry publishes: a copy waits in a delay queue. */
    private function republished(AmqpQueue $queue): int
    {
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack('wait');
        // In a delay queue while it waits, or still in its own.
        $there = $queue->stats()['delayed'];
        $task = $this->next($consumer, 15);
        self::assertSame(2, $task->getAttempts());
        $task->ack();

        return $there;
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testALongErrorIsCutAndEveryCharacterOfItWhole(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 1]);
        $queue->push('job');
        $this->next($this->consumer($queue))->nack(str_repeat('ü', 100_000));
        $error = $this->take($queue->failed())->getFailure()['error'];

        self::assertMatchesRegularExpression('/^ü{1000,}$/u', $error);
        self::assertLessThanOrEqual(4096, strlen($error));
    }

    public function testWrongPoliciesAreRefusedAtOnce(): void
    {
        $wrong = [
            ['max_attempts' => -1],
            ['max_attempts' => 'many'],
            ['backoff' => 'soon'],
            ['backoff' => [1, -1]],
            ['failed_queue' => ''],
            ['requeue_on_fail' => 'perhaps'],
        ];
        foreach ($wrong as $options) {
            $name = array_key_first($options);
            $make = [
                static fn () => new AmqpQueue('embedded://retry', 'q', $options),
                static fn () => new \Amqp1\Consumer(new AmqpQueue('embedded://retry', 'q'), $options),
            ];
            foreach ($make as $do) {
                $thrown = $this->thrown(ConfigException::class, $do);
                self::assertStringContainsString($name, $thrown->getMessage());
            }
        }
    }

    /** @return array<string, array{string, string}> */
    public static function steps(): array
    {
        $sets = [];
        foreach (self::networked() as $name => [$broker]) {
            foreach (['mechanisms', 'open', 'begin', 'attach', 'flow', 'disposition'] as $step) {
                $sets["$name, $step"] = [$broker, $step];
            }
        }

        return $sets;
    }

    /**
     * A copy is needed, and the process dies while it waits for the broker's answer.
     *
     * @dataProvider steps
     */
    #[DataProvider('steps')]
    public function testAProcessThatDiesInTheMiddleOfARetryLosesNothing(string $broker, string $step): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $id = $queue->push('job');
        $proxy = new Proxy($at);
        $child = Child::php('
            $task = (new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2])))->waitTask(10);
            echo "has ", $task->getId(), "\n";
            fgets(fopen($argv[3], "r"));
            $task->release(0, ["a" => "b"]);
            echo "released\n";
            sleep(60);
        ', [$proxy->dsn, $queue->getName(), $fifo = $this->fifo()]);
        $child->waitFor("has $id");
        $proxy->silentBefore($step);
        file_put_contents($fifo, "go\n");
        usleep(300_000);
        $child->signal(SIGKILL);
        $child->wait();
        $proxy->cut();

        $this->assertOnlyJob($queue, $id);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAProcessKilledAtAnyMomentOfARetryLosesNothing(string $broker): void
    {
        $at = $this->broker($broker);
        // Two kills before its copy is there, and its attempts would be used up.
        $queue = $this->queue($broker, ['max_attempts' => 0]);
        $id = $queue->push('job');
        for ($kill = 0; $kill < 12; ++$kill) {
            $child = Child::php('
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2], ["max_attempts" => 0]));
                while ($task = $consumer->waitTask(10)) {
                    echo "has\n";
                    $task->release(0, ["n" => (string) $task->getAttempts()]);
                }
            ', [$at->dsn, $queue->getName()]);
            $child->waitFor('has');
            usleep(random_int(0, 15_000));
            $child->signal(SIGKILL);
            $child->wait();
        }

        $this->assertOnlyJob($queue, $id);
    }

    /** The queue has this job, perhaps more than once, and no other. */
    private function assertOnlyJob(AmqpQueue $queue, string $id): void
    {
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer, 20);
        do {
            self::assertSame($id, $task->getId());
            $task->ack();
        } while ($task = $consumer->waitTask(0.3));
    }

    private function fifo(): string
    {
        $path = tempnam(sys_get_temp_dir(), 'amqp1-test-');
        unlink($path);
        posix_mkfifo($path, 0600);
        register_shutdown_function(static fn () => @unlink($path));

        return $path;
    }
}
