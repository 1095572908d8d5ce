<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Task;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\WorkerHandlers\AbstractHandler;
use Amqp1\Tests\Support\WorkerHandlers\Container;
use Amqp1\Tests\Support\WorkerHandlers\GreedyHandler;
use Amqp1\Tests\Support\WorkerHandlers\Handles;
use Amqp1\Tests\Support\WorkerHandlers\HiddenHandler;
use Amqp1\Tests\Support\WorkerHandlers\Invoked;
use Amqp1\Tests\Support\WorkerHandlers\MagicHandler;
use Amqp1\Tests\Support\WorkerHandlers\NeedyHandler;
use Amqp1\Tests\Support\WorkerHandlers\NoHandler;
use Amqp1\Worker;
use Amqp1\Worker\Event;
use Amqp1\Worker\StopReason;
use Amqp1\WorkerOptions;
use DomainException;
use PHPUnit\Framework\Attributes\DataProvider;

/** A worker in this process: which handler gets a job, how a job ends, and what is reported. */
final class WorkerTest extends ContractTestCase
{
    /** Until there is no job left. */
    private const ONCE = ['stopWhenEmpty' => true, 'reserveTimeout' => 0.3];

    public function testAJobGoesToTheHandlerOfItsName(): void
    {
        $queue = $this->queue('embedded');
        $names = ['Plain', 'App\\Invoked', 'App\\Handles', 'method', 'static', 'mail.welcome', 'mail.big.one', 'other', 'urn:a:b'];
        foreach ($names as $name) {
            $queue->push($name);
        }
        $seen = [];
        $see = static function (string $by) use (&$seen): \Closure {
            return static function (Task $task) use ($by, &$seen): void {
                $seen[$task->getName()] = $by;
            };
        };
        Invoked::$seen = Handles::$seen = [];
        $worker = new Worker($queue, [
            '*' => $see('the rest'),
            'Plain' => $see('its name'),
            'App\\Invoked' => Invoked::class,
            'App\\Handles' => new Handles(),
            'method' => [Handles::class, 'other'],
            'static' => Handles::class . '::still',
        ], self::ONCE);
        $worker->on('mail.*', $see('mail'))->on('mail.big.*', $see('never: a pattern before it'))->on('urn:*:b', $see('urn'));

        $summary = $worker->run();

        self::assertSame(StopReason::Empty, $summary->reason);
        self::assertSame([count($names), count($names), 0], [$summary->jobs, $summary->acked, $summary->lost]);
        self::assertSame(0, $summary->exitCode());
        self::assertSame(['Plain' => 'its name', 'mail.welcome' => 'mail', 'mail.big.one' => 'mail', 'other' => 'the rest', 'urn:a:b' => 'urn'], $seen);
        self::assertSame(['App\\Invoked'], Invoked::$seen);
        self::assertSame(['handle App\\Handles', 'other method', 'still static'], Handles::$seen);
        $this->assertJobs(0, $queue);
    }

    public function testAContainerMakesTheHandlersAtTheFirstJob(): void
    {
        $queue = $this->queue('embedded');
        $queue->pushMany(array_fill(0, 2, ['name' => 'job']));
        foreach ([$container = new Container(), $container->get(...)] as $given) {
            $container->asked = [];
            $queue->push('service');
            $worker = new Worker($queue, ['job' => Invoked::class, 'service' => 'mail.sender', 'unused' => 'gone'], self::ONCE, null, $given);
            self::assertSame([], $container->asked);

            self::assertSame(0, $worker->run()->exitCode());

            self::assertContains('mail.sender', $container->asked);
            self::assertNotContains('gone', $container->asked);
            self::assertSame(array_unique($container->asked), $container->asked, 'each is made once');
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAHandlerThatThrowsFailsItsJobByThePolicy(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach (['good', 'once', 'never', 'error'] as $name) {
            $queue->push($name);
        }
        $attempts = ['once' => [], 'never' => [], 'error' => []];
        $events = [];
        $worker = new Worker($queue, [
            'good' => static fn () => null,
            'once' => static function (Task $task) use (&$attempts): void {
                $attempts['once'][] = $task->getAttempts();
                if ($task->getAttempts() === 1) {
                    throw new DomainException('not yet');
                }
            },
            'never' => static function (Task $task) use (&$attempts): void {
                $attempts['never'][] = $task->getAttempts();
                throw new DomainException('never ever');
            },
            'error' => static function (Task $task) use (&$attempts): void {
                $attempts['error'][] = $task->getAttempts();
                intdiv(1, 0);
            },
        ], ['maxAttempts' => 2, 'backoff' => 0, 'stop_when_empty' => true, 'reserve_timeout' => 1.5]);
        $worker->listen('*', static function (Event $event) use (&$events): void {
            if ($event->task !== null && $event->name !== Event::JOB_START) {
                $events[] = $event->name . ' ' . $event->task->getName() . ' ' . ($event->error?->getMessage() ?? '-');
                self::assertGreaterThanOrEqual(0.0, $event->seconds);
            }
        });

        $summary = $this->silently(static fn () => $worker->run());

        self::assertSame(['once' => [1, 2], 'never' => [1, 2], 'error' => [1, 2]], $attempts);
        sort($events);
        self::assertSame([
            'job.ack good -',
            'job.ack once -',
            'job.dead_letter error Division by zero',
            'job.dead_letter never never ever',
            'job.retry error Division by zero',
            'job.retry never never ever',
            'job.retry once not yet',
        ], $events);
        self::assertSame([7, 2, 3, 2], [$summary->jobs, $summary->acked, $summary->retried, $summary->deadLettered]);
        $failure = [];
        foreach (range(1, 2) as $_) {
            $task = $this->take($queue->failed());
            $failure[$task->getName()] = $task->getFailure();
        }
        self::assertSame(['failed', 'never ever', DomainException::class], [
            $failure['never']['reason'], $failure['never']['error'], $failure['never']['exception'],
        ]);
        self::assertSame(\DivisionByZeroError::class, $failure['error']['exception']);
        self::assertSame(2, $failure['error']['attempts']);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatAHandlerSettledStays(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach (['acked', 'released', 'buried', 'acked and threw'] as $name) {
            $queue->push($name);
        }
        $released = 0;
        $worker = new Worker($queue, [
            'acked' => static fn (Task $task) => $task->ack(),
            'released' => static function (Task $task) use (&$released): void {
                if ($released++ === 0) {
                    $task->release();
                }
            },
            'buried' => static fn (Task $task) => $task->deadLetter('spoilt', 'since Monday'),
            'acked and threw' => static function (Task $task): void {
                $task->ack();
                throw new DomainException('too late');
            },
        ], ['reserveTimeout' => 1] + self::ONCE);

        $summary = $this->silently(static fn () => $worker->run(), $log);

        self::assertSame([5, 3, 1, 1, 0], [$summary->jobs, $summary->acked, $summary->released, $summary->deadLettered, $summary->retried]);
        self::assertStringContainsString('settled the job, then threw: too late', $log);
        self::assertStringContainsString("failed permanently on attempt 1\n", $log, 'without an error of its own');
        self::assertSame('spoilt', $this->take($queue->failed())->getFailure()['reason']);
    }

    /** @return array<string, array{string, string, list<int>}> counts: acked, retried, released, deadLettered, dropped */
    public static function unknownJobs(): array
    {
        return [
            'fail' => ['fail', 'failed', [1, 1, 0, 1, 0]],
            'dead_letter' => ['dead_letter', 'failed', [1, 0, 0, 1, 0]],
            'delete' => ['delete', 'gone', [1, 0, 0, 0, 1]],
            'release' => ['release', 'back', [1, 0, 1, 0, 0]],
        ];
    }

    /** @dataProvider unknownJobs */
    #[DataProvider('unknownJobs')]
    public function testAJobWithoutAHandler(string $strategy, string $where, array $counts): void
    {
        $queue = $this->queue('embedded');
        $queue->push('stranger');
        $queue->push('known');
        $worker = new Worker($queue, ['known' => static fn () => null], [
            'unknownJob' => $strategy, 'releaseDelay' => 1.5, 'maxAttempts' => 2, 'backoff' => 0,
        ] + self::ONCE);

        $summary = $this->silently(static fn () => $worker->run(), $log);

        self::assertSame($counts, [$summary->acked, $summary->retried, $summary->released, $summary->deadLettered, $summary->dropped]);
        self::assertSame($where === 'failed' ? 1 : 0, count($queue->failed()));
        if ($where === 'failed') {
            self::assertStringContainsString('stranger', (string) $this->take($queue->failed())->getFailure()['error']);
            self::assertStringContainsString('No handler is registered for job "stranger"', $log);
        }
        $consumer = $this->consumer($queue);
        if ($where === 'back') {
            self::assertSame('stranger', $this->next($consumer, 5)->getName());
        } else {
            $this->assertNoTask($consumer);
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAFailedQueueThatIsFullLosesNothingAndSlowsDown(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker));
        $this->queue($broker, ['arguments' => ['x-max-length' => 1, 'x-overflow' => 'reject-publish']], "$name.failed")->setup();
        $queue = $this->queue($broker, [], $name);
        $queue->pushMany(array_fill(0, 6, ['name' => 'bad']));
        $worker = new Worker($queue, ['bad' => static fn () => throw new DomainException('no')], ['maxAttempts' => 1, 'maxRuntime' => 4]);

        $summary = $this->silently(static fn () => $worker->run(), $log);

        self::assertSame(StopReason::MaxRuntime, $summary->reason);
        self::assertGreaterThanOrEqual(1, $summary->lost);
        self::assertLessThan(20, $summary->jobs, 'it does not run in circles');
        self::assertStringContainsString('could not be settled', $log);
        $this->eventually(static fn () => count($queue) + count($queue->failed()) === 6, 'all are there');
    }

    public function testLimits(): void
    {
        $queue = $this->queue('embedded', ['prefetch' => 50]);
        $queue->pushMany(array_fill(0, 30, ['name' => 'job']));
        $run = static fn (array $options, ?callable $handler = null) => (new Worker($queue, ['*' => $handler ?? static fn () => null], $options))->run();

        $summary = $run(['maxJobs' => 7]);
        self::assertSame([StopReason::MaxJobs, 7], [$summary->reason, $summary->jobs]);
        self::assertCount(23, $queue, 'what was buffered is back');

        $summary = $run(['memoryLimitMb' => 1]);
        self::assertSame([StopReason::MemoryLimit, 1], [$summary->reason, $summary->jobs], 'each process does one, whatever it begins with');

        $start = hrtime(true);
        $summary = $run(['maxRuntime' => 0.4], static fn () => usleep(150_000));
        self::assertSame(StopReason::MaxRuntime, $summary->reason);
        self::assertGreaterThanOrEqual(0.4, (hrtime(true) - $start) / 1e9);
        self::assertGreaterThanOrEqual(1, $summary->jobs);
        self::assertLessThan(23, $summary->jobs);

        self::assertSame(StopReason::Empty, $run(self::ONCE)->reason);
        self::assertCount(0, $queue);

        $start = hrtime(true);
        self::assertSame(StopReason::MaxRuntime, $run(['maxRuntime' => 0.3])->reason, 'a wait for jobs ends for it');
        self::assertGreaterThanOrEqual(0.3, (hrtime(true) - $start) / 1e9);
    }

    public function testStopFromAHandlerAndASecondRun(): void
    {
        $queue = $this->queue('embedded');
        $queue->pushMany(array_fill(0, 4, ['name' => 'job']));
        $worker = new Worker($queue);
        $worker->on('job', static fn () => $worker->stop());
        foreach ([3, 2] as $left) {
            $summary = $worker->run();
            self::assertSame([StopReason::Stopped, 1, 1], [$summary->reason, $summary->jobs, $summary->acked]);
            self::assertCount($left, $queue);
        }
        $worker->stop();
        self::assertSame([StopReason::Stopped, 0], [$worker->run()->reason, 2 - count($queue)], 'a stop before it runs');
        self::assertSame(1, $worker->run()->jobs);
    }

    public function testAHandlerCannotRunItsWorkerAgain(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job');
        $worker = new Worker($queue, ['job' => static function () use (&$worker): void {
            $worker->run();
        }], ['maxJobs' => 1, 'maxAttempts' => 1, 'maxRuntime' => 10]);

        self::assertSame([1, StopReason::MaxJobs], [($summary = $worker->run())->deadLettered, $summary->reason]);
        self::assertStringContainsString('already running', $this->take($queue->failed())->getFailure()['error']);
    }

    public function testEventsAndTheLogger(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job');
        $queue->push('bad');
        $logger = new class {
            /** @var list<string> */
            public array $lines = [];

            public function log(mixed $level, string|\Stringable $message, array $context = []): void
            {
                $this->lines[] = "$level " . Worker\Log::interpolate((string) $message, ['seconds' => 'N', 'id' => 'ID'] + $context)
                    . (isset($context['exception']) ? ' ' . $context['exception']::class : '');
            }
        };
        $events = [];
        $worker = new Worker($queue, ['job' => static fn () => null, 'bad' => static fn () => throw new DomainException('oh')],
            ['maxAttempts' => 1] + self::ONCE, $logger);
        $worker->listen('*', static function (Event $event) use (&$events): void {
            $events[] = $event->name;
        });
        $worker->listen(Event::JOB_ACK, static fn () => throw new DomainException('the listener'));
        $worker->listen(Event::STOP, static function (Event $event) use (&$stopped): void {
            $stopped = $event->summary;
        });

        $summary = $worker->run();

        self::assertSame($summary, $stopped);
        self::assertSame(['worker.start', 'job.start', 'job.ack', 'job.start', 'job.dead_letter', 'worker.idle', 'worker.stop'], $events);
        self::assertSame([
            'debug job ID started, attempt 1',
            'info job ID done in N s',
            'error a listener for job.ack failed: the listener DomainException',
            'debug bad ID started, attempt 1',
            'error bad ID failed permanently on attempt 1: oh DomainException',
            'info worker stopped after N s (empty), jobs: 2',
        ], $logger->lines);
    }

    public function testALoggerThatFailsDoesNotFailTheJob(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job');
        $logger = new class {
            public function log(mixed $level, string|\Stringable $message, array $context = []): void
            {
                throw new DomainException('disk full');
            }
        };
        $worker = new Worker($queue, ['job' => static fn () => null], self::ONCE, $logger);

        self::assertSame(1, $this->silently(static fn () => $worker->run(), $log)->acked);
        self::assertStringContainsString('disk full', $log);
    }

    public function testTheAliveFileIsTouchedWhileNothingComes(): void
    {
        $file = tempnam(sys_get_temp_dir(), 'amqp1-alive-');
        touch($file, 1000);
        try {
            (new Worker($this->queue('embedded'), ['*' => 'strlen'], ['aliveFile' => $file, 'maxRuntime' => 0.1]))->run();
            clearstatcache();
            self::assertGreaterThan(time() - 60, filemtime($file));
        } finally {
            unlink($file);
        }
    }

    public function testABrokerThatWasNeverReachedIsAnException(): void
    {
        $nobody = new Worker(new AmqpQueue('amqp://guest:secret-word@127.0.0.1:1', 'q'), ['*' => 'strlen'], ['maxRuntime' => 30]);
        self::assertStringNotContainsString('secret-word', $this->thrown(ConnectionException::class, static fn () => $nobody->run())->getMessage());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAQueueThatIsNotThereIsAnException(string $broker): void
    {
        $missing = new Worker($this->queue($broker, ['declare' => false]), ['*' => 'strlen'], ['maxRuntime' => 30]);
        $this->thrown(QueueNotFoundException::class, static fn () => $missing->run());
    }

    /** @return array<string, array{array<string, mixed>, string}> */
    public static function wrongOptions(): array
    {
        return [
            'unknown' => [['maxJob' => 1], 'Unknown worker option "maxJob": did you mean "maxJobs"?'],
            'snake case' => [['max_job' => 1], 'Unknown worker option "max_job": did you mean "maxJobs"?'],
            'a type' => [['max_jobs' => 'many'], '"max_jobs" must be an integer, not \'many\''],
            'an array' => [['failedQueue' => []], '"failedQueue" must be a string, not array'],
            'a boolean' => [['stopWhenEmpty' => 'perhaps'], '"stopWhenEmpty" must be true or false'],
            'below nothing' => [['maxRuntime' => -1], '"maxRuntime" must be 0 or greater, not -1'],
            'not a number' => [['reserveTimeout' => NAN], '"reserveTimeout"'],
            'pauses' => [['backoff' => true], '"backoff" must be a number of seconds, a list of them, or "exponential", not true'],
            'strategy' => [['unknownJob' => 'ignore'], 'must be one of fail, delete, release, dead_letter, not "ignore"'],
            'a file' => [['aliveFile' => '/nowhere/alive'], '/nowhere/alive is not writable'],
        ];
    }

    /** @dataProvider wrongOptions */
    #[DataProvider('wrongOptions')]
    public function testAWrongOptionIsSaidAtOnce(array $options, string $message): void
    {
        $thrown = $this->thrown(ConfigException::class, fn () => new Worker($this->queue('embedded'), ['*' => 'strlen'], $options));
        self::assertStringContainsString($message, $thrown->getMessage());
    }

    public function testOptionsAsAnObjectAndInOtherSpellings(): void
    {
        $options = WorkerOptions::from(['max_jobs' => '5', 'stopWhenEmpty' => 1, 'reserve_timeout' => '0.5', 'backoff' => [1, 2], 'prefetch' => null]);

        self::assertEquals(new WorkerOptions(maxJobs: 5, stopWhenEmpty: true, reserveTimeout: 0.5, backoff: [1, 2]), $options);
        self::assertSame(['backoff' => [1, 2]], $options->consumerOptions());
        self::assertSame($options, WorkerOptions::from($options));
        $all = array_map(static fn (\ReflectionParameter $parameter) => $parameter->getName(),
            (new \ReflectionMethod(WorkerOptions::class, '__construct'))->getParameters());
        $thrown = $this->thrown(ConfigException::class, static fn () => WorkerOptions::from(array_fill_keys($all, null) + ['no such' => 1]));
        self::assertStringContainsString('no such', $thrown->getMessage(), 'every option is known as an array key');
    }

    public function testAHandlerThatCannotBeUsedIsSaidAtOnce(): void
    {
        $queue = $this->queue('embedded');
        foreach ([
            'no class or function "Nobody\\Knows"' => 'Nobody\\Knows',
            'has neither __invoke() nor handle()' => new NoHandler(),
            NoHandler::class . ' has neither' => NoHandler::class,
            'the array is not callable' => [NoHandler::class, 'missing'],
            'the array is not callabl' => [HiddenHandler::class, 'handle'],
            HiddenHandler::class . ' has neither' => new HiddenHandler(),
            AbstractHandler::class . ' cannot be instantiated' => AbstractHandler::class,
            'the constructor of ' . NeedyHandler::class . ' requires arguments' => NeedyHandler::class,
            'the constructor of ' . NeedyHandler::class . ' requires' => [NeedyHandler::class, 'handle'],
            'requires more than one argument' => static fn (Task $task, string $more) => null,
            'requires more than' => 'str_replace',
            'more than one argument' => [GreedyHandler::class, 'handle'],
            'requires more than one' => GreedyHandler::class,
            'more than one argument, but' => new GreedyHandler(),
        ] as $message => $handler) {
            $thrown = $this->thrown(ConfigException::class, static fn () => new Worker($queue, ['job' => $handler]));
            self::assertStringContainsString(trim($message), $thrown->getMessage());
            self::assertStringContainsString('"job"', $thrown->getMessage());
        }
        // A container may know what the class needs; methods by __call() cannot be inspected.
        new Worker($queue, ['job' => NeedyHandler::class], [], null, static fn () => new NeedyHandler('x'));
        new Worker($queue, ['job' => [new MagicHandler(), 'anything']]);
        $list = $this->thrown(ConfigException::class, static fn () => new Worker($queue, [static fn () => null]));
        self::assertStringContainsString('job name => handler', $list->getMessage());
        $null = $this->thrown(ConfigException::class, static fn () => new Worker($queue, ['job' => null]));
        self::assertStringContainsString('Invalid handler for "job": null is neither', $null->getMessage());
        self::assertStringContainsString('no handler', $this->thrown(ConfigException::class, static fn () => (new Worker($queue))->run())->getMessage());
        $event = $this->thrown(ConfigException::class, static fn () => (new Worker($queue))->listen('job.acked', 'strlen'));
        self::assertStringContainsString('did you mean "job.ack"?', $event->getMessage());
        self::assertStringContainsString('log()', $this->thrown(ConfigException::class,
            static fn () => new Worker($queue, [], [], new NoHandler()))->getMessage());
        self::assertStringContainsString('get()', $this->thrown(ConfigException::class,
            static fn () => new Worker($queue, [], [], null, new NoHandler()))->getMessage());
    }

    /** With PHP's error log in a file, to which a worker without a logger writes. */
    private function silently(callable $do, ?string &$log = null): mixed
    {
        $file = tempnam(sys_get_temp_dir(), 'amqp1-log-');
        $before = ini_set('error_log', $file);
        try {
            return $do();
        } finally {
            ini_set('error_log', (string) $before);
            $log = (string) file_get_contents($file);
            unlink($file);
        }
    }
}
