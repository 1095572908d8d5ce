<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner\Tests;

use Amqp1\Exception\ConfigException;
use Amqp1\Exception\TaskLostException;
use Amqp1\RoadRunner\Consumer;
use Amqp1\RoadRunner\Jobs;
use Amqp1\RoadRunner\Queue;
use Amqp1\RoadRunner\ReceivedTask;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;
use Spiral\RoadRunner\Jobs\Exception\JobsException;
use Spiral\RoadRunner\Jobs\Options;
use Spiral\RoadRunner\Jobs\Queue\CreateInfo;
use Spiral\RoadRunner\Jobs\Queue\Driver;
use Spiral\RoadRunner\Jobs\Task\ReceivedTaskInterface;

/** An application that is written for RoadRunner's SDK runs on the extension; only what it constructs differs. */
final class RoadRunnerTest extends ContractTestCase
{
    /** @var list<Consumer> */
    private array $consumers = [];

    protected function tearDown(): void
    {
        foreach ($this->consumers as $consumer) {
            $consumer->close();
        }
        $this->consumers = [];
        parent::tearDown();
    }

    private static function jobsOf(string $dsn, string $queue, array $config = []): Jobs
    {
        return new Jobs(['amqp1' => ['addr' => $dsn, 'timeout' => 20], 'jobs' => ['pipelines' => ['orders' => ['config' => ['queue' => $queue] + $config]]]]);
    }

    /** @return array{Queue, Consumer} */
    private function pipeline(string $broker, array $config = [], array $options = []): array
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $this->owned($at, "$name.failed");
        $jobs = self::jobsOf($at->dsn, $name, $config);

        return [$jobs->connect('orders'), $this->consumers[] = $jobs->consume($options + ['timeout' => 10])];
    }

    private static function taken(Consumer $consumer): ReceivedTask
    {
        $task = $consumer->waitTask();
        self::assertInstanceOf(ReceivedTask::class, $task);

        return $task;
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testATaskArrivesAsItWasDispatched(string $broker): void
    {
        [$queue, $consumer] = $this->pipeline($broker);
        $queued = $queue->dispatch($queue->create('ProcessOrder', '{"orderId":12345}')
            ->withHeader('tenant-id', 'company-a')
            ->withAddedHeader('tag', ['x', 'y']));
        $task = self::taken($consumer);

        self::assertSame(['orders', 'ProcessOrder', '{"orderId":12345}'], [$queued->getPipeline(), $queued->getName(), $queued->getPayload()]);
        self::assertInstanceOf(ReceivedTaskInterface::class, $task);
        self::assertSame(
            [$queued->getId(), 'orders', 'ProcessOrder', '{"orderId":12345}', Driver::AMQP],
            [$task->getId(), $task->getPipeline(), $task->getName(), $task->getPayload(), $task->getDriver()],
        );
        self::assertSame($queue->getAmqpQueue()->getName(), $queue->getName());
        self::assertStringStartsWith('test-', $task->getQueue());
        $headers = $task->getHeaders();
        ksort($headers);
        self::assertSame(['tag' => ['x', 'y'], 'tenant-id' => ['company-a']], $headers);
        self::assertSame(['x,y', true, false, []], [$task->getHeaderLine('tag'), $task->hasHeader('tag'), $task->hasHeader('none'), $task->getHeader('none')]);
        self::assertSame([false, false, false], [$task->isCompleted(), $task->isSuccessful(), $task->isFails()]);
        $task->ack();
        self::assertSame([true, true, false], [$task->isCompleted(), $task->isSuccessful(), $task->isFails()]);
        $task->nack('too late');
        self::assertTrue($task->isSuccessful());
        $this->assertJobs(0, $queue->getAmqpQueue());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEveryByteOfABodyArrives(string $broker): void
    {
        [$queue, $consumer] = $this->pipeline($broker);
        $size = $this->broker($broker)->supports('large-messages') ? 1 << 20 : 200_000;
        foreach ([implode(array_map(chr(...), range(0, 255))), '', random_bytes($size)] as $body) {
            $queue->push('bytes', $body);
            $task = self::taken($consumer);
            self::assertSame([strlen($body), md5($body)], [strlen($task->getPayload()), md5($task->getPayload())]);
            $task->complete();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testATaskIsRequeuedWithHeadersAndDelay(string $broker): void
    {
        [$queue, $consumer] = $this->pipeline($broker);
        $delay = (int) $this->pause($broker, 1);
        $queue->dispatch($queue->create('job', 'x')->withHeader('tries', '0')->withHeader('kept', 'yes'));
        $since = microtime(true);
        $task = self::taken($consumer);
        $again = $task->withHeader('tries', '1')->withDelay($delay);
        $again->requeue(new \RuntimeException('not yet'));
        self::assertSame([true, false, true], [$task->isCompleted(), $task->isSuccessful(), $again->isFails()]);
        $task = self::taken($consumer);
        self::assertGreaterThan($delay - 0.2, microtime(true) - $since);
        self::assertSame(['1', 'yes'], [$task->getHeaderLine('tries'), $task->getHeaderLine('kept')]);
        // More often than max_attempts, which counts failed attempts only; and without the headers.
        for ($i = 0; $i < 4; ++$i) {
            $task->withHeader('tries', '2')->nack('once more', true);
            $task = self::taken($consumer);
            self::assertSame(['1', 'yes'], [$task->getHeaderLine('tries'), $task->getHeaderLine('kept')]);
        }
        $task->ack();
        $this->assertJobs(0, $queue->getAmqpQueue());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testATaskThatFailedForGoodIsKeptAndComesBack(string $broker): void
    {
        [$queue, $consumer] = $this->pipeline($broker);
        foreach (['nack', 'fail'] as $method) {
            $queue->push($method, 'x');
            $task = self::taken($consumer);
            $task->$method(new \DomainException('no such order'));
            self::assertTrue($task->isFails());
        }
        $failed = $queue->getAmqpQueue()->failed();
        $errors = [];
        $inspector = $this->consumer($failed);
        foreach ([0, 1] as $_) {
            $task = $this->next($inspector);
            $errors[] = $task->getFailure()['error'];
            $task->release();
        }
        $inspector->close();
        self::assertSame(['no such order', 'no such order'], $errors);
        self::assertSame(2, $queue->getAmqpQueue()->retryFailed());
        $back = [self::taken($consumer), self::taken($consumer)];
        $names = array_map(static fn (ReceivedTask $task) => $task->getName(), $back);
        sort($names);
        self::assertSame(['fail', 'nack'], $names);
        foreach ($back as $task) {
            $task->fail('try again', true);
            self::taken($consumer)->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOptions(string $broker): void
    {
        [$queue, $consumer] = $this->pipeline($broker);
        $delay = (int) $this->pause($broker, 1);
        $queue = $queue->withDefaultOptions((new Options(priority: 9))->withHeader('from', 'defaults'));
        $since = microtime(true);
        $queue->dispatch($queue->create('later', '', new Options(delay: $delay, priority: 1)));
        $task = self::taken($consumer);
        self::assertGreaterThan($delay - 0.2, microtime(true) - $since);
        self::assertSame([13, 'defaults'], [$task->getAmqpTask()->getPriority(), $task->getHeaderLine('from')]);
        $task->ack();
        foreach ([[0, 5], [10, 4], [20, 0]] as [$theirs, $ours]) {
            $queue->push('job', '', $theirs === 0 ? null : new Options(priority: $theirs));
            $task = self::taken($consumer);
            self::assertSame($ours, $task->getAmqpTask()->getPriority());
            $task->ack();
        }
        $queue->push('job', '', new Options(autoAck: true));
        self::assertTrue(self::taken($consumer)->isCompleted());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testManyTasks(string $broker): void
    {
        [$queue, $consumer] = $this->pipeline($broker);
        $queued = $queue->dispatchMany(...array_map(static fn (int $n) => $queue->create('job', (string) $n), range(1, 50)));
        $ids = [];
        foreach ($queued as $task) {
            $ids[$task->getId()] = $task->getPayload();
        }
        self::assertCount(50, $ids);
        for ($n = 0; $n < 50; ++$n) {
            $task = self::taken($consumer);
            self::assertSame($ids[$task->getId()], $task->getPayload());
            $task->ack();
        }
    }

    public function testPipelinesAreListedPausedAndCreated(): void
    {
        $jobs = self::jobsOf('embedded://phpunit', 'rr-list');
        $orders = $jobs->connect('orders');
        $jobs->pause('orders');
        self::assertTrue($orders->isPaused());
        $jobs->resume($orders);
        self::assertFalse($orders->isPaused());
        $orders->pause();
        $orders->push('job', 'x');
        $consumer = $this->consumers[] = $jobs->consume(['timeout' => 0.3]);
        self::assertNull($consumer->waitTask());
        $orders->resume();
        self::taken($consumer)->ack();

        $mails = $jobs->create(new CreateInfo(Driver::AMQP, 'mails', 3));
        self::assertSame([2, ['orders', 'mails']], [count($jobs), array_keys(iterator_to_array($jobs))]);
        $mails->push('job', 'y');
        $task = self::taken($this->consumers[] = $jobs->consume(['timeout' => 5], 'mails'));
        self::assertSame(['mails', 11], [$task->getQueue(), $task->getAmqpTask()->getPriority()]);
        $task->ack();
        $this->thrown(JobsException::class, static fn () => $jobs->create(new CreateInfo(Driver::AMQP, 'mails')));
        $other = $this->thrown(JobsException::class, static fn () => $jobs->create(new CreateInfo(Driver::Memory, 'cache')));
        self::assertStringContainsString("the driver 'memory'", $other->getMessage());
        $unknown = $this->thrown(JobsException::class, static fn () => $jobs->connect('ordres'));
        self::assertStringContainsString("did you mean 'orders'", $unknown->getMessage());
        self::assertInstanceOf(ConfigException::class, $unknown->getPrevious());
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testTheCreateInfoOfTheAmqpDriverIsUnderstood(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $jobs = self::jobsOf($at->dsn, $name);
        $exchange = $this->exchangeName($at);
        // As AMQPCreateInfo::toArray() of the SDK 4.6 returns it.
        $info = new class($name, $exchange) extends CreateInfo {
            public function __construct(string $name, private readonly string $exchange)
            {
                parent::__construct(Driver::AMQP, $name, 9);
            }

            public function toArray(): array
            {
                return parent::toArray() + [
                    'prefetch' => 100, 'queue' => $this->name, 'queue_auto_delete' => false, 'exchange' => $this->exchange,
                    'exchange_durable' => true, 'exchange_type' => 'topic', 'exchange_auto_delete' => false,
                    'routing_key' => 'orders.new', 'exclusive' => false, 'multiple_ack' => false, 'requeue_on_fail' => false,
                    'durable' => true, 'consume_all' => false, 'delete_queue_on_stop' => false, 'redial_timeout' => 60,
                    'consumer_id' => 'shop', 'queue_headers' => ['x-queue-type' => 'quorum', 'x-max-length' => 10],
                ];
            }
        };
        $queue = $jobs->create($info);
        $queue->dispatch($queue->create('job', 'x')->withHeader('x-routing-key', 'orders.new'));
        $task = self::taken($this->consumers[] = $jobs->consume(['timeout' => 10], $name));
        self::assertSame([$name, 5], [$task->getQueue(), $task->getAmqpTask()->getPriority()]);
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAJobOfRoadRunnersServerIsServed(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $peer = new Peer($at);
        $peer->declareQueue($name); // as RoadRunner declares it: a durable classic queue
        // What its driver "amqp" writes: pack() of item.go.
        $peer->publish($name, "\x00\xff{}", ['content_type' => 'application/octet-stream', 'delivery_mode' => 2, 'headers' => [
            'rr_id' => 'f1e2d3c4-b5a6-4789-90ab-cdef01234567', 'rr_job' => 'ProcessOrder', 'rr_pipeline' => 'theirs',
            // Its server lists its own properties there in a task that it has requeued.
            'rr_headers' => '{"tenant-id":["company-a"],"rr_job":["ProcessOrder"]}', 'rr_delay' => 0, 'rr_priority' => 10, 'rr_auto_ack' => false,
        ]]);
        $consumer = $this->consumers[] = self::jobsOf($at->dsn, $name)->consume(['timeout' => 10]);
        $task = self::taken($consumer);
        self::assertSame(
            ['f1e2d3c4-b5a6-4789-90ab-cdef01234567', 'ProcessOrder', 'theirs', "\x00\xff{}", ['company-a'], $name],
            [$task->getId(), $task->getName(), $task->getPipeline(), $task->getPayload(), $task->getHeader('tenant-id'), $task->getQueue()],
        );
        $task->withHeader('tenant-id', 'company-b')->requeue('again');
        $task = self::taken($consumer);
        self::assertSame(['company-b'], $task->getHeader('tenant-id'));
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testRoadRunnersServerReadsWhatIsDispatched(string $broker): void
    {
        [$queue] = $this->pipeline($broker);
        $queued = $queue->dispatch($queue->create('ProcessOrder', "\x00\xff", new Options(priority: 3))->withAddedHeader('tag', ['x', 'y']));
        $name = self::jobsIs($queue);
        $message = (new Peer($this->broker($broker)))->get($name);
        // What unpack() of its driver's item.go reads. It skips rr_headers, which RabbitMQ makes a string of, and sees the first value of
        // each header.
        $headers = $message->getHeaders();
        self::assertSame(["\x00\xff", $queued->getId(), 'ProcessOrder', 'orders'], [$message->getBody(), $headers['rr_id'], $headers['rr_job'], $headers['rr_pipeline']]);
        self::assertSame('{"tag":["x","y"]}', $headers['rr_headers']);
        self::assertSame('x', $headers['tag']);
        self::assertSame([0, 11, false], [$headers['rr_delay'], $headers['rr_priority'], $headers['rr_auto_ack']]);
    }

    private static function jobsIs(Queue $queue): string
    {
        $task = $queue->getAmqpQueue()->reserve(5);
        self::assertNotNull($task);
        $source = rawurldecode(basename($task->getSource()));
        $task->release();

        return $source;
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testALostDeliveryIsSaidByTheSdksException(string $broker): void
    {
        $at = $this->broker($broker);
        if ($at->isServiceBus()) {
            self::assertTrue(true, 'a lock outlives its connection');

            return;
        }
        $proxy = new Proxy($at);
        $name = $this->uniqueName($at);
        $jobs = self::jobsOf($proxy->dsn, $name);
        $jobs->connect('orders')->push('job', 'x');
        $consumer = $this->consumers[] = $jobs->consume(['timeout' => 10]);
        $task = self::taken($consumer);
        $proxy->cut();
        $this->eventually(static fn () => $task->getAmqpTask()->isLost(), 'the delivery is lost');
        $lost = $this->thrown(JobsException::class, static fn () => $task->ack());
        self::assertInstanceOf(TaskLostException::class, $lost->getPrevious());
        self::taken($consumer)->ack();
    }

    public function testAnApplicationsOwnSignalHandlersStay(): void
    {
        $printed = Child::run('require ' . var_export(__DIR__ . '/load.php', true) . ';' . <<<'PHP'
            pcntl_async_signals(true);
            pcntl_signal(SIGINT, static fn () => print "mine\n");
            $config = ['amqp1' => ['addr' => 'embedded://signals'], 'jobs' => ['pipelines' => ['orders' => []]]];
            $consumer = (new Amqp1\RoadRunner\Jobs($config))->consume(['timeout' => 0.2]);
            posix_kill(getmypid(), SIGINT);
            var_dump($consumer->waitTask());
            posix_kill(getmypid(), SIGTERM);
            var_dump($consumer->waitTask());
            PHP);

        self::assertSame("mine\nNULL\nNULL\n", $printed);
    }
}
