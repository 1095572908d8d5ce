<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** A 0-9-1 client (php-amqp, like RoadRunner's own driver) reads what the extension writes, and vice versa. */
final class WireFormatTest extends ContractTestCase
{
    private const UUID = '/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/';

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testA091ClientReadsTheEnvelopeWithItsTypes(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker));
        $queue = $this->queue($broker, ['name' => 'a-pipeline'], $name);
        $id = $queue->push('ProcessOrder', ['orderId' => 12345], [
            'priority' => 5,
            'headers' => ['tenant-id' => 'company-a', 'tags' => ['x', 'y']],
            'trace_id' => '7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b',
            'ttl' => 60,
            'auto_ack' => true,
        ]);
        $envelope = (new Peer($this->broker($broker)))->get($name);
        $headers = $envelope->getHeaders();

        self::assertSame('{"orderId":12345}', $envelope->getBody());
        self::assertSame($id, $headers['rr_id']);
        self::assertSame('ProcessOrder', $headers['rr_job']);
        self::assertSame('a-pipeline', $headers['rr_pipeline']);
        self::assertSame(['tenant-id' => ['company-a'], 'tags' => ['x', 'y']], json_decode($headers['rr_headers'], true));
        self::assertSame(0, $headers['rr_delay']);
        self::assertSame(5, $headers['rr_priority']);
        self::assertTrue($headers['rr_auto_ack']);
        self::assertSame($id, $envelope->getMessageId());
        self::assertSame('7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b', $envelope->getCorrelationId());
        self::assertSame('application/json', $envelope->getContentType());
        self::assertSame(2, $envelope->getDeliveryMode());
        self::assertSame(5, $envelope->getPriority());
        self::assertSame('60000', (string) $envelope->getExpiration());
        self::assertEqualsWithDelta(time(), (int) $envelope->getTimestamp(), 60);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testOwnHeadersAreHeadersWithTheirTypes(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job', '', ['headers' => [
            'text' => 'ž',
            'int' => 5,
            'large' => 9007199254740993,
            'float' => 1.5,
            'true' => true,
            'false' => false,
            'list' => ['first', 'second'],
        ]]);
        $headers = (new Peer($this->broker($broker)))->get($queue->getName())->getHeaders();

        self::assertSame('ž', $headers['text']);
        self::assertSame(5, $headers['int']);
        self::assertSame(9007199254740993, $headers['large']);
        self::assertSame(1.5, $headers['float']);
        self::assertTrue($headers['true']);
        self::assertFalse($headers['false']);
        self::assertSame('first', $headers['list'], 'the first of several; all are in rr_headers');
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAStringTravelsAsItIs(string $broker): void
    {
        $every = implode('', array_map('chr', range(0, 255)));
        $queue = $this->queue($broker);
        $queue->push('job', $every, ['durable' => false, 'routing_key' => null]);
        $envelope = (new Peer($this->broker($broker)))->get($queue->getName());

        self::assertTrue($every === $envelope->getBody());
        self::assertSame('application/octet-stream', $envelope->getContentType());
        self::assertSame(4, $envelope->getPriority() ?: 4);
        self::assertSame('', (string) $envelope->getCorrelationId());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheDelayAskedForIsWritten(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job', '', ['delay' => 1]);
        $headers = (new Peer($this->broker($broker)))->get($queue->getName())->getHeaders();

        self::assertSame(1, $headers['rr_delay']);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAForgedEnvelopeHeaderIsNotWritten(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('job', '', ['headers' => ['rr_id' => 'forged', 'rr_priority' => 'forged', 'mine' => 'kept']]);
        $headers = (new Peer($this->broker($broker)))->get($queue->getName())->getHeaders();

        self::assertSame($id, $headers['rr_id']);
        self::assertSame(4, $headers['rr_priority']);
        self::assertSame('kept', $headers['mine']);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAJobOfRoadRunnersOwnDriverIsConsumed(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker));
        $queue = $this->queue($broker, ['name' => 'here'], $name);
        $queue->setup();
        $peer = new Peer($this->broker($broker));
        $peer->publish($name, '{"orderId":12345}', [
            'content_type' => 'application/octet-stream',
            'delivery_mode' => 2,
            'headers' => [
                'rr_id' => 'f1e2d3c4-b5a6-4789-90ab-cdef01234567',
                'rr_job' => 'ProcessOrder',
                'rr_pipeline' => 'there',
                'rr_headers' => '{"tenant-id":["company-a"],"tags":["x","y"]}',
                'rr_delay' => 3,
                'rr_priority' => 10,
                'rr_auto_ack' => false,
            ],
        ]);
        $task = $this->take($queue);

        self::assertSame('f1e2d3c4-b5a6-4789-90ab-cdef01234567', $task->getId());
        self::assertSame('ProcessOrder', $task->getName());
        self::assertSame('here', $task->getQueue());
        self::assertSame('there', $task->getPipeline());
        self::assertSame('{"orderId":12345}', $task->getBody());
        self::assertSame(['company-a'], $task->getHeader('tenant-id'));
        self::assertSame(['x', 'y'], $task->getHeader('tags'));
        self::assertSame(10, $task->getPriority());
        self::assertSame(3.0, (float) $task->getDelay());
        self::assertSame(1, $task->getAttempts());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAForeignMessageIsAJob(string $broker): void
    {
        $queue = $this->queue($broker, ['priority' => 8]);
        $queue->setup();
        $peer = new Peer($this->broker($broker));
        $peer->publish($queue->getName(), 'bare');
        $peer->publish($queue->getName(), '{"n":1}', [
            'message_id' => 'their-id',
            'correlation_id' => 'their-trace',
            'content_type' => 'application/json',
            'headers' => ['tenant' => 'a', 'count' => 5, 'yes' => true],
        ]);
        $consumer = $this->consumer($queue);

        $task = $this->next($consumer);
        self::assertMatchesRegularExpression(self::UUID, $task->getId());
        self::assertSame('deduced_by_rr', $task->getName());
        self::assertSame('bare', $task->getPayload());
        self::assertSame(8, $task->getPriority(), "the pipeline's");
        self::assertSame($queue->getName(), $task->getPipeline());
        $task->ack();

        $task = $this->next($consumer);
        self::assertSame('their-id', $task->getId());
        self::assertSame(['n' => 1], $task->getPayload());
        self::assertSame('their-trace', $task->getTraceId());
        self::assertSame(['a'], $task->getHeader('tenant'));
        self::assertSame(['5'], $task->getHeader('count'));
        self::assertSame(['true'], $task->getHeader('yes'));
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAForeignMessageThatIsRequeuedKeepsItsId(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();
        (new Peer($this->broker($broker)))->publish($queue->getName(), "\xff\x00", ['message_id' => 'their-id']);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack('again', true);
        $task = $this->next($consumer);

        self::assertSame(['their-id', "\xff\x00", 2], [$task->getId(), $task->getPayload(), $task->getAttempts()]);
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testABodyThatOnlyClaimsToBeJsonIsStillAJobThatCanBeSettled(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();
        (new Peer($this->broker($broker)))->publish($queue->getName(), '{broken', ['content_type' => 'application/json']);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);

        self::assertSame('{broken', $task->getBody());
        try {
            self::assertSame('{broken', $task->getPayload());
        } catch (\Amqp1\Exception\SerializationException $unreadable) {
            self::assertStringContainsString($task->getId(), $unreadable->getMessage());
        }
        $task->ack();
        $this->assertNoTask($consumer);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testHeadersOfOddTypesDoNotLoseTheJob(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();
        (new Peer($this->broker($broker)))->publish($queue->getName(), 'odd', ['headers' => [
            'rr_job' => 42,
            'rr_headers' => 'not JSON',
            'rr_priority' => 'high',
            'list' => ['a', 'b'],
            'map' => ['a' => 1],
            'when' => new \AMQPTimestamp(1700000000),
        ]]);
        $task = $this->take($queue);

        self::assertSame('odd', $task->getBody());
        self::assertNotSame('', $task->getName());
    }
}
