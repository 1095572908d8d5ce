<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\SerializationException;
use Amqp1\Tests\Support\AmqpLib;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;
use stdClass;

/** The `babelqueue` format: its envelope, invalid envelopes, and php-amqplib as the other side. */
final class BabelQueueTest extends ContractTestCase
{
    private const URN = 'urn:babel:orders:created';
    private const TRACE = '7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b';
    private const ID = 'f1e2d3c4-b5a6-4789-90ab-cdef01234567';
    private const UUID = '/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/';

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testA091ConsumerReadsPropertiesAndEnvelope(string $broker): void
    {
        $queue = $this->babelQueue($broker);
        $id = $queue->push(self::URN, ['order_id' => 1042, 'path' => 'ü/x', 'none' => []], [
            'trace_id' => self::TRACE,
            'headers' => ['tenant' => 'company-a', 'n' => 5],
            'priority' => 6,
        ]);
        $peer = new AmqpLib($this->broker($broker));
        $message = $peer->get($queue->getName());
        $properties = $message->get_properties();
        $headers = AmqpLib::headers($message);
        $peer->close();

        self::assertSame(self::URN, $properties['type']);
        self::assertSame(self::TRACE, $properties['correlation_id']);
        self::assertSame($id, $properties['message_id']);
        self::assertSame('babelqueue', $properties['app_id']);
        self::assertSame('application/json', $properties['content_type']);
        self::assertSame('utf-8', $properties['content_encoding']);
        self::assertSame(2, $properties['delivery_mode']);
        self::assertSame(6, $properties['priority']);
        self::assertSame(1, $headers['x-schema-version']);
        self::assertSame('php', $headers['x-source-lang']);
        self::assertSame(0, $headers['x-attempts']);
        self::assertSame('company-a', $headers['tenant']);
        self::assertSame(5, $headers['n']);

        $created = json_decode($message->body)->meta->created_at;
        self::assertIsInt($created);
        self::assertEqualsWithDelta(microtime(true) * 1000, $created, 60000);
        self::assertSame(
            '{"job":"' . self::URN . '","trace_id":"' . self::TRACE . '",'
            . '"data":{"order_id":1042,"path":"ü/x","none":[]},'
            . '"meta":{"id":"' . $id . '","queue":"' . $queue->getName() . '","lang":"php","schema_version":1,'
            . '"created_at":' . $created . '},"attempts":0}',
            $message->body,
        );
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testWhatA091ProducerPublishesIsConsumed(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();
        $peer = new AmqpLib($this->broker($broker));
        $peer->publish($queue->getName(), self::envelope(['attempts' => 2]), [
            'type' => self::URN,
            'correlation_id' => self::TRACE,
            'message_id' => self::ID,
            'app_id' => 'babelqueue',
            'content_type' => 'application/json',
            'content_encoding' => 'utf-8',
            'delivery_mode' => 2,
        ], ['x-schema-version' => 1, 'x-source-lang' => 'python', 'x-attempts' => 2, 'tenant' => 'a']);
        // Without any property, only the body shows the format.
        $peer->publish($queue->getName(), self::envelope(['job' => null, 'urn' => 'urn:babel:by.alias']));
        $peer->close();
        $consumer = $this->consumer($queue);

        $task = $this->next($consumer);
        self::assertSame('babelqueue', $task->getFormat());
        self::assertSame(self::URN, $task->getName());
        self::assertSame(self::ID, $task->getId());
        self::assertSame(self::TRACE, $task->getTraceId());
        self::assertSame(['order_id' => 1042, 'title' => 'Café ☕'], $task->getPayload());
        self::assertSame('{"order_id": 1042,"title":"Café ☕"}', $task->getBody());
        self::assertSame('orders', $task->getPipeline());
        self::assertSame(3, $task->getAttempts());
        self::assertSame(['tenant' => ['a']], $task->getHeaders());
        self::assertNull($task->getFailure());
        $task->ack();

        $task = $this->next($consumer);
        self::assertSame(['babelqueue', 'urn:babel:by.alias', 1], [$task->getFormat(), $task->getName(), $task->getAttempts()]);
        $task->ack();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatIsNoObjectIsRefusedBeforeItIsSent(string $broker): void
    {
        $queue = $this->declared($this->babelQueue($broker));
        foreach ([[1, 2], 'text', '[1]', '{broken', 42, true, 1.5, '', "\xff{}"] as $payload) {
            $refused = $this->thrown(SerializationException::class, static fn () => $queue->push(self::URN, $payload));
            self::assertStringContainsString(self::URN, $refused->getMessage());
            self::assertStringContainsString($queue->getName(), $refused->getMessage());
            self::assertStringContainsString("'format'", $refused->getMessage());
        }
        foreach (['id', 'trace_id'] as $option) {
            foreach (['mine', '{' . self::ID . '}', strtr(self::ID, ['-' => ''])] as $value) {
                $refused = $this->thrown(ConfigException::class, static fn () => $queue->push(self::URN, [], [$option => $value]));
                self::assertStringContainsString("'$option'", $refused->getMessage());
            }
        }
        $this->assertJobs(0, $queue);
    }

    public function testWhatIsNoObjectIsRefusedWithoutABroker(): void
    {
        $queue = new AmqpQueue('amqp://127.0.0.1:1', 'orders', ['format' => 'babelqueue', 'redial_timeout' => 0]);
        $this->thrown(SerializationException::class, static fn () => $queue->push(self::URN, 'text'));
        $this->thrown(ConfigException::class, static fn () => $queue->push(self::URN, [], ['id' => 'mine']));
        // Consumers would reject it: missing_urn.
        $blank = $this->thrown(ConfigException::class, static fn () => $queue->push(" \t", []));
        self::assertStringContainsString("the job's name is blank", $blank->getMessage());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOneOfManyThatIsNoObjectFailsAlone(string $broker): void
    {
        $queue = $this->babelQueue($broker);
        $batch = $this->thrown(BatchException::class, static fn () => $queue->pushMany([
            ['name' => self::URN, 'payload' => ['n' => 0]],
            ['name' => self::URN, 'payload' => [1]],
            ['name' => self::URN, 'payload' => ['n' => 2]],
        ]));
        self::assertSame([1], array_keys($batch->getFailures()));
        self::assertSame(['n' => 0], $this->take($queue)->getPayload());
        self::assertSame(['n' => 2], $this->take($queue)->getPayload());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatIsAnObjectTravelsAsOne(string $broker): void
    {
        $queue = $this->babelQueue($broker);
        $consumer = $this->consumer($queue);
        $payloads = [
            [['a' => 1], '{"a":1}'],
            [[], '{}'],
            [new stdClass(), '{}'],
            [null, '{}'],
            [' {"as": "it is\/"} ', '{"as": "it is\/"}'],
            [['list' => [1.0, 'é']], '{"list":[1.0,"é"]}'],
        ];
        foreach ($payloads as [$payload, $expected]) {
            $id = $queue->push(self::URN, $payload, ['id' => strtoupper(self::ID)]);
            self::assertSame(strtoupper(self::ID), $id);
            $task = $this->next($consumer);
            self::assertSame($expected, $task->getBody());
            self::assertSame(json_decode($expected, true), $task->getPayload());
            self::assertSame([self::URN, 'babelqueue'], [$task->getName(), $task->getFormat()]);
            self::assertSame(strtoupper(self::ID), $task->getId());
            self::assertMatchesRegularExpression(self::UUID, $task->getTraceId());
            self::assertSame($queue->getName(), $task->getPipeline());
            $task->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatIsNotAcceptedGoesToTheFailedQueueAndConsumingGoesOn(string $broker): void
    {
        $queue = $this->queue($broker);
        $raw = $this->queue($broker, ['format' => 'raw'], $queue->getName());
        $poison = self::poison();
        foreach ($poison as $name => [, $body]) {
            $raw->push($name, $body);
        }
        $queue->push('good');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        self::assertSame('good', $task->getName());
        $task->ack();
        $this->assertNoTask($consumer);
        $consumer->close();

        $failed = $this->consumer($queue->failed(), ['prefetch' => 100]);
        $tasks = [];
        foreach ($poison as $name => [$check, $body]) {
            $tasks[] = $task = $this->next($failed);
            $failure = $task->getFailure();
            self::assertSame(['poison', $check], [$failure['reason'], $failure['error']], $name);
            self::assertSame($queue->getName(), $failure['queue']);
            $envelope = json_decode($task->getBody(), true);
            // Service Bus moves it itself, and does not change its body.
            $isMoved = $this->broker($broker)->isServiceBus();
            self::assertSame($isMoved ? null : 'poison', $envelope['dead_letter']['reason'] ?? null);
            unset($envelope['dead_letter']);
            self::assertSame(json_decode($body, true), $envelope);
        }
        // Inspected and returned, they are not dead-lettered again.
        foreach ($tasks as $task) {
            $task->release();
        }
        for ($i = 0; $i < count($poison); ++$i) {
            $task = $this->next($failed);
            self::assertSame('poison', $task->getFailure()['reason']);
            $task->ack();
        }
        $this->assertNoTask($failed);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAMessageThatOnlyClaimsToBeAnEnvelopeIsPoison(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();
        $peer = new AmqpLib($this->broker($broker));
        $theirs = ['x-schema-version' => 1, 'x-source-lang' => 'go', 'x-attempts' => 0];
        $peer->publish($queue->getName(), "not JSON \xff", [], $theirs);
        // A single one of the names may belong to another format.
        $peer->publish($queue->getName(), '{"n":1}', [], ['x-schema-version' => 7]);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        self::assertSame(['raw', '{"n":1}'], [$task->getFormat(), $task->getBody()]);
        $task->ack();
        $failed = $peer->get($this->owned($this->broker($broker), $queue->getName() . '.failed'));
        self::assertSame("not JSON \xff", $failed->body);
        $headers = AmqpLib::headers($failed);
        self::assertSame(['poison', 'missing_urn'], [$headers['rr_failed_reason'], $headers['rr_failed_error']]);
        $peer->close();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAFailedJobCarriesItsFailureInTheEnvelope(string $broker): void
    {
        $queue = $this->babelQueue($broker, ['max_attempts' => 2, 'backoff' => 0]);
        $queue->setup();
        $peer = new AmqpLib($this->broker($broker));
        $peer->publish($queue->getName(), self::envelope(['x' => ['kept' => 1.50]]), [
            'type' => self::URN,
            'app_id' => 'babelqueue',
            'message_id' => self::ID,
            'content_encoding' => 'utf-8',
        ], ['x-schema-version' => 1, 'x-source-lang' => 'python', 'x-attempts' => 0, 'price' => 7, 'paid' => true]);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $task->nack(new \RuntimeException('Payment "gateway" timeout é/'));
        $task = $this->next($consumer);
        self::assertSame(2, $task->getAttempts());
        $task->nack(new \RuntimeException('Payment "gateway" timeout é/'));
        self::assertSame('dead_lettered', $task->getOutcome());

        $message = $peer->get($queue->getName() . '.failed');
        self::assertStringContainsString('"x":{"kept":1.50}', $message->body);
        self::assertStringContainsString('"data":{"order_id": 1042,', $message->body);
        $envelope = json_decode($message->body, true);
        self::assertSame(2, $envelope['attempts']);
        self::assertSame(self::TRACE, $envelope['trace_id']);
        $failedAt = $envelope['dead_letter']['failed_at'];
        self::assertIsInt($failedAt);
        self::assertEqualsWithDelta(microtime(true) * 1000, $failedAt, 60000);
        self::assertSame([
            'reason' => 'failed',
            'error' => 'Payment "gateway" timeout é/',
            'exception' => 'RuntimeException',
            'failed_at' => $failedAt,
            'original_queue' => $queue->getName(),
            'attempts' => 2,
            'lang' => 'php',
        ], $envelope['dead_letter']);
        $headers = AmqpLib::headers($message);
        self::assertSame(2, $headers['x-attempts']);
        self::assertSame(1, $headers['x-schema-version']);
        self::assertSame('python', $headers['x-source-lang']);
        self::assertSame([7, true], [$headers['price'], $headers['paid']]);
        self::assertSame('RuntimeException', $headers['rr_failed_exception']);
        self::assertSame([self::URN, 'babelqueue', self::ID, 'utf-8'], [
            $message->get('type'),
            $message->get('app_id'),
            $message->get('message_id'),
            $message->get('content_encoding'),
        ]);
        $peer->close();
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testAFailedJobIsReplayedAsItWas(string $broker): void
    {
        $queue = $this->babelQueue($broker);
        $id = $queue->push(self::URN, ['n' => 1], ['trace_id' => self::TRACE, 'headers' => ['tags' => ['a', 'b'], 'n' => 7]]);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack('broken', false);
        $looked = $this->take($queue->failed());
        self::assertSame(['failed', 'broken'], [$looked->getFailure()['reason'], $looked->getFailure()['error']]);
        self::assertSame(1, $looked->getFailure()['attempts']);
        self::assertSame('{"n":1}', $looked->getBody());

        $queue->push(self::URN, ['n' => 2], ['trace_id' => self::TRACE]);
        $this->next($consumer)->deadLetter('unknown', 'nobody knows this URN');
        self::assertSame(1, $queue->retryFailed());
        $task = $this->next($consumer);
        self::assertSame([1, null, 'babelqueue'], [$task->getAttempts(), $task->getFailure(), $task->getFormat()]);
        self::assertSame('{"n":2}', $task->getBody());
        self::assertSame(self::TRACE, $task->getTraceId());
        self::assertSame(['tags' => ['a', 'b'], 'n' => ['7']], $looked->getHeaders());
        self::assertSame($id, $looked->getId());
        $task->ack();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAttemptsAreTrueWhoeverCounted(string $broker): void
    {
        $queue = $this->babelQueue($broker);
        $raw = $this->queue($broker, ['format' => 'raw'], $queue->getName());
        $raw->push('in-between', self::envelope(['attempts' => 4]));
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        self::assertSame(5, $task->getAttempts());
        // With a header, a copy is made. Without one, the broker counts if it can.
        $task->release(0, ['again' => 'yes']);
        $task = $this->next($consumer);
        self::assertSame([6, ['yes']], [$task->getAttempts(), $task->getHeader('again')]);
        $task->release();
        $task = $this->next($consumer);
        // There, BabelQueue uses the larger of both counts.
        $attempts = $this->broker($broker)->isServiceBus() ? 6 : 7;
        self::assertSame([$attempts, ['yes']], [$task->getAttempts(), $task->getHeader('again')]);
        $task->ack();
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testADelayIsKept(string $broker): void
    {
        $queue = $this->babelQueue($broker);
        if ($this->lacks($broker, 'delay', static fn () => $queue->push(self::URN, ['n' => 1], ['delay' => 0.5]))) {
            return;
        }
        $pushed = microtime(true);
        $queue->push(self::URN, ['n' => 1], ['delay' => 0.5]);
        $task = $this->take($queue);
        self::assertGreaterThanOrEqual(0.5, microtime(true) - $pushed);
        self::assertSame([0.5, 'babelqueue', null], [$task->getDelay(), $task->getFormat(), $task->getFailure()]);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnEnvelopeThatIsTheJobsOwnIsPassedOnAsItIs(string $broker): void
    {
        $queue = $this->babelQueue($broker);
        $consumer = $this->consumer($queue, ['max_attempts' => 0]);
        $own = ['id' => self::ID, 'trace_id' => 'their-trace'];
        // Another language's, with attempts, a key of its own, and an id that is no UUID.
        $envelope = self::envelope(['trace_id' => 'their-trace', 'attempts' => 7, 'theirs' => ['kept' => 1.5]]);
        self::assertSame(self::ID, $queue->push(self::URN, $envelope, $own));
        $task = $this->next($consumer);
        self::assertSame($envelope, $task->getRawBody());
        self::assertSame('{"order_id": 1042,"title":"Café ☕"}', $task->getBody());
        self::assertSame([self::URN, self::ID, 'their-trace', 8], [$task->getName(), $task->getId(), $task->getTraceId(), $task->getAttempts()]);
        $task->ack();
        // One of another job, or one that is not valid, is data.
        foreach ([[self::URN, ['id' => self::ID]], ['urn:another', $own], [self::URN, ['trace_id' => self::TRACE]]] as [$urn, $options]) {
            $given = array_filter($options, static fn ($of) => $of !== 'their-trace');
            $queue->push($urn, $envelope, $given);
            $task = $this->next($consumer);
            self::assertSame([$envelope, 1], [$task->getBody(), $task->getAttempts()]);
            $task->ack();
        }
        $queue->push(self::URN, '{"job":"' . self::URN . '","trace_id":"' . self::TRACE . '","data":[1]}', ['trace_id' => self::TRACE]);
        $task = $this->next($consumer);
        self::assertSame([1], $task->getPayload()['data']);
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testThePropertiesOfAnEnvelopeThatIsPassedOn(string $broker): void
    {
        $queue = $this->babelQueue($broker);
        $queue->push(self::URN, self::envelope(['attempts' => 2]), ['id' => self::ID, 'trace_id' => self::TRACE]);
        $peer = new AmqpLib($this->broker($broker));
        $message = $peer->get($queue->getName());
        $peer->close();

        self::assertSame(self::envelope(['attempts' => 2]), $message->body);
        self::assertEquals(['x-schema-version' => 1, 'x-source-lang' => 'python', 'x-attempts' => 2],
            array_intersect_key(AmqpLib::headers($message), ['x-schema-version' => 0, 'x-source-lang' => 0, 'x-attempts' => 0]));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheEmptyArrayOfPhpsSdkIsData(string $broker): void
    {
        $queue = $this->queue($broker);
        $this->queue($broker, ['format' => 'raw'], $queue->getName())->push('x', self::envelope(['data' => []]));
        $task = $this->take($queue);

        self::assertSame(['babelqueue', [], '[]'], [$task->getFormat(), $task->getPayload(), $task->getBody()]);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheRawBodyHasTheWrapper(string $broker): void
    {
        foreach (['roadrunner', 'raw'] as $format) {
            $queue = $this->queue($broker, ['format' => $format]);
            $queue->push('job', "\x00\xff");
            self::assertSame("\x00\xff", $this->take($queue)->getRawBody());
        }
        $queue = $this->queue($broker, ['format' => 'amqp1']);
        $queue->push('job', 'payload');
        self::assertSame('payload', json_decode($this->take($queue)->getRawBody(), true)['body']);
    }

    /** @return array<string, array{string, string}> name → check, envelope; in the order of the checks. */
    private static function poison(): array
    {
        return [
            'no URN' => ['missing_urn', self::envelope(['job' => null, 'attempts' => -1])],
            'an empty URN' => ['missing_urn', self::envelope(['job' => ' ', 'urn' => '', 'meta' => 1])],
            'a URN that is a number' => ['missing_urn', self::envelope(['job' => 5])],
            'no meta' => ['missing_meta', self::envelope(['meta' => null])],
            'meta that is no object' => ['missing_meta', self::envelope(['meta' => [1], 'data' => 1])],
            'schema version 2' => ['unsupported_schema_version', self::envelope(['meta' => ['schema_version' => 2], 'data' => 1])],
            'schema version as text' => ['unsupported_schema_version', self::envelope(['meta' => ['schema_version' => '1']])],
            'schema version as float' => ['unsupported_schema_version', self::envelope(['meta' => ['schema_version' => 1.0]])],
            'no schema version' => ['unsupported_schema_version', self::envelope(['meta' => new stdClass()])],
            'data that is a list' => ['invalid_data', self::envelope(['data' => [1], 'trace_id' => 5])],
            'no data' => ['invalid_data', self::envelope(['data' => null])],
            'no trace id' => ['missing_trace_id', self::envelope(['trace_id' => null])],
            'an empty trace id' => ['missing_trace_id', self::envelope(['trace_id' => '', 'attempts' => 'x'])],
            'no attempts' => ['invalid_attempts', self::envelope(['attempts' => null])],
            'attempts as text' => ['invalid_attempts', self::envelope(['attempts' => '1'])],
            'attempts below zero' => ['invalid_attempts', self::envelope(['attempts' => -1])],
        ];
    }

    /** @param array<string, mixed> $changes null removes the key */
    private static function envelope(array $changes = []): string
    {
        $envelope = array_filter(array_replace([
            'job' => self::URN,
            'trace_id' => self::TRACE,
            'data' => ['order_id' => 1042, 'title' => 'Café ☕'],
            'meta' => [
                'id' => self::ID,
                'queue' => 'orders',
                'lang' => 'python',
                'schema_version' => 1,
                'created_at' => 1749132727000,
            ],
            'attempts' => 0,
        ], $changes), static fn ($value) => $value !== null);
        $json = json_encode($envelope, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION);

        // Written as by another encoder; they must stay that way.
        return strtr($json, ['"order_id":1042' => '"order_id": 1042', '"kept":1.5' => '"kept":1.50']);
    }

    /** @param array<string, mixed> $options */
    private function babelQueue(string $broker, array $options = []): AmqpQueue
    {
        return $this->queue($broker, $options + ['format' => 'babelqueue']);
    }
}
