<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Task;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\SdkPeer;
use PHPUnit\Framework\Attributes\DataProvider;

/** Microsoft's SDKs for Service Bus receive what the extension pushes, and it consumes what they send. */
final class ServiceBusInteropTest extends ContractTestCase
{
    private static ?ProgramBroker $broker = null;

    /** @var array<string, SdkPeer> */
    private static array $peers = [];

    protected function setUp(): void
    {
        SdkPeer::orSkip();
    }

    public static function tearDownAfterClass(): void
    {
        self::$peers = [];
        self::$broker = null;
    }

    /** @return array<string, array{string}> */
    public static function sdks(): array
    {
        return ['Python' => [SdkPeer::PYTHON], 'JavaScript' => [SdkPeer::JAVASCRIPT]];
    }

    private static function connectionString(): string
    {
        self::$broker ??= ProgramBroker::serviceBus(['--lock-duration', '10', '--session-queue', 'sessions-python',
            '--session-queue', 'sessions-javascript', '--config', __DIR__ . '/fixtures/servicebus.json']);

        return self::$broker->connectionString();
    }

    private function peer(string $sdk): SdkPeer
    {
        return self::$peers[$sdk] ??= new SdkPeer($sdk, self::connectionString());
    }

    private function entity(array $options = [], ?string $name = null): AmqpQueue
    {
        return new AmqpQueue(self::connectionString(), $name ?? 'q-' . bin2hex(random_bytes(6)), $options + ['timeout' => 20]);
    }

    private static function body(array $message): string
    {
        return base64_decode($message['body'], true);
    }

    private static function bytes(string $bytes): array
    {
        return ['bytes', base64_encode($bytes)];
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testAPushedJobIsAMessageWithEverythingInItsPlace(string $sdk): void
    {
        $queue = $this->entity();
        $before = time();
        $id = $queue->push('Order', ['id' => 12345, 'name' => 'Zoë', 'empty' => []], [
            'id' => 'job-7', 'trace_id' => 'trace-1', 'priority' => 7, 'ttl' => 600, 'partition_key' => 'p-1',
            'headers' => ['text' => 'ä', 'int' => 5, 'big' => PHP_INT_MAX, 'negative' => -3, 'float' => 1.5,
                'yes' => true, 'no' => false, 'list' => ['a', 'b']],
        ]);
        $got = $this->peer($sdk)->receiveOne($queue->getName());
        self::assertSame('{"id":12345,"name":"Zoë","empty":[]}', self::body($got));
        self::assertSame([$id, 'trace-1', 'Order', null, 'application/json', 'p-1'], [$got['message_id'],
            $got['correlation_id'], $got['subject'], $got['session_id'], $got['content_type'], $got['partition_key']]);
        self::assertEquals([600, null, 0, 7, true], [$got['ttl'], $got['scheduled'], $got['delivery_count'],
            $got['priority'], $got['durable']]);
        self::assertGreaterThanOrEqual($before, $got['enqueued']);
        self::assertGreaterThan($got['enqueued'] + 5, $got['locked_until']);
        self::assertSame(1, $got['sequence_number']);

        $properties = $got['properties'];
        $headers = $properties['rr_headers'];
        unset($properties['rr_headers'], $properties['big']);
        ksort($properties);
        self::assertSame(['float' => ['float', 1.5], 'int' => ['int', 5], 'list' => ['string', 'a'], 'negative' => ['int', -3],
            'no' => ['bool', false], 'rr_auto_ack' => ['bool', false], 'rr_delay' => ['int', 0], 'rr_id' => ['string', 'job-7'],
            'rr_job' => ['string', 'Order'], 'rr_pipeline' => ['string', $queue->getName()], 'rr_priority' => ['int', 7],
            'text' => ['string', 'ä'], 'yes' => ['bool', true]], $properties);
        self::assertSame($sdk === SdkPeer::PYTHON ? ['int', PHP_INT_MAX] : ['bytes', base64_encode(pack('J', PHP_INT_MAX))],
            $got['properties']['big'], 'beyond 53 bits JavaScript has no number');
        $json = $headers[0] === 'bytes' ? base64_decode($headers[1], true) : $headers[1];
        self::assertSame(['a', 'b'], json_decode($json, true)['list']);
        self::assertSame([], $this->peer($sdk)->receive($queue->getName(), ['wait' => 1]), 'it was completed');
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testPropertiesOfAJobAreThoseOfTheMessageInBothDirections(string $sdk): void
    {
        $queue = $this->entity();
        $queue->push('Order', '<order/>', ['content_type' => 'application/xml', 'subject' => 'Ordered', 'to' => 'desk', 'reply_to' => 'answers',
            'correlation_id' => 'c-1']);
        $got = $this->peer($sdk)->receiveOne($queue->getName());
        self::assertSame(['application/xml', 'Ordered', 'desk', 'answers', 'c-1'],
            [$got['content_type'], $got['subject'], $got['to'], $got['reply_to'], $got['correlation_id']]);

        $this->peer($sdk)->send($queue->getName(), ['body' => self::bytes('x'), 'content_type' => 'application/xml', 'subject' => 'Ordered',
            'to' => 'desk', 'reply_to' => 'answers', 'correlation_id' => 'c-2']);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $carried = static fn ($task) => [$task->getContentType(), $task->getSubject(), $task->getTo(), $task->getReplyTo(), $task->getCorrelationId()];
        $expected = ['application/xml', 'Ordered', 'desk', 'answers', 'c-2'];
        self::assertSame($expected, $carried($task));
        self::assertNotNull($task->getEnqueuedTime());
        // A copy, which another SDK reads.
        $task->release(0, ['again' => 'yes']);
        $task = $this->next($consumer);
        self::assertSame($expected, $carried($task));
        $task->reject('unusable', 'no lines');
        $consumer->close();
        [$got] = $this->peer($sdk)->receive($queue->getName(), ['dead' => true, 'count' => 1]);
        self::assertSame(['unusable', 'no lines', 'desk', 'answers'],
            [$got['dead_letter_reason'], $got['dead_letter_description'], $got['to'], $got['reply_to']]);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testWhatAnSdkDefersIsReceivedByItsNumber(string $sdk): void
    {
        $queue = $this->entity();
        $queue->push('Order', 'x', ['reply_to' => 'answers']);
        [$got] = $this->peer($sdk)->receive($queue->getName(), ['count' => 1, 'settle' => 'defer']);
        self::assertNull($queue->reserve());
        [$task] = $queue->receiveDeferred($got['sequence_number']);
        self::assertSame(['Order', 'x', 'answers'], [$task->getName(), $task->getPayload(), $task->getReplyTo()]);
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testPayloadsArriveAsTheyWerePushed(string $sdk): void
    {
        $queue = $this->entity();
        $all = implode('', array_map('chr', range(0, 255)));
        $large = str_repeat($all, 800);
        foreach ([$all, '', 'text', $large, ['list', 1.0, null], null] as $payload) {
            $queue->push('P', $payload);
        }
        $got = $this->peer($sdk)->receive($queue->getName(), ['count' => 6]);
        self::assertSame([$all, '', 'text', $large, '["list",1.0,null]', 'null'], array_map([self::class, 'body'], $got));
        $types = ['application/octet-stream', 'application/json'];
        self::assertSame([$types[0], $types[0], $types[0], $types[0], $types[1], $types[1]], array_column($got, 'content_type'));
        self::assertCount(6, array_unique(array_column($got, 'message_id')));
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testABatchIsItsMessages(string $sdk): void
    {
        $queue = $this->entity();
        $jobs = [];
        for ($n = 0; $n < 300; $n++) {
            $jobs[] = ['name' => "j-$n", 'payload' => str_repeat(chr($n % 256), 2000), 'options' => ['headers' => ['n' => $n]]];
        }
        $ids = $queue->pushMany($jobs, ['trace_id' => 'all', 'ttl' => 60]);
        $got = $this->peer($sdk)->receive($queue->getName(), ['count' => 300]);
        self::assertSame($ids, array_column($got, 'message_id'));
        self::assertSame(range(1, 300), array_column($got, 'sequence_number'));
        self::assertSame(['all'], array_values(array_unique(array_column($got, 'correlation_id'))));
        foreach ($got as $n => $message) {
            self::assertSame(["j-$n", str_repeat(chr($n % 256), 2000), ['int', $n], 60.0], [$message['subject'],
                self::body($message), $message['properties']['n'], (float) $message['ttl']]);
        }
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testADelayIsAScheduledMessage(string $sdk): void
    {
        $queue = $this->entity();
        // The SDK's own start may take longer than the delay.
        self::assertSame([], $this->peer($sdk)->receive($queue->getName(), ['wait' => 0.1]));
        // Long enough for a slow machine to look before it expires.
        $due = microtime(true) + 5;
        $queue->push('Pushed', null, ['delay' => 5]);
        $queue->schedule('Scheduled', 'x', new \DateTimeImmutable('@' . (int) ceil($due)), ['id' => 's-1']);
        $cancelled = (int) $queue->schedule('Cancelled by the SDK', null, 5);
        $queue->pushMany([['name' => 'Of a batch', 'options' => ['delay' => 5]]]);
        $this->peer($sdk)->ask(['do' => 'cancel', 'to' => $queue->getName(), 'numbers' => [$cancelled]]);
        self::assertFalse($queue->cancel((string) $cancelled));
        self::assertSame([], $this->peer($sdk)->receive($queue->getName(), ['wait' => 0.3]));
        $got = $this->peer($sdk)->receive($queue->getName(), ['count' => 3]);
        $names = array_column($got, 'subject');
        sort($names);
        self::assertSame(['Of a batch', 'Pushed', 'Scheduled'], $names);
        foreach ($got as $message) {
            self::assertGreaterThan($due - 0.01, $message['scheduled'], $message['subject']);
            self::assertLessThan($due + 10, $message['scheduled'], $message['subject']);
            self::assertGreaterThan($message['scheduled'] - 0.01, $message['enqueued'], $message['subject']);
        }
        self::assertSame([], $this->peer($sdk)->receive($queue->getName(), ['wait' => 1]), 'the cancelled one');
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testAGroupIsASession(string $sdk): void
    {
        $queue = $this->entity([], "sessions-$sdk");
        $queue->push('1', null, ['group' => 'a', 'partition_key' => 'a']);
        $queue->push('other', null, ['group' => 'b']);
        $queue->pushMany([['name' => '2'], ['name' => '3']], ['group' => 'a']);
        $queue->schedule('4', null, 0.1, ['group' => 'a']);
        $got = $this->peer($sdk)->receive($queue->getName(), ['session' => 'a', 'count' => 4]);
        self::assertSame(['1', '2', '3', '4'], array_column($got, 'subject'));
        self::assertSame(['a'], array_values(array_unique(array_column($got, 'session_id'))));
        self::assertSame('a', $got[0]['partition_key']);
        $next = $this->peer($sdk)->receiveOne($queue->getName(), ['session' => true]);
        self::assertSame(['other', 'b'], [$next['subject'], $next['session_id']]);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testAnEnvelopeOfBabelQueue(string $sdk): void
    {
        $queue = $this->entity(['format' => 'babelqueue']);
        $trace = '7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b';
        $before = microtime(true) * 1000;
        $id = $queue->push('urn:babel:orders:created', ['order_id' => 1042], ['trace_id' => $trace, 'headers' => ['tenant' => 'a']]);
        $got = $this->peer($sdk)->receiveOne($queue->getName());
        self::assertSame([$id, $trace, 'urn:babel:orders:created', null], [$got['message_id'], $got['correlation_id'],
            $got['subject'], $got['session_id']]);
        self::assertStringStartsWith('application/json', $got['content_type']);
        $properties = $got['properties'];
        self::assertSame(['int', 1], $properties['bq-schema-version']);
        self::assertSame(['string', 'php'], $properties['bq-source-lang']);
        self::assertSame(['string', 'a'], $properties['tenant']);
        self::assertSame('int', $properties['bq-created-at'][0]);
        self::assertGreaterThanOrEqual(floor($before), $properties['bq-created-at'][1]);
        $envelope = json_decode(self::body($got), true);
        self::assertSame(['urn:babel:orders:created', $trace, ['order_id' => 1042], $id, 0], [$envelope['job'],
            $envelope['trace_id'], $envelope['data'], $envelope['meta']['id'], $envelope['attempts']]);

        // And the other way, written like another language's BabelQueue SDK does.
        $envelope['meta']['lang'] = 'node';
        $this->peer($sdk)->send($queue->getName(), ['body' => self::bytes(json_encode($envelope)), 'message_id' => $id,
            'correlation_id' => $trace, 'subject' => $envelope['job'], 'content_type' => 'application/json', 'properties' => [
                'bq-schema-version' => ['int', 1], 'bq-source-lang' => ['string', 'node'], 'bq-created-at' => ['long', 1749132727000],
                'tenant' => ['string', 'b']]]);
        $task = $this->take($queue);
        self::assertSame(['babelqueue', $id, 'urn:babel:orders:created', ['order_id' => 1042], $trace, 1, ['tenant' => ['b']]],
            [$task->getFormat(), $task->getId(), $task->getName(), $task->getPayload(), $task->getTraceId(),
                $task->getAttempts(), $task->getHeaders()]);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testWhatTheSdkSendsIsAJob(string $sdk): void
    {
        $queue = $this->entity();
        $uuid = 'f1e2d3c4-b5a6-4789-90ab-cdef01234567';
        $properties = ['text' => ['string', 'ä'], 'int' => ['int', 5], 'negative' => ['int', -3], 'float' => ['float', 1.5],
            'yes' => ['bool', true], 'at' => ['date', 1767225600.25]];
        $expected = ['text' => ['ä'], 'int' => ['5'], 'negative' => ['-3'], 'float' => ['1.5'], 'yes' => ['true'],
            'at' => ['1767225600250']];
        if ($sdk === SdkPeer::PYTHON) {
            $properties += ['uuid' => ['uuid', $uuid], 'binary' => self::bytes('b'), 'decimal' => ['decimal', '12.50']];
            $expected += ['uuid' => [$uuid], 'binary' => ['b'], 'decimal' => ['12.50']];
        }
        $all = implode('', array_map('chr', range(0, 255)));
        $this->peer($sdk)->send($queue->getName(), ['body' => self::bytes($all), 'message_id' => 'm-1', 'correlation_id' => 'c-1',
            'subject' => 'Created', 'content_type' => 'application/octet-stream', 'partition_key' => 'p', 'ttl' => 600,
            'properties' => $properties]);
        $task = $this->take($queue);
        self::assertSame(['m-1', 'Created', $all, 'c-1', 1, 'raw'], [$task->getId(), $task->getName(), $task->getPayload(),
            $task->getTraceId(), $task->getAttempts(), $task->getFormat()]);
        $headers = $task->getHeaders();
        ksort($headers);
        ksort($expected);
        self::assertSame($expected, $headers);
        self::assertSame([$queue->getName(), 0], [$task->getQueue(), $task->getDelay()]);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testBodiesOfEveryKind(string $sdk): void
    {
        $queue = $this->entity();
        $large = str_repeat('0123456789', 20_000);
        $this->peer($sdk)->send($queue->getName(),
            ['body' => ['json', ['order' => 7, 'tags' => []]], 'content_type' => 'application/json'],
            ['body' => self::bytes('[1'), 'content_type' => 'application/json'],
            ['body' => self::bytes($large)],
            ['body' => ['value', ['a' => 1]]],
            ['body' => self::bytes('')],
        );
        $consumer = $this->consumer($queue, ['prefetch' => 10]);
        $tasks = [];
        for ($n = 0; $n < 5; $n++) {
            $tasks[] = $this->next($consumer);
        }
        self::assertSame(['order' => 7, 'tags' => []], $tasks[0]->getPayload());
        self::assertSame('[1', $tasks[1]->getBody());
        $this->thrown(\Amqp1\Exception\SerializationException::class, static fn () => $tasks[1]->getPayload());
        self::assertSame($large, $tasks[2]->getPayload());
        self::assertSame(['a' => 1], $tasks[3]->getPayload());
        self::assertSame('', $tasks[4]->getPayload());
        foreach ($tasks as $task) {
            self::assertNotSame('', $task->getId());
            self::assertSame([null, 1, 'deduced_by_rr'], [$task->getTraceId(), $task->getAttempts(), $task->getName()]);
            $task->ack();
        }
        self::assertCount(0, $queue);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testTheSdksBatchesAndScheduledMessages(string $sdk): void
    {
        $queue = $this->entity();
        $batch = [];
        for ($n = 0; $n < 50; $n++) {
            $batch[] = ['body' => self::bytes("b-$n"), 'message_id' => "id-$n", 'subject' => 'Of a batch'];
        }
        $this->peer($sdk)->ask(['do' => 'send', 'to' => $queue->getName(), 'as' => 'batch', 'messages' => $batch]);
        $sent = microtime(true);
        $numbers = $this->peer($sdk)->ask(['do' => 'send', 'to' => $queue->getName(), 'as' => 'scheduled', 'in' => 2,
            'messages' => [['body' => self::bytes('later'), 'subject' => 'Later'],
                ['body' => self::bytes('never'), 'subject' => 'Never']]])['numbers'];
        $this->peer($sdk)->send($queue->getName(), ['body' => self::bytes('own'), 'subject' => 'Own', 'scheduled' => 2]);
        self::assertSame(['delayed' => 3, 'ready' => 50], array_intersect_key($queue->stats(), ['delayed' => 0, 'ready' => 0]));
        self::assertTrue($queue->cancel((string) $numbers[1]), 'what the SDK has scheduled, the extension takes back');
        $consumer = $this->consumer($queue, ['prefetch' => 20]);
        for ($n = 0; $n < 50; $n++) {
            $task = $this->next($consumer);
            self::assertSame(["id-$n", "b-$n"], [$task->getId(), $task->getPayload()]);
            $task->ack();
        }
        $names = [];
        while (($task = $consumer->waitTask($names === [] ? 10 : 2)) !== null) {
            self::assertGreaterThan($sent + 2 - 0.01, microtime(true), $task->getName());
            $names[] = $task->getName();
            $task->ack();
        }
        sort($names);
        self::assertSame(['Later', 'Own'], $names);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testTheSdksSessions(string $sdk): void
    {
        $queue = $this->entity([], "sessions-$sdk");
        $message = static fn (string $subject, string $session) => ['body' => self::bytes($subject), 'subject' => $subject,
            'session_id' => $session];
        $this->peer($sdk)->send($queue->getName(), $message('1', 'x'), $message('1', 'y'), $message('2', 'x'));
        foreach (['x' => ['1', '2'], 'y' => ['1']] as $session => $subjects) {
            $consumer = $this->consumer($queue, ['session' => $session]);
            foreach ($subjects as $subject) {
                $task = $this->next($consumer);
                self::assertSame([$subject, $session], [$task->getName(), $consumer->getSession()]);
                $task->ack();
            }
            $consumer->close();
        }
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testAttemptsAreCountedAcrossBoth(string $sdk): void
    {
        $queue = $this->entity();
        $queue->push('Tried', null, ['id' => 't-1']);
        $first = $this->peer($sdk)->receiveOne($queue->getName(), ['settle' => 'abandon']);
        self::assertSame(0, $first['delivery_count']);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        self::assertSame(['t-1', 2], [$task->getId(), $task->getAttempts()]);
        $task->nack('again', true);
        self::assertSame(3, $this->next($consumer)->getAttempts());
        $consumer->close();
        $last = $this->peer($sdk)->receiveOne($queue->getName());
        self::assertSame(['t-1', 'Tried'], [$last['message_id'], $last['subject']]);
        self::assertGreaterThanOrEqual(2, $last['delivery_count']);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testTheExtensionsRetryIsTheSameMessageForAnSdk(string $sdk): void
    {
        $queue = $this->entity(['backoff' => [0.5]]);
        $queue->push('Retried', ['a' => 1], ['id' => 'r-1', 'trace_id' => 't', 'headers' => ['int' => 5, 'text' => 'ä']]);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack('once');
        $consumer->close();
        $got = $this->peer($sdk)->receiveOne($queue->getName());
        self::assertSame(['{"a":1}', 't', 'Retried', ['string', 'r-1'], ['int', 5], ['string', 'ä']], [self::body($got),
            $got['correlation_id'], $got['subject'], $got['properties']['rr_id'], $got['properties']['int'], $got['properties']['text']]);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testACopyOfTheSdksMessageKeepsItsId(string $sdk): void
    {
        $queue = $this->entity();
        $this->peer($sdk)->send($queue->getName(), ['body' => self::bytes('x'), 'message_id' => 'theirs', 'subject' => 'Foreign',
            'correlation_id' => 'c', 'properties' => ['tenant' => ['string', 'b']]]);
        $consumer = $this->consumer($queue);
        // A copy has another message-id: the job's own stays.
        $this->next($consumer)->release(0.5, ['added' => 'yes']);
        $copy = $this->next($consumer);
        self::assertSame(['theirs', 'Foreign', 'c', 2, ['b'], ['yes']], [$copy->getId(), $copy->getName(), $copy->getTraceId(),
            $copy->getAttempts(), $copy->getHeader('tenant'), $copy->getHeader('added')]);
        $copy->ack();
        self::assertCount(0, $queue);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testWhatTheExtensionDeadLettersAnSdkReads(string $sdk): void
    {
        $queue = $this->entity();
        $queue->push('Bad', 'payload', ['id' => 'd-1', 'headers' => ['kept' => 1]]);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->deadLetter('unreadable', "the customer's\nfile");
        $queue->push('Worse', null);
        $this->next($consumer)->deadLetter(new \DomainException('no such customer'));
        $consumer->close();
        [$first, $second] = $this->peer($sdk)->receive($queue->getName(), ['dead' => true, 'count' => 2]);
        self::assertSame(['d-1', 'payload', 'unreadable', "the customer's\nfile", ['int', 1]], [$first['message_id'],
            self::body($first), $first['dead_letter_reason'], $first['dead_letter_description'], $first['properties']['kept']]);
        self::assertSame(['string', 'unreadable'], $first['properties']['DeadLetterReason']);
        self::assertSame(['failed', 'no such customer', ['string', 'DomainException'], ['string', $queue->getName()]],
            [$second['dead_letter_reason'], $second['dead_letter_description'], $second['properties']['rr_failed_exception'],
                $second['properties']['rr_failed_queue']]);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testWhatAnSdkDeadLettersIsInTheFailedQueue(string $sdk): void
    {
        $queue = $this->entity();
        $this->peer($sdk)->send($queue->getName(), ['body' => self::bytes('x'), 'message_id' => 'f-1', 'subject' => 'Failed',
            'correlation_id' => 'c', 'properties' => ['tenant' => ['string', 'a']]]);
        $this->peer($sdk)->receiveOne($queue->getName(), ['settle' => 'dead_letter', 'reason' => 'poison', 'description' => 'no use']);
        $failed = $queue->failed();
        self::assertCount(1, $failed);
        $task = $failed->reserve(5);
        self::assertInstanceOf(Task::class, $task);
        self::assertSame(['f-1', 'Failed', 'x', 'c', ['tenant' => ['a']]], [$task->getId(), $task->getName(), $task->getPayload(),
            $task->getTraceId(), $task->getHeaders()]);
        $failure = $task->getFailure();
        self::assertSame(['poison', 'no use', null], [$failure['reason'], $failure['error'], $failure['exception']]);
        $task->nack(null, true);
        self::assertSame(1, $queue->retryFailed());
        $back = $this->peer($sdk)->receiveOne($queue->getName());
        self::assertSame(['x', 'Failed', 'c', ['string', 'a'], null], [self::body($back), $back['subject'], $back['correlation_id'],
            $back['properties']['tenant'], $back['dead_letter_reason']]);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testATopicForBoth(string $sdk): void
    {
        $topic = $this->entity([], 'events');
        $topic->push('Of the extension', null, ['headers' => ['n' => 1]]);
        $this->peer($sdk)->send('topic/events', ['body' => self::bytes('x'), 'subject' => 'Of the SDK']);
        $got = $this->peer($sdk)->receive('events/Subscriptions/all', ['count' => 2]);
        self::assertSame(['Of the extension', 'Of the SDK'], array_column($got, 'subject'));
        $audit = $this->consumer($this->entity([], 'events/Subscriptions/audit'), ['prefetch' => 2]);
        foreach (['Of the extension', 'Of the SDK'] as $name) {
            $task = $this->next($audit);
            self::assertSame($name, $task->getName());
            $task->ack();
        }
    }
}
