<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Task;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** AMQP properties and annotations: what a job sets arrives, and stays in retries, the failed queue and replays. */
final class PropertiesTest extends ContractTestCase
{
    private const TYPE = 'application/vnd.acme.order+json; charset=utf-8';

    private const ANNOTATIONS = ['x-opt-tenant' => 'ä', 'x-number' => 5, 'x-flag' => true, 'x-rate' => 1.5, 'x-list' => ['a', 'b']];

    private const OPTIONS = [
        'content_type' => self::TYPE,
        'content_encoding' => 'utf-8',
        'reply_to' => 'answers',
        'to' => 'the-order-desk',
        'subject' => 'Ordered',
        'correlation_id' => 'c-1',
        'annotations' => self::ANNOTATIONS,
    ];

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatIsSetArrivesAndStaysInCopiesTheFailedQueueAndReplays(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 2, 'backoff' => 0]);
        $user = $this->user($broker);
        $id = $queue->push('Order', ['n' => 1], self::OPTIONS + ['user_id' => $user, 'headers' => ['tenant' => 'a']]);

        $task = $this->reserved($queue);
        $this->assertCarried($task, $id, $user);
        $task->release(0, ['again' => 'yes']);

        $task = $this->reserved($queue);
        self::assertSame('yes', $task->getHeaderLine('again'));
        $this->assertCarried($task, $id, $user);
        $task->nack('no');

        $failed = $queue->failed();
        $task = $this->reserved($failed);
        self::assertSame('failed', $task->getFailure()['reason']);
        $this->assertCarried($task, $id, $user);
        $task->release();
        self::assertSame(1, $queue->retryFailed());

        $task = $this->reserved($queue);
        $this->assertCarried($task, $id, $user);
        $task->ack();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatIsSetStaysThroughADelay(string $broker): void
    {
        $queue = $this->queue($broker);
        $options = self::OPTIONS + ['user_id' => $this->user($broker)];
        $push = static fn () => $queue->push('Order', ['n' => 1], $options + ['delay' => 1]);
        if ($this->lacks($broker, 'delay', $push)) {
            return;
        }
        $id = $push();
        $task = $this->reserved($queue);
        $this->assertCarried($task, $id, $this->user($broker));
        // A copy, which waits as well.
        $task->release(1, ['again' => 'yes']);
        $task = $this->reserved($queue);
        $this->assertCarried($task, $id, $this->user($broker));
        $task->ack();
    }

    public static function formats(): array
    {
        $sets = [];
        foreach (self::brokers() as [$broker]) {
            foreach (['roadrunner', 'raw', 'amqp1', 'babelqueue'] as $format) {
                $sets["$format on $broker"] = [$broker, $format];
            }
        }

        return $sets;
    }

    /** @dataProvider formats */
    #[DataProvider('formats')]
    public function testEachFormatCarriesWhatItDoesNotSetItself(string $broker, string $format): void
    {
        $queue = $this->queue($broker, ['format' => $format]);
        $own = ['reply_to' => 'answers', 'to' => 'desk', 'user_id' => $this->user($broker), 'annotations' => ['x-opt-tenant' => 'a']];
        $queue->push('Order', ['n' => 1], $own);
        $check = function (Task $task) use ($format, $broker): void {
            self::assertSame([$format, 'Order', ['n' => 1]], [$task->getFormat(), $task->getName(), $task->getPayload()]);
            self::assertSame(['answers', 'desk', $this->user($broker), 'a'], [$task->getReplyTo(), $task->getTo(),
                $task->getUserId(), $task->getAnnotations()['x-opt-tenant'] ?? null]);
        };
        $task = $this->reserved($queue);
        $check($task);
        $task->nack('no', false);
        $task = $this->reserved($queue->failed());
        $check($task);
        $task->ack();
    }

    public function testWhatAFormatSetsItselfIsRefusedIfItDiffers(): void
    {
        $owned = [
            'babelqueue' => ['content_type' => 'application/cloudevents+json', 'content_encoding' => 'gzip', 'subject' => 'Other',
                'annotations' => ['x-basic-type' => 'Other']],
            'amqp1' => ['content_type' => 'text/plain', 'content_encoding' => 'gzip', 'subject' => 'Other'],
            'raw' => ['subject' => 'Other'],
        ];
        foreach ($owned as $format => $options) {
            $queue = $this->queue('embedded', ['format' => $format]);
            foreach ($options as $name => $value) {
                $error = $this->thrown(ConfigException::class, static fn () => $queue->push('Order', ['n' => 1], [$name => $value]));
                self::assertStringContainsString($name === 'annotations' ? 'x-basic-type' : $name, $error->getMessage());
                self::assertStringContainsString($format, $error->getMessage());
            }
        }
        // The same value is no difference.
        $this->queue('embedded', ['format' => 'babelqueue'])->push('Order', ['n' => 1], [
            'content_type' => 'application/json', 'content_encoding' => 'utf-8', 'subject' => 'Order',
        ]);
    }

    public function testNamesOfAnnotationsThatBelongToOthersAreRefused(): void
    {
        $queue = $this->queue('embedded');
        foreach ([
            'tenant' => "'x-'", 'x-ä' => 'ASCII', 'x-opt-partition-key' => "'partition_key'", 'x-delay' => "'delay'",
            'x-opt-scheduled-enqueue-time' => "'delay'", 'x-routing-key' => "'routing_key'", 'x-cc' => 'bind',
            'x-opt-sequence-number' => 'broker', 'x-opt-deaths' => 'broker', 'x-first-death-queue' => 'broker',
            'x-opt-amqp1-failed' => 'extension', 'x-schema-version' => 'babelqueue',
        ] as $name => $why) {
            $error = $this->thrown(ConfigException::class, static fn () => $queue->push('job', '', ['annotations' => [$name => 1]]));
            self::assertStringContainsString("'$name'", $error->getMessage());
            self::assertStringContainsString($why, $error->getMessage());
        }
        foreach ([['' => 1], [5 => 1], ['x-a' => null], ['x-a' => []], ['x-a' => ['k' => 1]]] as $wrong) {
            $error = $this->thrown(ConfigException::class, static fn () => $queue->push('job', '', ['annotations' => $wrong]));
            self::assertStringContainsString('annotation', $error->getMessage());
        }
    }

    public function testValuesThatAMessageCannotHaveAreRefused(): void
    {
        $queue = $this->queue('embedded');
        foreach (['content_type', 'content_encoding', 'reply_to', 'to', 'subject', 'user_id'] as $option) {
            $error = $this->thrown(ConfigException::class, static fn () => $queue->push('job', '', [$option => '']));
            self::assertStringContainsString("'$option'", $error->getMessage());
        }
        foreach (['content_type', 'content_encoding'] as $option) {
            foreach (["text/\u{e4}", "text/plain\r\n", str_repeat('x', 256)] as $value) {
                $error = $this->thrown(ConfigException::class, static fn () => $queue->push('job', '', [$option => $value]));
                self::assertStringContainsString("'$option'", $error->getMessage());
                $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://x', 'x', [$option => $value]));
            }
        }
        $error = $this->thrown(ConfigException::class, static fn () => $queue->push('job', ['n' => 1], ['content_type' => 'text/plain']));
        self::assertStringContainsString('JSON', $error->getMessage());
        $error = $this->thrown(ConfigException::class, static fn () => $queue->push('job', '', ['trace_id' => 'a', 'correlation_id' => 'b']));
        self::assertStringContainsString("'correlation_id'", $error->getMessage());
        self::assertSame(0, $queue->count());
    }

    public function testTraceIdAndCorrelationIdAreOneProperty(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job', '', ['trace_id' => 'a', 'correlation_id' => 'a']);
        $queue->push('job', '', ['trace_id' => 'b']);
        $queue->push('job', '', ['correlation_id' => 'c']);
        // A job's own option replaces the default, under either name.
        $queue->pushMany([['name' => 'job', 'options' => ['correlation_id' => 'd']]], ['trace_id' => 'default']);
        foreach (['a', 'b', 'c', 'd'] as $id) {
            $task = $this->reserved($queue);
            self::assertSame([$id, $id], [$task->getTraceId(), $task->getCorrelationId()]);
            $task->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAQueueHasDefaults(string $broker): void
    {
        $user = $this->user($broker);
        $queue = $this->queue($broker, [
            'content_type' => 'text/csv', 'content_encoding' => 'identity', 'reply_to' => 'answers', 'user_id' => $user,
        ]);
        $queue->push('job', 'a,b');
        $queue->pushMany([
            ['name' => 'job', 'payload' => 'c,d', 'options' => ['reply_to' => 'elsewhere', 'annotations' => ['x-b' => 2]]],
            ['name' => 'job', 'payload' => 'e'],
        ], ['content_type' => 'text/plain', 'annotations' => ['x-a' => 1]]);
        $got = [];
        for ($i = 0; $i < 3; $i++) {
            $task = $this->reserved($queue);
            $annotations = array_intersect_key($task->getAnnotations(), ['x-a' => 1, 'x-b' => 1]);
            ksort($annotations);
            $got[$task->getPayload()] = [$task->getContentType(), $task->getContentEncoding(), $task->getReplyTo(), $task->getUserId(), $annotations];
            $task->ack();
        }
        ksort($got);
        self::assertSame([
            'a,b' => ['text/csv', 'identity', 'answers', $user, []],
            'c,d' => ['text/plain', 'identity', 'elsewhere', $user, ['x-a' => 1, 'x-b' => 2]],
            'e' => ['text/plain', 'identity', 'answers', $user, ['x-a' => 1]],
        ], $got);
    }

    /** @dataProvider everyRabbitMq */
    #[DataProvider('everyRabbitMq')]
    public function testAnotherUsersIdIsRefused(string $broker): void
    {
        $queue = $this->queue($broker);
        $error = $this->thrown(UnsupportedException::class, static fn () => $queue->push('job', '', ['user_id' => 'somebody']));
        self::assertStringContainsString("'user_id'", $error->getMessage());
        // Neither is the queue's default used for another user's jobs, nor does the connection suffer.
        $queue->push('job', 'x');
        self::assertNull($this->reserved($queue)->getUserId());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAnAddressOfTheBrokerIsNotAnOwnTo(string $broker): void
    {
        $queue = $this->queue($broker);
        $error = $this->thrown(UnsupportedException::class, static fn () => $queue->push('job', '', ['to' => '/queues/other']));
        self::assertStringContainsString("'to'", $error->getMessage());
        // The address that routes a job with a key of its own: a copy has its own, not this one.
        $queue->push('job', 'x', ['delay' => 1]);
        $task = $this->reserved($queue);
        self::assertStringStartsWith('/queues/amqp1.delay.', (string) $task->getTo());
        $task->release(0, ['again' => 'yes']);
        $task = $this->reserved($queue);
        self::assertSame('/queues/' . $queue->getName(), $task->getTo());
        $task->ack();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTimesGroupAndRedelivery(string $broker): void
    {
        $queue = $this->queue($broker);
        $before = microtime(true);
        $queue->push('job', 'x', ['ttl' => 600, 'group' => 'g'] + ($this->broker($broker)->isServiceBus() ? ['partition_key' => 'g'] : []));
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);

        self::assertEqualsWithDelta($before, (float) $task->getCreationTime()->format('U.u'), 5);
        self::assertSame('+00:00', $task->getCreationTime()->format('P'));
        self::assertEqualsWithDelta($before + 600, (float) $task->getExpiry()->format('U.u'), 5);
        self::assertSame($this->broker($broker)->isServiceBus(), $task->getEnqueuedTime() !== null);
        self::assertSame('g', $task->getGroup());
        self::assertNull($task->getGroupSequence());
        self::assertEquals(['creation_time' => $task->getCreationTime(), 'group_id' => 'g'],
            array_intersect_key($task->getProperties(), ['creation_time' => 1, 'group_id' => 1]));
        self::assertSame([false, 0], [$task->isRedelivered(), $task->getDeliveryCount()]);
        unset($task);
        $consumer->close();

        $task = $this->reserved($queue);
        // RabbitMQ 3 does not tell; Artemis and Service Bus count only what failed.
        self::assertSame(in_array($queue->getBroker()['dialect'], ['rabbitmq4', 'embedded'], true), $task->isRedelivered());
        $task->ack();
    }

    public function testAJobThatSetsNothingCarriesTheFormatsPropertiesAlone(): void
    {
        $queue = $this->queue('embedded');
        $id = $queue->push('job', 'x');
        $task = $this->reserved($queue);
        self::assertSame(['message_id', 'subject', 'content_type', 'creation_time'], array_keys($task->getProperties()));
        self::assertSame([$id, 'job', 'application/octet-stream'], array_slice(array_values($task->getProperties()), 0, 3));
        self::assertSame([], $task->getAnnotations());
        foreach (['getContentEncoding', 'getReplyTo', 'getCorrelationId', 'getTo', 'getUserId', 'getGroup', 'getGroupSequence', 'getRoutingKey',
            'getEnqueuedTime', 'getExpiry'] as $method) {
            self::assertNull($task->$method(), $method);
        }
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheRoutingKeyIsTheOneTheJobCameWith(string $broker): void
    {
        $exchange = $this->exchangeName($this->broker($broker));
        $queue = $this->queue($broker, ['exchange' => $exchange, 'exchange_type' => 'topic', 'routing_key' => 'order.#', 'bindings' => ['order.#']]);
        $queue->push('job', 'x', ['routing_key' => 'order.created']);
        $task = $this->reserved($queue);
        self::assertSame('order.created', $task->getRoutingKey());
        self::assertSame($exchange, $task->getAnnotations()['x-exchange']);
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testA091ClientReadsThem(string $broker): void
    {
        $queue = $this->queue($broker);
        $options = ['annotations' => ['x-basic-type' => 'order.v1', 'x-tenant' => 'a', 'x-number' => 5], 'group' => 'an-app', 'user_id' => 'guest'];
        $queue->push('Order', ['n' => 1], $options + self::OPTIONS);
        $envelope = (new Peer($this->broker($broker)))->get($queue->getName());

        self::assertSame([self::TYPE, 'utf-8', 'answers', 'c-1', 'guest', 'order.v1', 'an-app'], [
            $envelope->getContentType(), $envelope->getContentEncoding(), $envelope->getReplyTo(), $envelope->getCorrelationId(),
            $envelope->getUserId(), $envelope->getType(), $envelope->getAppId(),
        ]);
        $headers = $envelope->getHeaders();
        self::assertSame(['a', 5, 'Order'], [$headers['x-tenant'], $headers['x-number'], $headers['rr_job']]);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testWhatA091ClientSetsIsRead(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();
        $now = time();
        (new Peer($this->broker($broker)))->publish($queue->getName(), gzencode('{"n":1}'), [
            'content_type' => 'application/json', 'content_encoding' => 'gzip', 'reply_to' => 'answers', 'correlation_id' => 'c-2',
            'message_id' => 'm-1', 'type' => 'order.v1', 'app_id' => 'an-app', 'user_id' => 'guest', 'timestamp' => $now,
            'headers' => ['x-tenant' => 'a', 'plain' => 'b'],
        ]);
        $task = $this->reserved($queue);
        $check = static function (Task $task) use ($now): void {
            // RabbitMQ 4.3 makes an address of the name of the queue for answers.
            self::assertContains($task->getReplyTo(), ['answers', '/queues/answers']);
            self::assertSame(['application/json', 'gzip', 'c-2', 'guest', 'an-app', $now], [
                $task->getContentType(), $task->getContentEncoding(), $task->getCorrelationId(), $task->getUserId(),
                $task->getGroup(), $task->getCreationTime()->getTimestamp(),
            ]);
            self::assertSame(['order.v1', 'a'], [$task->getAnnotations()['x-basic-type'], $task->getAnnotations()['x-tenant']]);
            self::assertSame('b', $task->getHeaderLine('plain'));
            // Compressed JSON is handed out as it is.
            self::assertSame('{"n":1}', gzdecode($task->getPayload()));
        };
        $check($task);
        $task->nack('no', false);
        $task = $this->reserved($queue->failed());
        $check($task);
        $task->ack();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAWrongJobOfABatchFailsAlone(string $broker): void
    {
        $queue = $this->queue($broker);
        $error = $this->thrown(BatchException::class, static fn () => $queue->pushMany([
            ['name' => 'job', 'payload' => 'a'],
            ['name' => 'job', 'payload' => 'b', 'options' => ['annotations' => ['tenant' => 'x']]],
            ['name' => 'job', 'payload' => 'c'],
        ]));
        self::assertSame([1], array_keys($error->getFailures()));
        $this->assertJobs(2, $queue);
    }

    private function assertCarried(Task $task, string $id, string $user): void
    {
        self::assertSame(['Order', ['n' => 1], $id], [$task->getName(), $task->getPayload(), $task->getId()]);
        self::assertSame([self::TYPE, 'utf-8', 'answers', 'the-order-desk', 'Ordered', 'c-1', $user], [
            $task->getContentType(), $task->getContentEncoding(), $task->getReplyTo(), $task->getTo(), $task->getSubject(),
            $task->getCorrelationId(), $task->getUserId(),
        ]);
        $annotations = array_intersect_key($task->getAnnotations(), self::ANNOTATIONS);
        ksort($annotations);
        $expected = self::ANNOTATIONS;
        ksort($expected);
        self::assertSame($expected, $annotations);
        $properties = $task->getProperties();
        self::assertSame([$user, 'the-order-desk', 'Ordered', 'answers', 'c-1', self::TYPE, 'utf-8'], [$properties['user_id'],
            $properties['to'], $properties['subject'], $properties['reply_to'], $properties['correlation_id'],
            $properties['content_type'], $properties['content_encoding']]);
        self::assertInstanceOf(\DateTimeImmutable::class, $properties['creation_time']);
    }

    /** The only user that RabbitMQ accepts. */
    private function user(string $broker): string
    {
        return $this->broker($broker)->isRabbitMq() ? rawurldecode((string) parse_url($this->broker($broker)->dsn, PHP_URL_USER)) : 'somebody';
    }

    private function reserved(AmqpQueue $queue): Task
    {
        $task = $queue->reserve(10);
        self::assertNotNull($task, "a job in {$queue->getName()}");

        return $task;
    }
}
