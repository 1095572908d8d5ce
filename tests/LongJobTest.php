<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Task;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Worker;
use Amqp1\Worker\Event;
use PHPUnit\Framework\Attributes\DataProvider;

/** Jobs that are held for long: the broker may take them back and give them to another consumer. */
final class LongJobTest extends ContractTestCase
{
    /** @return array<string, array{string}> brokers that take jobs back */
    public static function takingBack(): array
    {
        return array_intersect_key(self::brokers(), array_flip(['embedded', 'program', 'rabbitmq-4.3'])) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider takingBack */
    #[DataProvider('takingBack')]
    public function testAJobThatWasTakenBackIsLost(string $broker): void
    {
        \Amqp1\setObserver($observer = new Support\RecordingObserver());
        $before = \Amqp1\metrics()['connections']['taken_back'];
        $queue = $this->impatient($broker);
        $queue->push('slow');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $task = $this->next($consumer);
        self::assertFalse($task->isLost());
        $this->takenBack($queue, $task);

        self::assertFalse($task->isCompleted());
        self::assertContains('taken_back', $observer->events());
        $event = $observer->given[array_search('connection taken_back', $observer->heard, true)];
        self::assertSame([$queue->getName(), 1], [$event->getDestination(), $event->getCount()]);
        self::assertSame(1, \Amqp1\metrics()['connections']['taken_back'] - $before);
        \Amqp1\setObserver(null);
        $thrown = $this->thrown(TaskLostException::class, $task->ack(...));
        self::assertStringContainsString('consumer timeout', $thrown->getMessage());
        self::assertStringContainsString($queue->getName(), $thrown->getMessage());
        self::assertTrue($task->isLost() && $task->isCompleted());
        self::assertNull($task->getOutcome());
        $task->ack();
        // The consumer receives more jobs, because the broker got the answer it waits for.
        $this->next($consumer)->ack();
        $this->assertNoTask($consumer);
        self::assertCount(0, $queue);
    }

    /** @dataProvider takingBack */
    #[DataProvider('takingBack')]
    public function testALostJobIsNeitherRetriedNorReleasedNorMoved(string $broker): void
    {
        foreach (['nack', 'release', 'deadLetter'] as $how) {
            // One queue each: RabbitMQ 4.3.6 does not always take a job back a second time.
            $queue = $this->impatient($broker);
            $consumer = $this->consumer($queue, ['prefetch' => 1]);
            $queue->push($how);
            $task = $this->next($consumer);
            $this->takenBack($queue, $task);
            $how === 'deadLetter' ? $task->deadLetter('slow') : $task->$how();
            self::assertNull($task->getOutcome(), $how);
            self::assertTrue($task->isLost(), $how);
            $again = $this->next($consumer);
            self::assertSame($task->getId(), $again->getId());
            $again->ack();
            $this->assertNoTask($consumer);
            self::assertCount(0, $queue->failed());
        }
    }

    /** @dataProvider takingBack */
    #[DataProvider('takingBack')]
    public function testAJobThatIsAlwaysTooSlowEndsAfterItsAttempts(string $broker): void
    {
        $queue = $this->impatient($broker, ['max_attempts' => 2]);
        $queue->push('slow', 'x');
        $queue->push('quick', 'y');
        $consumer = $this->consumer($queue, ['prefetch' => 5]);
        $attempts = [];
        while ($task = $consumer->waitTask(1)) {
            if ($task->getName() === 'quick') {
                $task->ack();
                continue;
            }
            $attempts[] = $task->getAttempts();
            $this->takenBack($queue, $task);
            $this->thrown(TaskLostException::class, $task->ack(...));
        }
        self::assertSame([1, 2], $attempts);
        self::assertCount(0, $queue);
        $failed = $this->next($this->consumer($queue->failed()));
        self::assertSame(['slow', 'x'], [$failed->getName(), $failed->getPayload()]);
        self::assertSame(['lost', 2], [$failed->getFailure()['reason'], $failed->getFailure()['attempts']]);
        $failed->ack();
    }

    /** @dataProvider takingBack */
    #[DataProvider('takingBack')]
    public function testAConsumerMayHaveATimeoutOfItsOwn(string $broker): void
    {
        $queue = $this->queue($broker, ['consumer_timeout' => 3600, 'backoff' => 0]);
        $queue->setup();
        $queue->setup(); // nothing differs
        $queue->push('slow');
        $task = $this->next($this->consumer($queue, ['consumer_timeout' => 1.5]));
        $this->takenBack($queue, $task);

        $other = $this->queue($broker, ['consumer_timeout' => 7200], $queue->getName());
        $thrown = $this->thrown(ConfigException::class, $other->setup(...));
        self::assertStringContainsString('x-consumer-timeout is 3600000 (configured: 7200000)', $thrown->getMessage());
    }

    /** @dataProvider takingBack */
    #[DataProvider('takingBack')]
    public function testAWorkerSaysAtOnceThatTheJobInHandIsLost(string $broker): void
    {
        require_once dirname(__DIR__) . '/php/autoload.php';
        $queue = $this->impatient($broker, ['max_attempts' => 1]);
        $queue->push('slow');
        $events = [];
        $worker = new Worker($queue, ['slow' => function (Task $task) use (&$events): void {
            for ($until = microtime(true) + 60; microtime(true) < $until && !in_array('job.lost', $events, true);) {
                usleep(10000);
            }
            $events[] = 'handler ends';
            if (count($events) > 10) {
                throw new \RuntimeException('too often');
            }
        }], ['maxJobs' => 1, 'prefetch' => 1], new class {
            public array $lines = [];

            public function log($level, $message, array $context = []): void
            {
            }
        });
        $worker->listen('*', function (Event $event) use (&$events): void {
            str_starts_with($event->name, 'job.') && $events[] = $event->name;
        });
        $summary = $worker->run();
        self::assertSame(['job.start', 'job.lost', 'handler ends'], $events);
        self::assertSame(1, $summary->lost);
    }

    /** @dataProvider takingBack */
    #[DataProvider('takingBack')]
    public function testAListenerHearsOfALostJobWhilePhpWorks(string $broker): void
    {
        $queue = $this->impatient($broker);
        $queue->push('slow');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $this->thrown(\TypeError::class, static fn () => $consumer->onLost('no such function'));
        $task = $this->next($consumer);
        $heard = 0;
        $consumer->onLost(function () use (&$heard, $task): void {
            $heard += (int) $task->isLost();
        });
        $this->eventually(function () use (&$heard): bool {
            return $heard > 0;
        }, 'the listener is called', 60);
        $consumer->onLost(null);
        // Its exception is thrown from the code that is running.
        $task->release();
        $again = $this->next($consumer);
        $consumer->onLost(static fn () => throw new \DomainException('lost'));
        $this->thrown(\DomainException::class, function () use ($consumer): void {
            for ($until = microtime(true) + 60; microtime(true) < $until;) {
                usleep(10000);
            }
        });
        $consumer->onLost();
        self::assertTrue($again->isLost());
    }

    /** @return array<string, array{string}> brokers that never do, and one that works differently */
    public static function withoutATimeout(): array
    {
        return array_diff_key(self::brokers(), self::takingBack()) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider withoutATimeout */
    #[DataProvider('withoutATimeout')]
    public function testATimeoutThatTheBrokerDoesNotKnowIsRefused(string $broker): void
    {
        $queue = $this->queue($broker, ['consumer_timeout' => 60]);
        $thrown = $this->thrown(UnsupportedException::class, static fn () => $queue->push('job'));
        self::assertStringContainsString("'consumer_timeout'", $thrown->getMessage());

        $consumer = $this->consumer($this->declared($this->queue($broker)), ['consumer_timeout' => 60]);
        $thrown = $this->thrown(UnsupportedException::class, static fn () => $consumer->waitTask(0.1));
        self::assertStringContainsString("'consumer_timeout'", $thrown->getMessage());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAClassicQueueHasNoTimeout(string $broker): void
    {
        $at = $this->broker($broker); // may skip the test, which must not count as our exception
        $this->thrown(ConfigException::class, static fn () => new AmqpQueue($at->dsn, 'classic', ['queue_type' => 'classic', 'consumer_timeout' => 60]));

        $consumer = $this->consumer($this->typed($broker, 'classic'), ['consumer_timeout' => 60]);
        $this->thrown(UnsupportedException::class, static fn () => $consumer->waitTask(0.1));
    }

    /** @return array<string, array{string, string}> brokers without a limit, and the queue's type */
    public static function patient(): array
    {
        $sets = ['rabbitmq-4.3 classic' => ['rabbitmq-4.3', 'classic'], 'rabbitmq-4.0 quorum' => ['rabbitmq-4.0', 'quorum'],
            'rabbitmq-4.0 classic' => ['rabbitmq-4.0', 'classic'], 'rabbitmq-3.10 classic' => ['rabbitmq-3.10', 'classic'],
            'program' => ['program', ''], 'artemis' => ['artemis', ''], 'activemq' => ['activemq', ''], 'qpid' => ['qpid', '']];

        return array_filter($sets, static fn ($set) => in_array($set[0], Brokers::names(), true))
            ?: ['none of AMQP1_TEST_BROKERS' => ['', '']];
    }

    /** @dataProvider patient */
    #[DataProvider('patient')]
    public function testAJobIsHeldForAsLongAsItTakes(string $broker, string $type): void
    {
        $options = ['backoff' => 0, 'heartbeat' => 2];
        $queue = $type === '' ? $this->queue($broker, $options) : $this->declared($this->typed($broker, $type, $options));
        $queue->push('slow');
        $queue->push('slow, and fails');
        $consumer = $this->consumer($queue, ['prefetch' => 2]);
        [$slow, $fails] = [$this->next($consumer), $this->next($consumer)];
        // Longer than it takes to miss two heartbeats, and than 4.3 takes to notice a timeout of one second.
        $other = Child::php('
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2], ["declare" => false]));
            echo $consumer->waitTask((float) $argv[3])?->getName() ?? "nothing";
        ', [$this->broker($broker)->dsn, $queue->getName(), $this->broker($broker)->isRabbitMq() ? '4' : '12']);
        self::assertSame([0, 'nothing'], [$other->wait(), $other->output()], 'nobody else gets them');

        self::assertFalse($slow->isLost() || $fails->isLost());
        $slow->ack();
        self::assertSame('acked', $slow->getOutcome());
        $fails->nack('after a while');
        self::assertSame('retried', $fails->getOutcome());
        $again = $this->next($consumer);
        self::assertSame([$fails->getId(), 2], [$again->getId(), $again->getAttempts()]);
        $again->ack();
        $this->assertNoTask($consumer, 1);
        $consumer->close();
        self::assertNull($queue->reserve(1), 'all of it is done');
    }

    /** @dataProvider takingBack */
    #[DataProvider('takingBack')]
    public function testWhatWaitedInTheBufferIsNotHandedOutOnceItWasTakenBack(string $broker): void
    {
        $queue = $this->impatient($broker);
        $queue->pushMany(array_map(static fn (int $n) => ['name' => "job $n"], range(1, 5)));
        $consumer = $this->consumer($queue, ['prefetch' => 5]);
        $slow = $this->next($consumer);
        $this->takenBack($queue, $slow);
        // By now, another consumer has taken all five and finished them.
        $other = $this->consumer($queue, ['prefetch' => 1]);
        for ($done = []; count($done) < 5;) {
            $task = $this->next($other);
            $task->ack();
            $done[] = $task->getName();
        }
        sort($done);
        self::assertSame(['job 1', 'job 2', 'job 3', 'job 4', 'job 5'], $done);
        $other->close();

        $this->thrown(TaskLostException::class, $slow->ack(...));
        $this->assertNoTask($consumer, 1);
        // It has its full credit: five more jobs come at once.
        $queue->pushMany(array_map(static fn (int $n) => ['name' => "more $n"], range(1, 5)));
        $held = [];
        for ($n = 0; $n < 5; $n++) {
            $held[] = $this->next($consumer);
        }
        foreach ($held as $task) {
            $task->ack();
        }
        $this->assertNoTask($consumer);
        self::assertCount(0, $queue);
    }

    /** @dataProvider takingBack */
    #[DataProvider('takingBack')]
    public function testAJobThatNobodySettlesDoesNotStarveItsConsumer(string $broker): void
    {
        $queue = $this->impatient($broker);
        $queue->push('let go of');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $id = $this->next($consumer)->getId();
        // Its Task is gone without being settled: the job is delivered again when the broker has taken it back.
        $again = $this->next($consumer, 60);
        self::assertSame($id, $again->getId());
        $again->ack();
        self::assertCount(0, $queue);
    }

    /**
     * RabbitMQ 4.3.6 gave nothing more to a consumer that had asked for jobs between the loss and its answer.
     *
     * @dataProvider takingBack
     */
    #[DataProvider('takingBack')]
    public function testAConsumerThatAsksWhileItHasALostJobIsServedAgain(string $broker): void
    {
        $queue = $this->impatient($broker, ['max_attempts' => 0]);
        $queue->pushMany(array_map(fn (int $i) => ['name' => "job-$i"], range(0, 5)));
        $consumer = $this->consumer($queue, ['prefetch' => 5]);
        $lost = $this->next($consumer);
        $this->takenBack($queue, $lost);
        // The others may be taken back a moment later.
        usleep(500_000);
        $between = $consumer->waitTask(0.5);
        $between?->ack();
        usleep(500_000);
        $this->thrown(TaskLostException::class, $lost->ack(...));
        $names = $between === null ? [] : [$between->getName()];
        while (count($names) < 6) {
            $task = $this->next($consumer);
            $names[] = $task->getName();
            $task->ack();
        }
        sort($names);
        self::assertSame(['job-0', 'job-1', 'job-2', 'job-3', 'job-4', 'job-5'], $names);
        $this->assertNoTask($consumer);
        self::assertCount(0, $queue);
    }

    /**
     * The broker may tell of the first job alone, and of those behind it when they have been handed out.
     *
     * @dataProvider takingBack
     */
    #[DataProvider('takingBack')]
    public function testWhatWaitsBehindALostJobIsForOthersAtOnceAndRunsOnce(string $broker): void
    {
        $queue = $this->impatient($broker, ['max_attempts' => 0]);
        $queue->pushMany(array_map(fn (int $i) => ['name' => "job-$i"], range(0, 5)));
        $consumer = $this->consumer($queue, ['prefetch' => 5]);
        $lost = $this->next($consumer);
        $this->takenBack($queue, $lost);
        $other = $this->consumer($queue, ['prefetch' => 1]);
        $names = [];
        while (count($names) < 6) {
            $task = $this->next($other);
            $names[] = $task->getName();
            $task->ack();
        }
        $this->thrown(TaskLostException::class, $lost->ack(...));
        $this->assertNoTask($consumer);
        sort($names);
        self::assertSame(['job-0', 'job-1', 'job-2', 'job-3', 'job-4', 'job-5'], $names);
        self::assertCount(0, $queue);
    }

    /**
     * A job that waits behind a slow one uses up its time. It ran twice if the broker took it back too late.
     *
     * @dataProvider takingBack
     */
    #[DataProvider('takingBack')]
    public function testWhatWaitsForHalfOfTheTimeIsForOthers(string $broker): void
    {
        $queue = $this->impatient($broker, ['consumer_timeout' => 10]);
        $queue->pushMany(array_map(fn (int $i) => ['name' => "job-$i"], range(0, 5)));
        $consumer = $this->consumer($queue, ['prefetch' => 5]);
        $slow = $this->next($consumer);
        // The rest of the buffer, while PHP does nothing for it.
        $other = $this->consumer($queue, ['prefetch' => 1]);
        $names = [];
        while (count($names) < 5) {
            $task = $this->next($other, 60);
            $names[] = $task->getName();
            self::assertSame(1, $task->getAttempts());
            $task->ack();
        }
        self::assertFalse($slow->isLost(), 'its time is not over');
        $slow->ack();
        $names[] = $slow->getName();
        sort($names);
        self::assertSame(['job-0', 'job-1', 'job-2', 'job-3', 'job-4', 'job-5'], $names);
        $other->close();
        $this->assertNoTask($consumer);
        $queue->push('more');
        $this->next($consumer)->ack();
        self::assertCount(0, $queue);
    }

    private function impatient(string $broker, array $options = []): AmqpQueue
    {
        $queue = $this->queue($broker, $options + ['consumer_timeout' => 1, 'backoff' => 0]);
        $queue->setup();

        return $queue;
    }

    private function takenBack(AmqpQueue $queue, \Amqp1\Task $task): void
    {
        // RabbitMQ 4.3.6 may miss the time on a queue where nothing happens, until something does.
        $poke = microtime(true) + 5;
        $isLost = static function () use ($queue, $task, &$poke): bool {
            if (!$task->isLost() && microtime(true) > $poke) {
                $queue->push('poke', null, ['ttl' => 0.001]);
                $poke = microtime(true) + 5;
            }

            return $task->isLost();
        };
        $this->eventually($isLost, 'the broker takes the job back', 60);
    }
}
