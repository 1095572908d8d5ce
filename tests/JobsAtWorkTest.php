<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Consumer;
use Amqp1\Exception\ConfigException;
use Amqp1\Jobs;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;

/** Using pipelines: which ones a consumer serves, pausing them, figures. */
final class JobsAtWorkTest extends ContractTestCase
{
    /** Pipelines of this test on one broker. Their queues are deleted after the test. */
    private function jobs(string $broker, array $configs = ['orders' => [], 'mails' => []], array $jobs = []): Jobs
    {
        $at = $this->broker($broker);
        $pipelines = [];
        foreach ($configs as $name => $config) {
            $pipelines[$name] = ['driver' => 'amqp1', 'config' => $config + ['queue' => $this->uniqueName($at, $name)]];
        }

        return new Jobs(['amqp1' => ['addr' => $at->dsn, 'timeout' => 20], 'jobs' => $jobs + ['pipelines' => $pipelines]]);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAConsumerServesWhatConsumeNames(string $broker): void
    {
        $jobs = $this->jobs($broker, ['orders' => [], 'mails' => [], 'others' => []], ['consume' => ['mails', 'orders', 'mails']]);
        foreach ($jobs as $name => $queue) {
            $queue->push("of $name");
        }
        $consumer = $this->consumer($jobs);
        $names = [$this->next($consumer), $this->next($consumer)];
        foreach ($names as $at => $task) {
            $names[$at] = $task->getName() . ' ' . $task->getQueue();
            $task->ack();
        }
        sort($names);

        self::assertSame(['of mails mails', 'of orders orders'], $names);
        $this->assertNoTask($consumer);
        $consumer->close();
        self::assertSame('of others', $this->take($jobs->create('others'))->getName(), 'it was left alone');
    }

    public function testWithoutConsumeAllAreServed(): void
    {
        $jobs = $this->jobs('embedded');
        $jobs->create('orders')->push('job');
        $jobs->create('mails')->push('job');
        $consumer = $this->consumer($jobs);
        self::assertNotSame($this->next($consumer)->getQueue(), $this->next($consumer)->getQueue());

        foreach ([['consume' => []], ['consume' => ['cache'], 'pipelines' => ['cache' => ['driver' => 'memory']]], ['pipelines' => []]] as $none) {
            $thrown = $this->thrown(ConfigException::class, static fn () => new Consumer(new Jobs(['jobs' => $none])));
            self::assertStringContainsString('jobs.', $thrown->getMessage());
        }
    }

    public function testTheDefaultConfigurationIsServed(): void
    {
        $name = 'default-' . bin2hex(random_bytes(4));
        $file = sys_get_temp_dir() . '/amqp1-jobs-' . bin2hex(random_bytes(6)) . '.yaml';
        file_put_contents($file, "amqp1: {addr: 'embedded://phpunit'}\njobs: {pipelines: {{$name}: {}}}");
        putenv("AMQP1_CONFIG=$file");
        try {
            (new Jobs())->create($name)->push('job');
            $consumer = $this->consumer(null, ['prefetch' => 1]);
            self::assertSame($name, $this->next($consumer)->getQueue());
        } finally {
            putenv('AMQP1_CONFIG');
            unlink($file);
        }
    }

    public function testPrefetchIsEachPipelinesOwn(): void
    {
        $jobs = $this->jobs('embedded', ['two' => ['prefetch' => 2], 'five' => ['prefetch' => 5]]);
        foreach ($jobs as $queue) {
            $queue->pushMany(array_fill(0, 9, ['name' => 'job']));
        }
        $consumer = $this->consumer($jobs);
        $this->next($consumer);
        $reserved = static fn () => array_column($jobs->stats(), 'reserved');

        $this->eventually(static fn () => $reserved() === [2, 5], 'two and five jobs are out');
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAPausedPipelineIsNotServedUntilItIsResumed(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker), 'orders');
        $jobs = $this->jobs($broker, ['orders' => ['queue' => $name], 'mails' => []]);
        $orders = $jobs->create('orders');
        $orders->push('first');
        $orders->push('second');
        $consumer = $this->consumer($jobs);
        $this->next($consumer)->ack();

        // The second job is buffered. It is returned, so that another consumer can take it.
        $jobs->pause('orders');
        $this->assertNoTask($consumer);
        $other = $this->consumer($this->queue($broker, [], $name), ['prefetch' => 1]);
        $second = $this->next($other);
        self::assertSame('second', $second->getName(), 'it came back');
        $second->ack();
        $other->close();

        $orders->push('third');
        $jobs->create('mails')->push('mail');
        self::assertSame('mail', $this->next($consumer)->getName(), 'the other pipeline is served');
        $this->assertNoTask($consumer);
        $jobs->resume('orders', 'mails');
        self::assertSame('third', $this->next($consumer)->getName());
    }

    public function testPausedBeforeTheFirstWait(): void
    {
        $jobs = $this->jobs('embedded');
        $jobs->pause('orders', 'mails');
        $jobs->create('orders')->push('job');
        $consumer = $this->consumer($jobs);
        $this->assertNoTask($consumer);
        self::assertSame(1, $jobs->create('orders')->count(), 'it was not even fetched');
        $jobs->resume('orders');

        self::assertSame('job', $this->next($consumer)->getName());
    }

    public function testItIsPausedAndResumedWhileAConsumerWaits(): void
    {
        $jobs = $this->jobs('embedded');
        $orders = $jobs->create('orders');
        $jobs->pause('orders');
        $orders->push('first');
        $consumer = $this->consumer($jobs);
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => $jobs->resume('orders'));
        pcntl_alarm(1);
        $start = microtime(true);
        self::assertSame('first', $this->next($consumer)->getName(), 'attached during the wait');
        self::assertGreaterThan(0.5, microtime(true) - $start);

        pcntl_signal(SIGALRM, static function () use ($jobs, $orders) {
            $jobs->pause('orders');
            $orders->push('second');
        });
        pcntl_alarm(1);
        self::assertNull($consumer->waitTask(2));
        self::assertSame(1, $orders->count());
        pcntl_signal(SIGALRM, static fn () => $jobs->resume('orders'));
        pcntl_alarm(1);
        self::assertSame('second', $this->next($consumer)->getName(), 'asked for during the wait');
        pcntl_signal(SIGALRM, SIG_DFL);
    }

    public function testAPausedConsumerStaysPausedWhenItsPipelineIsResumed(): void
    {
        $jobs = $this->jobs('embedded');
        $jobs->create('orders')->push('job');
        $consumer = $this->consumer($jobs);
        $consumer->pause();
        $jobs->pause('orders');
        $this->assertNoTask($consumer);
        $jobs->resume('orders');
        $this->assertNoTask($consumer);
        $jobs->pause('orders');
        $consumer->resume();
        $this->assertNoTask($consumer);
        $jobs->resume('orders');

        self::assertSame('job', $this->next($consumer)->getName());
    }

    public function testPausingIsOfOneJobsObject(): void
    {
        $name = 'apart-' . bin2hex(random_bytes(4));
        $make = static fn () => new Jobs(['amqp1' => ['addr' => 'embedded://phpunit'], 'jobs' => ['pipelines' => [$name => []]]]);
        [$one, $two] = [$make(), $make()];
        $one->pause($name);
        $one->create($name)->push('job');

        self::assertSame('job', $this->next($this->consumer($two))->getName());
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testStatsOfAllAreThereAlsoWhenSomeFail(string $broker): void
    {
        $refused = 'amqp://user:s3cret@' . Sockets::refused();
        $jobs = $this->jobs($broker, ['orders' => [], 'gone' => ['addr' => $refused], 'too' => ['addr' => $refused]]);
        $orders = $jobs->create('orders');
        $orders->push('job');
        $stats = $jobs->stats();

        self::assertSame(['orders', 'gone', 'too'], array_keys($stats));
        if ($this->lacks($broker, 'management', static fn () => $orders->stats())) {
            self::assertStringContainsString('no management', $stats['orders']['error']);

            return;
        }
        self::assertSame($orders->stats(), $stats['orders']);
        self::assertSame(1, $stats['orders']['ready']);
        self::assertSame([...array_keys($stats['orders']), 'error'], array_keys($stats['gone']));
        self::assertSame([null], array_unique(array_values(array_diff_key($stats['gone'], ['error' => 0])), SORT_REGULAR));
        self::assertStringContainsString('refused', $stats['gone']['error']);
        self::assertStringNotContainsString('s3cret', $stats['gone']['error']);
        self::assertFalse($jobs->isAvailable());
        self::assertTrue($this->jobs($broker)->isAvailable());
        self::assertFalse((new Jobs(['jobs' => []]))->isAvailable());
    }

    public function testItWorksInAForkedChild(): void
    {
        $jobs = $this->jobs('program', ['orders' => []]);
        $jobs->create('orders')->push('of the parent');
        $pid = pcntl_fork();
        if ($pid === 0) {
            $task = (new Consumer($jobs))->waitTask(10);
            $task?->ack();
            $jobs->create('orders')->push('of the child');
            posix_kill(getmypid(), SIGKILL);
        }
        pcntl_waitpid($pid, $status);

        self::assertSame('of the child', $this->next($this->consumer($jobs))->getName());
    }
}
