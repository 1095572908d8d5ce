<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Jobs;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** An object is constructed once, by new. Nothing replaces it or creates it without its parts. */
final class ConstructorTest extends ContractTestCase
{
    private const JOBS = ['amqp1' => ['addr' => 'embedded://phpunit'], 'jobs' => ['pipelines' => ['a' => []]]];

    public function testALiveQueueIsNotMadeAgain(): void
    {
        $queue = $this->queue('embedded');
        $name = $queue->getName();
        $queue->push('job');
        $this->refused(static fn () => $queue->__construct('embedded://phpunit', 'other'), 'AmqpQueue::__construct()');
        $this->refused(static fn () => $queue->__construct('nonsense'), 'AmqpQueue::__construct()');

        self::assertSame($name, $queue->getName());
        self::assertSame(1, $queue->count());
    }

    public function testALiveConsumerIsNotMadeAgain(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('one');
        $queue->push('two');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $this->refused(static fn () => $consumer->__construct($queue, ['prefetch' => 1]), 'Consumer::__construct()');

        self::assertSame('two', $this->next($consumer)->getName());
        $task->ack();
    }

    public function testNotEvenWhileItWaits(): void
    {
        $consumer = $this->consumer($this->queue('embedded'));
        $other = $this->queue('embedded');
        $refused = null;
        $async = pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static function () use ($consumer, $other, &$refused): void {
            try {
                $consumer->__construct($other);
            } catch (\Error $e) {
                $refused = $e;
            }
            $consumer->stop();
        });
        try {
            pcntl_alarm(1);
            self::assertNull($consumer->waitTask(20));
        } finally {
            pcntl_alarm(0);
            pcntl_signal(SIGALRM, SIG_DFL);
            pcntl_async_signals($async);
        }
        self::assertNotNull($refused);
    }

    public function testLiveJobsAreNotMadeAgain(): void
    {
        $jobs = new Jobs(self::JOBS);
        $this->refused(static fn () => $jobs->__construct(['amqp1' => []]), 'Jobs::__construct()');

        self::assertSame(['a'], array_keys(iterator_to_array($jobs)));
    }

    public function testATaskIsNotMadeAtAll(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job');
        $task = $queue->reserve(5);
        $constructor = new \ReflectionMethod($task, '__construct');
        $this->thrown(\Exception::class, static fn () => $constructor->invoke($task));

        self::assertSame('job', $task->getName());
        $task->ack();
    }

    /** @return array<string, array{class-string}> */
    public static function classes(): array
    {
        $sets = [];
        foreach ((new \ReflectionExtension('amqp1'))->getClasses() as $class) {
            if ($class->isFinal() && !$class->isSubclassOf(\Throwable::class)) {
                $sets[$class->getShortName()] = [$class->getName()];
            }
        }

        return $sets;
    }

    /** @dataProvider classes */
    #[DataProvider('classes')]
    public function testThereIsNoOtherWayToMakeOne(string $class): void
    {
        $this->thrown(\ReflectionException::class, static fn () => (new \ReflectionClass($class))->newInstanceWithoutConstructor());
        $serialized = 'O:' . strlen($class) . ":\"$class\":0:{}";
        $this->thrown(\Exception::class, static fn () => unserialize($serialized));
        $object = match ($class) {
            AmqpQueue::class => $this->queue('embedded'),
            Consumer::class => $this->consumer($this->queue('embedded')),
            Jobs::class => new Jobs(self::JOBS),
            default => null,
        };
        if ($object !== null) {
            $this->thrown(\Error::class, static fn () => clone $object);
            $this->thrown(\Exception::class, static fn () => serialize($object));
        }
    }

    private function refused(callable $call, string $method): void
    {
        $error = $this->thrown(\Error::class, $call);
        self::assertSame(\Error::class, get_class($error));
        self::assertStringContainsString($method, $error->getMessage());
    }
}
