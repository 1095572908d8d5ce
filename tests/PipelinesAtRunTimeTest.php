<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Jobs;
use Amqp1\NullObserver;
use Amqp1\Observation\Job;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

use function Amqp1\metrics;

/** Pipelines that are added while a program runs; queues that are paused with and without a configuration. */
final class PipelinesAtRunTimeTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnAddedPipelineIsAPipeline(string $broker): void
    {
        $at = $this->broker($broker);
        $jobs = new Jobs(['amqp1' => ['addr' => $at->dsn, 'timeout' => 20], 'jobs' => ['pipelines' => [
            'orders' => ['config' => ['queue' => $this->uniqueName($at, 'orders')]],
        ]]]);
        $orders = $jobs->create('orders');
        $added = $jobs->add('mails', ['driver' => 'amqp1', 'config' => ['queue' => $this->uniqueName($at, 'mails'), 'prefetch' => 2]]);

        self::assertSame('mails', $added->getName());
        self::assertSame(['orders', 'mails'], array_keys(iterator_to_array($jobs)));
        self::assertCount(2, $jobs);
        $jobs->create('mails')->push('mail');
        $orders->push('order');
        $consumer = $this->consumer($jobs);
        $names = [];
        foreach ([1, 2] as $ignored) {
            $task = $this->next($consumer);
            $names[$task->getQueue()] = $task->getName();
            $task->ack();
        }
        ksort($names);
        self::assertSame(['mails' => 'mail', 'orders' => 'order'], $names, 'a new consumer serves it');

        $jobs->pause('mails');
        self::assertSame([true, true, false], [$added->isPaused(), $jobs->isPaused('mails'), $jobs->isPaused('orders')]);
    }

    public function testItIsOfThisObjectAndNotOfOlderConsumers(): void
    {
        $jobs = $this->embedded(['orders' => []]);
        $other = $this->embedded(['orders' => []]);
        $consumer = $this->consumer($jobs);
        $added = $jobs->add($name = 'later-' . bin2hex(random_bytes(4)), []);
        $added->push('job');
        $this->assertNoTask($consumer);

        self::assertSame('job', $this->take($added)->getName());
        $this->thrown(ConfigException::class, static fn () => $other->create($name));
    }

    public function testWithConsumeItIsServedByItsQueue(): void
    {
        $jobs = new Jobs(['amqp1' => ['addr' => 'embedded://phpunit'], 'jobs' => ['consume' => ['orders'], 'pipelines' => ['orders' => []]]]);
        $added = $jobs->add('later-' . bin2hex(random_bytes(4)), []);
        $added->push('job');
        $this->assertNoTask($this->consumer($jobs));

        self::assertSame('job', $this->take($added)->getName());
    }

    /** @return array<string, array{string, array, string}> */
    public static function mistakes(): array
    {
        return [
            'it exists' => ['orders', [], "Jobs::add(): pipeline 'orders' already exists; choose another name"],
            'it is another driver\'s' => ['cache', [], "Jobs::add(): pipeline 'cache' already exists; choose another name"],
            'no name' => ['', [], "Jobs::add(): jobs.pipelines: a pipeline's name must not be empty"],
            'unknown key' => ['new', ['config' => ['prefetsh' => 1]], "jobs.pipelines.new.config.prefetsh: unknown key, did you mean 'prefetch'?"],
            'wrong value' => ['new', ['config' => ['prefetch' => 'ten']], 'jobs.pipelines.new.config.prefetch'],
            'wrong place' => ['new', ['prefetch' => 1], 'jobs.pipelines.new.prefetch: belongs under jobs.pipelines.new.config'],
            'another driver' => ['new', ['driver' => 'memory'], "pipeline 'new' has the driver 'memory', which RoadRunner serves"],
            'an object' => ['new', ['config' => ['queue' => new \stdClass()]], 'jobs.pipelines.new.config.queue'],
        ];
    }

    /** @dataProvider mistakes */
    #[DataProvider('mistakes')]
    public function testAMistakeAddsNothing(string $name, array $pipeline, string $message): void
    {
        $jobs = $this->embedded(['orders' => [], 'cache' => ['driver' => 'memory']]);
        $thrown = $this->thrown(ConfigException::class, static fn () => $jobs->add($name, $pipeline));

        self::assertStringContainsString($message, $thrown->getMessage());
        self::assertStringStartsWith('Jobs::add(): ', $thrown->getMessage());
        self::assertCount(1, $jobs);
        $jobs->add('new', []);
        self::assertCount(2, $jobs, 'and the name is free');
    }

    public function testWithoutAnAddressNothingIsAdded(): void
    {
        $jobs = new Jobs(['jobs' => []]);
        $thrown = $this->thrown(ConfigException::class, static fn () => $jobs->add('orders', []));
        self::assertStringContainsString('amqp1.addr: missing', $thrown->getMessage());
        self::assertCount(0, $jobs);

        $name = 'own-' . bin2hex(random_bytes(4));
        $jobs->add($name, ['config' => ['addr' => 'embedded://phpunit']])->push('job');
        self::assertSame('job', $this->next($this->consumer($jobs))->getName());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAPausedQueueIsNotServedUntilItIsResumed(string $broker): void
    {
        [$one, $two] = [$this->queue($broker), $this->queue($broker)];
        $consumer = $this->consumer([$one, $two]);
        $one->push('in hand');
        $one->push('buffered');
        $task = $this->next($consumer);
        $this->eventually(static fn () => array_sum(array_column(metrics()['queues'], 'buffered')) === 1, 'one waits in the buffer');
        self::assertFalse($one->isPaused());
        $one->pause();
        self::assertTrue($one->isPaused());
        self::assertFalse($two->isPaused());

        $this->assertNoTask($consumer);
        self::assertFalse($task->isLost());
        $task->ack();
        self::assertSame('acked', $task->getOutcome(), 'what is in hand stays');
        $two->push('of the other');
        self::assertSame('of the other', $this->next($consumer)->getName());
        self::assertSame('buffered', $this->reserved($one)->getName(), 'it went back, and reserve() works');

        $one->push('later');
        $one->resume();
        self::assertSame('later', $this->next($consumer)->getName());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testItIsPausedAndResumedDuringAWait(string $broker): void
    {
        [$one, $two] = [$this->queue($broker), $this->queue($broker)];
        $consumer = $this->consumer([$one, $two]);
        $this->assertNoTask($consumer);
        $steps = [
            static function () use ($one) {
                $one->pause();
                $one->push('first');
            },
            static fn () => $two->push('second'),
            static fn () => $one->resume(),
        ];
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static function () use (&$steps) {
            (array_shift($steps))();
        });
        try {
            pcntl_alarm(1);
            self::assertNull($consumer->waitTask(1.6), 'a wait under way took a job of a queue that was paused');
            pcntl_alarm(1);
            $task = $this->next($consumer);
            self::assertSame('second', $task->getName(), 'the wait goes on with other queues');
            $task->ack();
            pcntl_alarm(1);
            $this->next($consumer)->ack();
        } finally {
            pcntl_alarm(0);
            pcntl_signal(SIGALRM, SIG_DFL);
        }
        self::assertSame([], $steps);
    }

    public function testAnObserverCanPauseItDuringAWait(): void
    {
        $queue = null;
        $observer = new class ($queue) extends NullObserver {
            public function __construct(private ?AmqpQueue &$queue)
            {
            }

            public function received(Job $job): void
            {
                $this->queue?->pause();
            }
        };
        $queue = $this->queue('embedded', ['observer' => $observer]);
        $consumer = $this->consumer($queue);
        $queue->push('first');
        $queue->push('second');

        self::assertSame('first', $this->next($consumer)->getName());
        self::assertTrue($queue->isPaused());
        $this->assertNoTask($consumer);
        $queue->resume();
        self::assertSame('second', $this->next($consumer)->getName());
    }

    public function testPausingIsOfOneObject(): void
    {
        $queue = $this->queue('embedded');
        $same = new AmqpQueue('embedded://phpunit', $queue->getName());
        $queue->pause();
        $queue->push('job');
        $this->assertNoTask($this->consumer($queue));

        self::assertFalse($same->isPaused());
        self::assertSame('job', $this->next($this->consumer($same))->getName());
    }

    private function embedded(array $pipelines): Jobs
    {
        return new Jobs(['amqp1' => ['addr' => 'embedded://phpunit'], 'jobs' => ['pipelines' => $pipelines]]);
    }

    private function reserved(AmqpQueue $queue): \Amqp1\Task
    {
        $task = $queue->reserve(10);
        self::assertNotNull($task);
        $task->ack();

        return $task;
    }
}
