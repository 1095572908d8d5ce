<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\ConfigException;
use Amqp1\Task;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\WorkerHandlers\Around;
use Amqp1\Tests\Support\WorkerHandlers\Dispatcher;
use Amqp1\Tests\Support\WorkerHandlers\NoHandler;
use Amqp1\Worker;
use Amqp1\Worker\Event;
use Amqp1\Worker\Event\JobAcked;
use Amqp1\Worker\Event\JobDeadLettered;
use Amqp1\Worker\Event\JobEnded;
use Amqp1\Worker\Event\JobStarted;
use Amqp1\Worker\Event\WorkerStopped;
use DomainException;
use PHPUnit\Framework\Attributes\DataProvider;

/** What runs beside a handler: listeners and dispatchers, which are told each event as an object of its own class, and middleware. */
final class WorkerEventsTest extends ContractTestCase
{
    private const ONCE = ['stopWhenEmpty' => true, 'reserveTimeout' => 0.3, 'maxAttempts' => 1];

    private string|false $log;

    protected function setUp(): void
    {
        $this->log = ini_set('error_log', '/dev/null');
    }

    protected function tearDown(): void
    {
        ini_set('error_log', (string) $this->log);
        parent::tearDown();
    }

    public function testEachEventHasAClass(): void
    {
        $found = [];
        foreach (glob(dirname(__DIR__) . '/php/Worker/Event/*.php') ?: [] as $file) {
            $class = new \ReflectionClass(Event::class . '\\' . basename($file, '.php'));
            self::assertTrue($class->isSubclassOf(Event::class), $class->getName());
            self::assertTrue($class->isAbstract() || $class->isFinal(), $class->getName());
            if ($class->isFinal()) {
                $found[] = $class->getConstant('NAME');
            }
        }
        self::assertEqualsCanonicalizing(Event::ALL, $found);
    }

    public function testADispatcherFindsEventsByTheirClass(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('good');
        $queue->push('bad');
        $events = new Dispatcher();
        $told = [];
        $events->listeners[JobAcked::class] = static function (JobAcked $event) use (&$told): void {
            $told[] = [$event->name, $event->task->getName(), $event->error, is_float($event->seconds)];
        };
        $events->listeners[JobDeadLettered::class] = static function (JobDeadLettered $event) use (&$told): void {
            $told[] = [$event->name, $event->task->getName(), $event->error->getMessage(), is_float($event->seconds)];
            throw new DomainException('a listener that fails does no harm');
        };
        $events->listeners[WorkerStopped::class] = static function (WorkerStopped $event) use (&$told): void {
            $told[] = [$event->name, $event->summary->jobs];
        };
        $worker = new Worker($queue, ['good' => static fn () => null, 'bad' => static fn () => throw new DomainException('oh')],
            self::ONCE, dispatcher: $events);

        $summary = $worker->run();

        self::assertSame([
            ['job.ack', 'good', null, true],
            ['job.dead_letter', 'bad', 'oh', true],
            ['worker.stop', 2],
        ], $told);
        self::assertSame([1, 1], [$summary->acked, $summary->deadLettered]);
        self::assertStringContainsString('must have a method dispatch()', $this->thrown(ConfigException::class,
            static fn () => new Worker($queue, [], [], null, null, new NoHandler()))->getMessage());
    }

    public function testListenersByNameByClassAndByAClassOfSeveral(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('good');
        $told = [];
        $tell = static function (string $by) use (&$told): \Closure {
            return static function (Event $event) use ($by, &$told): void {
                $told[] = "$by $event->name " . $event::class;
            };
        };
        $worker = new Worker($queue, ['good' => static fn () => null], ['maxJobs' => 1]);
        $worker->listen('job.ack', $tell('name'))->listen(JobStarted::class, $tell('class'))->listen(JobEnded::class, $tell('ended'))
            ->listen(Event::class, $tell('any'));
        $worker->run();

        self::assertSame([
            'any worker.start Amqp1\Worker\Event\WorkerStarted',
            'class job.start Amqp1\Worker\Event\JobStarted',
            'any job.start Amqp1\Worker\Event\JobStarted',
            'name job.ack Amqp1\Worker\Event\JobAcked',
            'ended job.ack Amqp1\Worker\Event\JobAcked',
            'any job.ack Amqp1\Worker\Event\JobAcked',
            'any worker.stop Amqp1\Worker\Event\WorkerStopped',
        ], $told);
    }

    public function testMiddlewareIsAroundTheHandlerInOrder(): void
    {
        $queue = $this->queue('embedded');
        foreach (['plain', 'skipped', 'refused', 'caught', 'translated', 'twice'] as $name) {
            $queue->push($name);
        }
        $log = [];
        $throw = static fn () => throw new DomainException('by the handler');
        $worker = new Worker($queue, [
            '*' => static function (Task $task) use (&$log): string {
                $log[] = "handler {$task->getName()}";

                return 'its value';
            },
            'caught' => $throw,
            'translated' => $throw,
        ], self::ONCE);
        Around::$log = &$log;
        $worker->middleware(static function (Task $task, callable $next) use (&$log): void {
            $log[] = "outer {$task->getName()}";
            $value = $next($task);
            $log[] = "outer after {$task->getName()} " . var_export($value, true);
        })->middleware(static function (Task $task, callable $next): mixed {
            $result = match ($task->getName()) {
                'skipped' => null,
                'refused' => throw new DomainException('by a middleware'),
                'caught' => (static function () use ($next, $task): void {
                    try {
                        $next($task);
                    } catch (DomainException) {
                    }
                })(),
                'translated' => (static function () use ($next, $task): void {
                    try {
                        $next($task);
                    } catch (DomainException $e) {
                        throw new \LogicException('translated', 0, $e);
                    }
                })(),
                'twice' => [$next($task), $next($task)],
                default => $next($task),
            };

            return $result;
        })->middleware(Around::class);

        $summary = $worker->run();

        self::assertSame([6, 4, 2], [$summary->jobs, $summary->acked, $summary->deadLettered]);
        self::assertSame([
            'outer plain', 'inner plain', 'handler plain', "outer after plain 'its value'",
            'outer skipped', 'outer after skipped NULL',
            'outer refused',
            'outer caught', 'inner caught', 'outer after caught NULL',
            'outer translated', 'inner translated',
            'outer twice', 'inner twice', 'handler twice', 'inner twice', 'handler twice',
            "outer after twice array (\n  0 => 'its value',\n  1 => 'its value',\n)",
        ], $log);
        $failed = [];
        foreach (range(1, 2) as $_) {
            $task = $this->take($queue->failed());
            $failed[$task->getName()] = $task->getFailure()['exception'] . ' ' . $task->getFailure()['error'];
        }
        ksort($failed);
        self::assertSame(['refused' => 'DomainException by a middleware', 'translated' => 'LogicException translated'], $failed);
    }

    /** @return array<string, array{callable|object|string|array, string}> */
    public static function wrongMiddleware(): array
    {
        return [
            'no class' => ['Nobody\\Knows', 'Invalid middleware: no class or function "Nobody\\Knows"'],
            'neither method' => [new NoHandler(), 'has neither __invoke() nor handle()'],
            'too many arguments' => [static fn (Task $task, callable $next, int $more) => null, 'it requires more than two arguments'],
        ];
    }

    /** @dataProvider wrongMiddleware */
    #[DataProvider('wrongMiddleware')]
    public function testAMiddlewareThatCannotBeUsedIsSaidAtOnce(callable|object|string|array $middleware, string $message): void
    {
        $worker = new Worker($this->queue('embedded'), ['*' => 'strlen']);
        self::assertStringContainsString($message, $this->thrown(ConfigException::class, static fn () => $worker->middleware($middleware))->getMessage());
    }

    public function testAMiddlewareThatDoesNotFitTheHandlersIsSaidBeforeTheFirstJob(): void
    {
        $queue = $this->queue('embedded');
        $one = static fn (Task $task, callable $next) => $next($task);
        $many = static fn (array $tasks, callable $next) => $next($tasks);
        $both = static fn (Task|array $tasks, callable $next) => $next($tasks);
        $worker = static fn (callable $middleware, array $handlers) => (new Worker($queue, $handlers, ['maxRuntime' => 0.01]))->middleware($middleware)->run();
        $batch = new Worker\Batch(static fn (array $tasks) => null);
        self::assertStringContainsString('Middleware 1 takes a Task, but the handler for "b" takes a batch: let its first parameter be Task|array',
            $this->thrown(ConfigException::class, static fn () => $worker($one, ['a' => static fn () => null, 'b' => $batch]))->getMessage());
        self::assertStringContainsString('Middleware 1 takes an array, but not all handlers take a batch',
            $this->thrown(ConfigException::class, static fn () => $worker($many, ['a' => static fn () => null, 'b' => $batch]))->getMessage());
        foreach ([[$one, ['a' => 'strlen']], [$many, ['b' => $batch]], [$both, ['a' => 'strlen', 'b' => $batch]]] as [$middleware, $handlers]) {
            self::assertSame(0, $worker($middleware, $handlers)->jobs);
        }
    }
}
