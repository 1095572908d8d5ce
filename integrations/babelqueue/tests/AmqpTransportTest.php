<?php

declare(strict_types=1);

namespace Amqp1\BabelQueue\Tests;

use Amqp1\BabelQueue\AmqpTransport;
use Amqp1\BabelQueue\Publisher;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\AmqpLib;
use BabelQueue\Codec\EnvelopeCodec;
use BabelQueue\Contracts\InboundMessage;
use BabelQueue\Contracts\Transport;
use BabelQueue\Exceptions\InvalidEnvelopeException;
use BabelQueue\Routing\UnknownUrnStrategy;
use InitPHP\Queue\Consumer\Dispatcher;
use InitPHP\Queue\Consumer\Worker;
use InitPHP\Queue\Consumer\WorkerOptions;
use InitPHP\Queue\Contracts\ConsumerTransport;
use InitPHP\Queue\Message\ReceivedMessage;
use InitPHP\Queue\Producer\Producer;
use InitPHP\Queue\Routing\HandlerMap;
use PHPUnit\Framework\Attributes\DataProvider;

/** BabelQueue's producers and InitPHP's worker on the extension, and what other languages see of them. */
final class AmqpTransportTest extends ContractTestCase
{
    private const URN = 'urn:babel:orders:created';
    private const TRACE = '7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b';

    /** @var list<AmqpTransport> */
    private array $transports = [];

    protected function tearDown(): void
    {
        foreach ($this->transports as $transport) {
            $transport->close();
        }
        $this->transports = [];
        parent::tearDown();
    }

    /** @return array{AmqpTransport, string} */
    private function transport(string $broker, ?string $suffix = '.failed'): array
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $this->owned($at, "$name.failed");

        return [$this->transports[] = new AmqpTransport($at->dsn, $name, $suffix, ['timeout' => 20]), $name];
    }

    /** @param array<string, mixed> $changes */
    private static function envelope(string $queue, array $changes = []): string
    {
        return EnvelopeCodec::encode(array_replace(EnvelopeCodec::make(self::URN, ['order_id' => 1042], $queue, self::TRACE), $changes));
    }

    private static function workerOf(AmqpTransport $transport, callable $handler, string $strategy = UnknownUrnStrategy::FAIL, array $backoff = [0]): Worker
    {
        $map = (new HandlerMap())->register(self::URN, $handler(...));

        return new Worker($transport, new Dispatcher($map, $strategy), new WorkerOptions(backoff: $backoff, reserveTimeout: 10));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnEnvelopeArrivesAsItWasPublished(string $broker): void
    {
        [$transport, $name] = $this->transport($broker);
        self::assertInstanceOf(Transport::class, $transport);
        self::assertInstanceOf(ConsumerTransport::class, $transport);
        $payload = self::envelope($name, ['attempts' => 1, 'theirs' => ['kept' => 'ü/x']]);
        $id = $transport->publish($payload);
        $message = $transport->reserve($name, 10);

        self::assertInstanceOf(ReceivedMessage::class, $message);
        self::assertSame($payload, $message->rawBody());
        self::assertSame(EnvelopeCodec::decode($payload), $message->envelope());
        self::assertSame([$name, self::URN, self::TRACE, ['order_id' => 1042], $id, 1], [$message->queue(), $message->getUrn(),
            $message->getTraceId(), $message->getData(), $message->getMeta()['id'], $message->attempts()]);
        $transport->ack($message);
        self::assertNull($transport->reserve($name, 0.3));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheWorkerRetriesWithDelayAndDeadLetters(string $broker): void
    {
        [$transport, $name] = $this->transport($broker);
        $delay = (int) $this->pause($broker, 1);
        $id = (new Producer($transport, $name))->send(self::URN, ['order_id' => 1042], null, self::TRACE);
        $at = [];
        $worker = self::workerOf($transport, static function (InboundMessage $message) use (&$at): void {
            $at[] = [microtime(true), $message->attempts()];
            throw new \DomainException('no such order');
        }, UnknownUrnStrategy::FAIL, [$delay]);
        self::assertSame([true, true, true], [$worker->runOnce($name), $worker->runOnce($name), $worker->runOnce($name)]);
        self::assertSame([0, 1, 2], array_column($at, 1));
        self::assertGreaterThan($delay - 0.2, $at[1][0] - $at[0][0]);
        self::assertGreaterThan($delay - 0.2, $at[2][0] - $at[1][0]);

        $message = $transport->reserve("$name.failed", 10);
        self::assertNotNull($message);
        $failed = $message->envelope();
        self::assertSame([$id, self::TRACE, 3], [$failed['meta']['id'], $failed['trace_id'], $failed['attempts']]);
        self::assertSame(['failed', 'no such order', \DomainException::class, $name, 3], [$failed['dead_letter']['reason'],
            $failed['dead_letter']['error'], $failed['dead_letter']['exception'], $failed['dead_letter']['original_queue'], $failed['dead_letter']['attempts']]);
        // The extension's own view of it, which amqp1 failed:list shows.
        $seen = $message->receipt()->getFailure();
        self::assertSame(['failed', 'no such order', \DomainException::class, $name], [$seen['reason'], $seen['error'], $seen['exception'], $seen['queue']]);
        $message->receipt()->release();
        $transport->close(); // its consumers may hold what comes next
        if ($this->broker($broker)->isServiceBus()) {
            return; // there, failed() is the queue's own dead-letter queue
        }
        // And back, by amqp1 failed:retry.
        self::assertSame(1, (new \Amqp1\AmqpQueue($this->broker($broker)->dsn, $name))->retryFailed());
        $done = self::workerOf($transport, static fn (InboundMessage $message) => self::assertArrayNotHasKey('dead_letter', $message->envelope()));
        self::assertTrue($done->runOnce($name));
        self::assertNull($transport->reserve($name, 0.3));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatAnUnknownUrnLeadsTo(string $broker): void
    {
        [$transport, $name] = $this->transport($broker);
        $unknown = EnvelopeCodec::encode(EnvelopeCodec::make('urn:babel:unknown', ['n' => 1], $name));
        foreach ([UnknownUrnStrategy::DELETE => null, UnknownUrnStrategy::RELEASE => $name, UnknownUrnStrategy::DEAD_LETTER => "$name.failed"] as $strategy => $queue) {
            $transport->publish($unknown);
            self::assertTrue(self::workerOf($transport, static fn () => self::fail('it is unknown'), $strategy)->runOnce($name));
            if ($queue !== null) {
                $message = $transport->reserve($queue, 10);
                self::assertSame(0, $message?->attempts(), $strategy);
                self::assertSame(['n' => 1], $message->getData());
                $transport->ack($message);
            }
            self::assertNull($transport->reserve($name, 0.3), $strategy);
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWithoutASuffixItIsTheExtensionsFailedQueue(string $broker): void
    {
        [$transport, $name] = $this->transport($broker, null);
        $transport->publish(self::envelope($name, ['attempts' => 2]));
        self::workerOf($transport, static fn () => throw new \DomainException('bad'))->runOnce($name);
        $failed = (new \Amqp1\AmqpQueue($this->broker($broker)->dsn, $name))->failed();
        $task = $this->take($failed);

        self::assertSame(['failed', 'bad'], [$task->getFailure()['reason'], $task->getFailure()['error']]);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatDidNotChangeStaysAsItsWriterWroteIt(string $broker): void
    {
        [$transport, $name] = $this->transport($broker);
        $payload = strtr(self::envelope($name), ['{"order_id":1042}' => '{"none":{},"list":[],"f":2.0}']);
        $transport->publish($payload);
        $map = (new HandlerMap())->register(self::URN, static fn () => throw new \DomainException('again'));
        (new Worker($transport, new Dispatcher($map), new WorkerOptions(reserveTimeout: 10)))->runOnce($name);
        $message = $transport->reserve($name, 10);

        self::assertSame(strtr($payload, ['"attempts":0' => '"attempts":1']), self::sorted($message?->rawBody() ?? '', $payload));
        $transport->ack($message);
        // An empty array of PHP is an object to others.
        $transport->publish(EnvelopeCodec::encode(EnvelopeCodec::make(self::URN, [], $name)));
        $message = $transport->reserve($name, 10);
        self::assertStringContainsString('"data":{}', $message?->rawBody() ?? '');
        $transport->ack($message);
    }

    /** The JSON with its keys in the order of another: a worker may change the order. */
    private static function sorted(string $json, string $like): string
    {
        $is = (array) json_decode($json);
        $sorted = [];
        foreach (array_keys((array) json_decode($like)) as $key) {
            $sorted[$key] = $is[$key];
        }

        return json_encode($sorted, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION);
    }

    public function testADumpHasNoSecret(): void
    {
        ob_start();
        var_dump(new AmqpTransport('amqp://user:geheim@localhost', 'orders'));
        $dump = (string) ob_get_clean();
        self::assertStringContainsString('orders', $dump);
        self::assertStringNotContainsString('geheim', $dump);
    }

    public function testWhatConsumersWouldNotAcceptIsRefused(): void
    {
        $publisher = new Publisher('embedded://phpunit', 'refused');
        foreach ([
            'missing_urn' => ['job' => ''],
            'invalid_data' => ['data' => [1, 2]],
            'invalid_attempts' => ['attempts' => -1],
            'missing_meta' => ['meta' => ['schema_version' => 1]],
            'unsupported_schema_version' => ['meta' => ['id' => 'x', 'schema_version' => 2]],
        ] as $reason => $changes) {
            $refused = $this->thrown(InvalidEnvelopeException::class, static fn () => $publisher->publish(self::envelope('refused', $changes)));
            self::assertSame($reason, $refused->reason());
        }
        $this->thrown(InvalidEnvelopeException::class, static fn () => $publisher->publish('no JSON'));
        self::assertSame(0, $publisher->queue('refused')->count());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAMessageThatIsNoEnvelopeIsKeptAsItIs(string $broker): void
    {
        [$transport, $name] = $this->transport($broker, null);
        $this->queue($broker, ['format' => 'raw'], $name)->push('foreign', "\x00 no JSON \xff");
        self::workerOf($transport, static fn () => self::fail('it is no envelope'))->runOnce($name);
        $task = $this->take((new \Amqp1\AmqpQueue($this->broker($broker)->dsn, $name))->failed());

        self::assertSame(["\x00 no JSON \xff", 'poison', 'missing_urn'], [$task->getBody(), $task->getFailure()['reason'], $task->getFailure()['error']]);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testA091ConsumerSeesThePropertiesOfTheSdksTable(string $broker): void
    {
        [$transport, $name] = $this->transport($broker);
        $id = $transport->publish(self::envelope($name));
        self::workerOf($transport, static fn () => throw new \DomainException('again'))->runOnce($name);
        $transport->close(); // its consumer may hold the copy
        $peer = new AmqpLib($this->broker($broker));
        $message = $peer->get($name);
        $properties = $message->get_properties();
        $headers = AmqpLib::headers($message);
        $peer->close();

        self::assertSame([self::URN, self::TRACE, $id, 2, 'application/json', 'utf-8', 'babelqueue'], [$properties['type'],
            $properties['correlation_id'], $properties['message_id'], $properties['delivery_mode'], $properties['content_type'],
            $properties['content_encoding'], $properties['app_id']]);
        self::assertSame([1, 'php', 1], [$headers['x-schema-version'], $headers['x-source-lang'], $headers['x-attempts']]);
        self::assertSame(1, json_decode($message->body)->attempts);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testWhatTheSdkPublishesOver091IsConsumed(string $broker): void
    {
        [$transport, $name] = $this->transport($broker);
        $peer = new AmqpLib($this->broker($broker));
        (new \Amqp1\AmqpQueue($this->broker($broker)->dsn, $name))->setup();
        $payload = self::envelope($name, ['data' => []]); // "data":[], as the SDK for PHP writes it
        $peer->publish($name, $payload, ['type' => self::URN, 'correlation_id' => self::TRACE, 'app_id' => 'babelqueue', 'delivery_mode' => 2,
            'content_type' => 'application/json'], ['x-schema-version' => 1, 'x-source-lang' => 'php', 'x-attempts' => 0]);
        $peer->close();
        $done = 0;
        self::workerOf($transport, static function () use (&$done): void {
            ++$done;
        })->runOnce($name);

        self::assertSame(1, $done);
        self::assertNull($transport->reserve($name, 0.3));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testALargeEnvelope(string $broker): void
    {
        [$transport, $name] = $this->transport($broker);
        $text = base64_encode(random_bytes($this->broker($broker)->supports('large-messages') ? 1 << 20 : 150_000));
        $transport->publish(self::envelope($name, ['data' => ['text' => $text]]));
        $message = $transport->reserve($name, 20);
        self::assertSame(md5($text), md5($message?->getData()['text']));
        $transport->release($message, self::envelope($name, ['data' => ['text' => $text], 'attempts' => 1]));
        $message = $transport->reserve($name, 20);
        self::assertSame(1, $message?->attempts());
        $transport->ack($message);
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testNothingIsAcknowledgedBeforeItsCopyIsConfirmed(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        // A queue that is full refuses the copy.
        $options = ['max_length' => 1, 'overflow' => 'reject-publish', 'queue_type' => 'classic', 'timeout' => 10];
        $transport = $this->transports[] = new AmqpTransport($at->dsn, $name, '.failed', $options);
        $this->owned($at, "$name.failed");
        $transport->publish(self::envelope($name));
        $message = $transport->reserve($name, 10);
        $transport->publish(self::envelope($name)); // takes the place
        $this->thrown(\Amqp1\Exception\RejectedException::class, fn () => $transport->release($message, self::envelope($name, ['attempts' => 1])));
        self::assertFalse($message->receipt()->isCompleted());
        unset($message);
        $transport->close();
        foreach ([0, 1] as $_) {
            $message = $transport->reserve($name, 10);
            self::assertNotNull($message);
            $transport->ack($message);
        }
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testAMessageWhoseWorkerDiesEachTimeEnds(string $broker): void
    {
        [$transport, $name] = $this->transport($broker);
        $dsn = $this->broker($broker)->dsn;
        $transport->publish(self::envelope($name));
        $code = 'require ' . var_export(__DIR__ . '/load.php', true) . ';' . <<<'PHP'
            $transport = new Amqp1\BabelQueue\AmqpTransport($argv[1], $argv[2], '.failed', ['max_attempts' => 2]);
            $message = $transport->reserve($argv[2], (float) $argv[3]);
            if ($message !== null) {
                echo $message->attempts();
                posix_kill(getmypid(), SIGKILL);
            }
            PHP;
        foreach (['0', '1', ''] as $attempts) {
            $worker = Child::php($code, [$dsn, $name, $attempts === '' ? '1' : '10']);
            self::assertSame([$attempts === '' ? 0 : 128 + SIGKILL, $attempts], [$worker->wait(30), $worker->output()]);
        }
        $message = $transport->reserve("$name.failed", 10);
        self::assertSame([2, 'lost'], [$message?->attempts(), $message?->receipt()->getFailure()['reason']]);
        $transport->ack($message);
    }
}
