<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Jobs;
use Amqp1\NullObserver;
use Amqp1\Observation\Connection;
use Amqp1\Observation\Job;
use Amqp1\Observation\Push;
use Amqp1\Observer;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Tests\Support\RecordingObserver;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;

use function Amqp1\setObserver;

/** Observers hear of everything, can add headers, and affect nothing else, whatever they do. */
final class ObserverTest extends ContractTestCase
{
    protected function tearDown(): void
    {
        setObserver(null);
        parent::tearDown();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobIsFollowedFromItsPushToItsEnd(string $broker): void
    {
        $observer = new RecordingObserver(['traceparent' => '00-aa-bb-01']);
        $queue = $this->queue($broker, ['observer' => $observer]);
        $id = $queue->push('one', 'payload', ['headers' => ['tenant' => 7], 'correlation_id' => 'conversation']);
        $task = $this->take($queue);

        self::assertSame(['7'], $task->getHeader('tenant'));
        self::assertSame(['00-aa-bb-01'], $task->getHeader('traceparent'));
        self::assertSame(
            ['beforePush push one', 'afterPush push one confirmed', 'received one', 'settled one acked'],
            $observer->jobs()
        );
        [$before, $after, $received, $settled] = array_values(array_filter(
            $observer->given,
            static fn (object $given) => !$given instanceof Connection
        ));
        self::assertInstanceOf(Push::class, $before);
        self::assertSame($before, $after);
        self::assertSame(
            [$id, 7, $queue->getName(), $queue->getName(), null, null, $queue->getBroker()['dialect']],
            [$after->getId(), $after->getSize(), $after->getQueue(), $after->getDestination(), $after->getRoutingKey(),
                $after->getIndex(), $after->getBroker()]
        );
        self::assertSame(['tenant' => ['7'], 'traceparent' => ['00-aa-bb-01']], $after->getHeaders());
        self::assertGreaterThan(0, $after->getSeconds());
        self::assertNull($after->getError());
        self::assertInstanceOf(Job::class, $received);
        self::assertInstanceOf(Job::class, $settled);
        self::assertSame($task, $received->getTask());
        self::assertSame($task, $settled->getTask());
        self::assertGreaterThan(0, $received->getWaited());
        self::assertGreaterThanOrEqual(0, $settled->getHeld());
        self::assertGreaterThan(0, $settled->getSeconds());
        self::assertLessThanOrEqual($settled->getHeld(), $settled->getSeconds());
        self::assertNull($received->getSeconds());
        self::assertSame([false, 'conversation'], [$after->isLast(), $after->getCorrelationId()]);
        self::assertSame([null, null, null], [$received->getHeld(), $received->getOutcome(), $settled->getWaited()]);
        self::assertSame($after->getEndpoint(), $settled->getEndpoint());
        self::assertSame([$after->getBroker(), $queue->getName()], [$settled->getBroker(), $settled->getDestination()]);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEveryJobOfABatchGetsHeadersAndAnOutcome(string $broker): void
    {
        $observer = new RecordingObserver(['traceparent' => 'added']);
        $queue = $this->queue($broker, ['observer' => $observer]);
        $ids = $queue->pushMany([
            ['name' => 'a'],
            ['name' => 'b', 'options' => ['headers' => ['TraceParent' => 'mine']]],
        ]);
        $consumer = $this->consumer($queue);
        $headers = [];
        foreach ([1, 2] as $_) {
            $task = $this->next($consumer);
            $headers[$task->getName()] = $task->getHeader('traceparent');
            $task->ack();
        }
        ksort($headers);

        self::assertSame(['a' => ['added'], 'b' => ['mine']], $headers);
        $pushes = array_values(array_filter($observer->given, static fn (object $given) => $given instanceof Push));
        self::assertSame([0, 1, 0, 1], array_map(static fn (Push $push) => $push->getIndex(), $pushes));
        self::assertSame([false, true], [$pushes[2]->isLast(), $pushes[3]->isLast()]);
        self::assertSame($ids, [$pushes[2]->getId(), $pushes[3]->getId()]);
        self::assertSame(
            ['beforePush push_many a', 'beforePush push_many b', 'afterPush push_many a confirmed', 'afterPush push_many b confirmed'],
            array_slice($observer->jobs(), 0, 4)
        );
    }

    public function testTheLastJobOfABatchIsMarkedWhateverEndsIt(): void
    {
        $last = [];
        $observer = new RecordingObserver([], ['afterPush' => static function (Push $push) use (&$last): void {
            $last[] = [$push->getIndex(), $push->isLast()];
        }]);
        $queue = $this->queue('embedded', ['observer' => $observer]);
        // The generator waits until all that was sent is confirmed, and then yields no more, or no job, or throws.
        foreach ([static fn () => null, static fn () => throw new \DomainException(), null] as $end) {
            $jobs = (static function () use ($end): iterable {
                yield ['name' => 'a'];
                yield ['name' => 'b'];
                usleep(50000);
                $end === null ? yield ['name' => ''] : $end();
            })();
            try {
                $queue->pushMany($jobs);
            } catch (\DomainException | BatchException) {
            }
        }

        self::assertSame([[0, false], [1, true], [0, false], [1, true], [0, false], [1, true]], $last);
    }

    public function testOutcomesOfALongBatchComeWhileItIsSent(): void
    {
        $open = $most = 0;
        $failed = [];
        $observer = new RecordingObserver([], [
            'beforePush' => static function () use (&$open, &$most): void {
                $most = max($most, ++$open);
            },
            'afterPush' => static function (Push $push) use (&$open, &$failed): void {
                --$open;
                if ($push->getOutcome() !== 'confirmed') {
                    $failed[$push->getIndex()] = [$push->getOutcome(), $push->getError()];
                }
            },
        ]);
        $queue = $this->queue('embedded', ['observer' => $observer, 'format' => 'babelqueue']);
        $jobs = (static function (): iterable {
            for ($i = 0; $i < 10000; ++$i) {
                // What is not an object is no payload of this format.
                yield ['name' => "job$i", 'payload' => $i % 1000 === 7 ? 'text' : ['n' => $i]];
            }
        })();
        $thrown = $this->thrown(BatchException::class, static fn () => $queue->pushMany($jobs));

        self::assertCount(10, $thrown->getFailures());
        self::assertSame(array_keys($thrown->getFailures()), array_keys($failed));
        self::assertSame('serialization', $failed[7][0]);
        self::assertEquals($thrown->getFailures()[7]->getMessage(), $failed[7][1]->getMessage());
        self::assertSame(0, $open);
        self::assertLessThan(5000, $most, 'no more are kept than are unconfirmed');
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testCopiesAreObservedAndKeepTheirHeaders(string $broker): void
    {
        $observer = new RecordingObserver(['traceparent' => 'first']);
        $pause = $this->pause($broker, 0.1);
        $queue = $this->queue($broker, ['observer' => $observer, 'max_attempts' => 2, 'backoff' => $pause]);
        $queue->push('job');
        setObserver($second = new RecordingObserver(['traceparent' => 'second', 'tracestate' => 'added']));
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $this->next($consumer)->release(0, ['again' => 'yes']);
        $task = $this->next($consumer);
        self::assertSame(['first'], $task->getHeader('traceparent'), 'the original keeps its own');
        self::assertSame([['added'], ['yes']], [$task->getHeader('tracestate'), $task->getHeader('again')]);
        $task->nack('again');
        $task = $this->take($queue->failed());
        self::assertSame(['first'], $task->getHeader('traceparent'));

        self::assertSame(['received job', 'beforePush release job', 'afterPush release job confirmed', 'settled job released'], array_slice($second->jobs(), 0, 4));
        self::assertContains('settled job dead_lettered', $second->jobs());
        if (!$this->broker($broker)->isServiceBus()) {
            // There, it is the broker who moves the job.
            self::assertContains('beforePush dead_letter job', $second->jobs());
            self::assertContains('afterPush dead_letter job confirmed', $observer->jobs());
        }
        // What the queue's own observer hears, too.
        self::assertContains('afterPush release job confirmed', $observer->jobs());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAReplayIsObserved(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 1]);
        $queue->push('job', null, ['headers' => ['traceparent' => 'original']]);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack('no');
        setObserver($observer = new RecordingObserver(['traceparent' => 'other', 'tracestate' => 'new']));
        $this->eventually(static fn () => $queue->retryFailed() === 1, 'it is moved back');
        $task = $this->next($consumer);

        self::assertSame(['beforePush replay job', 'afterPush replay job confirmed', 'received job'], $observer->jobs());
        self::assertSame([['original'], ['new']], [$task->getHeader('traceparent'), $task->getHeader('tracestate')]);
        $task->ack();
    }

    public function testAFailedPushHasItsErrorAndTheCallerItsException(): void
    {
        $observer = new RecordingObserver();
        $queue = new AmqpQueue('amqp://' . Sockets::refused(), 'q', ['observer' => $observer]);
        $thrown = $this->thrown(ConnectionException::class, static fn () => $queue->push('job'));

        $after = array_values(array_filter($observer->given, static fn (object $given) => $given instanceof Push))[1];
        self::assertSame('connection', $after->getOutcome());
        self::assertInstanceOf(ConnectionException::class, $after->getError());
        self::assertSame($thrown->getMessage(), $after->getError()->getMessage());
        self::assertFalse($after->addHeader('late', 'x'));
        setObserver(null); // events that came with an exception wait for the next call
        self::assertContains('connect_failed', $observer->events());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testALostConnectionAndALostJobAreHeardOf(string $broker): void
    {
        $proxy = new Proxy($this->broker($broker));
        $name = $this->uniqueName($this->broker($broker));
        $observer = new RecordingObserver();
        $queue = new AmqpQueue($proxy->dsn, $name, ['observer' => $observer, 'timeout' => 20]);
        $queue->push('held');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $task = $this->next($consumer);
        $proxy->reset();
        $lost = static fn () => array_count_values($observer->events())['lost'] ?? 0;
        $this->eventually(static fn () => $lost() === 2, 'both losses are heard of while PHP works');
        if ($this->broker($broker)->isServiceBus()) {
            // The lock outlives the connection.
            $task->ack();
            self::assertContains('settled held acked', $observer->jobs());
        } else {
            $this->thrown(TaskLostException::class, static fn () => $task->ack());
            self::assertContains('settled held lost', $observer->jobs());
            $settled = end($observer->given);
            self::assertInstanceOf(Job::class, $settled);
            self::assertInstanceOf(TaskLostException::class, $settled->getError());
            $this->next($consumer, 20)->ack();
        }
        $queue->push('after');

        $events = array_values(array_filter($observer->given, static fn (object $given) => $given instanceof Connection));
        $by = [];
        foreach ($events as $event) {
            $by[$event->getRole() ?? ''][] = $event->getEvent();
            self::assertStringContainsString($proxy->address, $event->getEndpoint());
            self::assertEqualsWithDelta(microtime(true), $event->getTime(), 60);
        }
        self::assertSame(['dialling', 'connected', 'lost', 'dialling', 'connected'], array_slice($by['push'], 0, 5));
        $connected = array_values(array_filter($events, static fn (Connection $event) => $event->getEvent() === 'connected'));
        self::assertNull($connected[0]->getSeconds());
        self::assertGreaterThanOrEqual(0, end($connected)->getSeconds());
        $lost = array_values(array_filter($events, static fn (Connection $event) => $event->getEvent() === 'lost'));
        self::assertInstanceOf(ConnectionException::class, $lost[0]->getError());
    }

    public function testEveryAttemptToReconnectIsAnEvent(): void
    {
        $broker = ProgramBroker::start();
        $observer = new RecordingObserver();
        $queue = new AmqpQueue($broker->dsn, 'q', ['observer' => $observer, 'timeout' => 1.5, 'redial_timeout' => 1]);
        $queue->push('job');
        $broker->stop();
        $this->thrown(ConnectionException::class, static fn () => $queue->push('job'));

        setObserver(null); // events that came with an exception wait for the next call
        $events = array_slice($observer->events(), array_search('lost', $observer->events(), true));
        self::assertSame(['lost', 'dialling', 'dialling'], array_slice($events, 0, 3));
        self::assertSame('connect_failed', end($events));
        $attempts = array_map(
            static fn (Connection $event) => $event->getAttempt(),
            array_values(array_filter($observer->given, static fn (object $given) => $given instanceof Connection && $given->getEvent() === 'dialling'))
        );
        self::assertSame([1, 1, 2], array_slice($attempts, 0, 3));
    }

    public function testAnOrderlyEndIsNoLoss(): void
    {
        $broker = ProgramBroker::start();
        $heard = Child::run(<<<'PHP'
            Amqp1\setObserver(new class extends Amqp1\NullObserver {
                public function connection(Amqp1\Observation\Connection $event): void
                {
                    echo $event->getEvent(), "\n";
                }
            });
            $queue = new Amqp1\AmqpQueue($argv[1], 'q');
            $queue->push('job');
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(5)->ack();
            $consumer->close();
            usleep(100000);
            PHP, [$broker->dsn]);

        self::assertSame(['dialling', 'connected', 'dialling', 'connected'], explode("\n", trim($heard)));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatObserversThrowIsReportedAndAffectsNothing(string $broker): void
    {
        $throw = static fn () => throw new \DomainException('not your job');
        $methods = ['beforePush', 'afterPush', 'received', 'settled'];
        $observer = new RecordingObserver([], array_fill_keys($methods, $throw));
        setObserver($observer);
        $warnings = [];
        set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
            $warnings[] = $message;

            // As frameworks do.
            throw new \ErrorException($message);
        });
        try {
            $queue = $this->queue($broker);
            $queue->push('job');
            $this->take($queue);
        } finally {
            restore_error_handler();
        }

        self::assertSame(['beforePush push job', 'afterPush push job confirmed', 'received job', 'settled job acked'], $observer->jobs());
        self::assertCount(4, $warnings);
        foreach ($methods as $at => $method) {
            self::assertStringContainsString(
                "the observer Amqp1\\Tests\\Support\\RecordingObserver threw in $method(): DomainException: not your job",
                $warnings[$at]
            );
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testObserversMayUseTheQueueAndAreNotObserved(string $broker): void
    {
        $other = $this->queue($broker);
        $consumer = null;
        $observer = new RecordingObserver([], [
            'beforePush' => static fn () => $other->push('from beforePush'),
            'afterPush' => static fn () => $other->push('from afterPush'),
            'received' => static fn () => $other->push('from received'),
            'settled' => static function () use (&$consumer): void {
                $consumer->close();
            },
        ]);
        $queue = $this->queue($broker, ['observer' => $observer]);
        setObserver($observer);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $this->next($consumer)->ack();
        self::assertNull($consumer->waitTask(0.1));

        $expected = ['beforePush push job', 'afterPush push job confirmed', 'received job', 'settled job acked'];
        self::assertSame([...array_merge(...array_map(static fn (string $line) => [$line, $line], $expected))], $observer->jobs());
        setObserver(null);
        $this->eventually(fn () => $this->jobsIn($other) === 6, 'each method has pushed, for both observers');
    }

    public function testTheProcessesObserverIsReturnedAndReplaced(): void
    {
        self::assertNull(setObserver($first = new NullObserver()));
        self::assertSame($first, setObserver($second = new RecordingObserver()));
        self::assertSame($second, setObserver(null));
        self::assertNull(setObserver(null));
        $this->queue('embedded')->push('unheard');
        self::assertSame([], $second->jobs());
        $this->thrown(\TypeError::class, static fn () => setObserver(new \stdClass()));
        $message = $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://', 'q', ['observer' => 'x']))->getMessage();
        self::assertStringContainsString("option 'observer': expected an Amqp1\\Observer, got string", $message);
        $message = $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://?observer=x', 'q'))->getMessage();
        self::assertStringContainsString('observer', $message);
        self::assertInstanceOf(AmqpQueue::class, new AmqpQueue('embedded://', 'q', ['observer' => null]));
        foreach (['observer' => 'setObserver()', 'logger' => 'setLogger()'] as $option => $function) {
            foreach ([new NullObserver(), 'a text'] as $value) {
                $config = ['amqp1' => ['addr' => 'embedded://tests'],
                    'jobs' => ['pipelines' => ['p' => ['driver' => 'amqp1', 'config' => ['queue' => 'q', $option => $value]]]]];
                $message = $this->thrown(ConfigException::class, static fn () => (new Jobs($config))->create('p'))->getMessage();
                self::assertStringContainsString($function, $message);
                self::assertStringContainsString('new AmqpQueue()', $message);
            }
        }
        self::assertTrue(is_subclass_of(NullObserver::class, Observer::class));
    }
}
