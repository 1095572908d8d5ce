<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\AmqpLib;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** The formats: written by name, recognised by every consumer, and kept by copies. */
final class FormatTest extends ContractTestCase
{
    private const ID = 'f1e2d3c4-b5a6-4789-90ab-cdef01234567';
    private const TRACE = '7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b';
    private const FORMATS = ['roadrunner', 'amqp1', 'babelqueue', 'raw'];

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEachIsRecognisedWhateverTheQueueWrites(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach (self::FORMATS as $format) {
            $writer = $this->queue($broker, ['format' => $format, 'name' => 'a-pipeline'], $queue->getName());
            $id = $writer->push("name of $format", ['n' => 1, 'path' => 'ü/x'], [
                'trace_id' => self::TRACE,
                'priority' => 5,
                'headers' => ['tenant' => 'a "b" ü', 'tags' => ['x', 'y'], 'n' => 5, 'yes' => true],
            ]);
            $task = $this->take($queue);
            self::assertSame($format, $task->getFormat());
            self::assertSame($id, $task->getId());
            self::assertSame("name of $format", $task->getName());
            self::assertSame(['n' => 1, 'path' => 'ü/x'], $task->getPayload());
            self::assertSame('{"n":1,"path":"ü/x"}', $task->getBody());
            self::assertSame(self::TRACE, $task->getTraceId());
            self::assertSame(5, $task->getPriority());
            self::assertSame(1, $task->getAttempts());
            self::assertNull($task->getFailure());
            $headers = ['tenant' => ['a "b" ü'], 'tags' => ['x', 'y'], 'n' => ['5'], 'yes' => ['true']];
            $read = $task->getHeaders();
            ksort($headers);
            ksort($read);
            self::assertSame($headers, $read, $format);
            // Only if the format has a place for it.
            self::assertSame($format === 'raw' ? $queue->getName() : 'a-pipeline', $task->getPipeline());
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testStringsOfAnyBytesSurvive(string $broker): void
    {
        $every = implode('', array_map('chr', range(0, 255)));
        foreach (['roadrunner', 'amqp1', 'raw'] as $format) {
            $queue = $this->queue($broker, ['format' => $format]);
            foreach ([$every, "\xff", '', 'plain ü', '{"json":1}', "\u{2028}\"\\/\n\0", str_repeat("\xfe é", 40000)] as $payload) {
                $queue->push('job', $payload, ['headers' => ['h' => '1']]);
                $task = $this->take($queue);
                self::assertTrue($payload === $task->getPayload(), $format);
                self::assertTrue($payload === $task->getBody());
                self::assertSame([$format, 'job', ['h' => ['1']]], [$task->getFormat(), $task->getName(), $task->getHeaders()]);
            }
            foreach ([null, false, 5, [], ['a' => []]] as $payload) {
                $queue->push('job', $payload);
                self::assertSame($payload, $this->take($queue)->getPayload());
            }
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testACopyIsInTheFormatOfItsOriginal(string $broker): void
    {
        $pause = $this->broker($broker)->supports('delay') ? 0.2 : 0;
        $queue = $this->queue($broker, ['max_attempts' => 2, 'backoff' => $pause]);
        foreach (self::FORMATS as $format) {
            $writer = $this->queue($broker, ['format' => $format], $queue->getName());
            $id = $writer->push('job', ['n' => 1], ['headers' => ['tags' => ['x', 'y']], 'trace_id' => self::TRACE]);
            $consumer = $this->consumer($queue);
            $this->next($consumer)->release($pause, ['added' => 'yes']);
            $task = $this->next($consumer);
            self::assertSame([$format, $id, 2], [$task->getFormat(), $task->getId(), $task->getAttempts()]);
            self::assertSame(['n' => 1], $task->getPayload());
            $task->nack(new \LogicException('no'));
            $task = $this->take($queue->failed());
            $failure = $task->getFailure();
            self::assertSame(
                [$format, $id, 'job', ['n' => 1], self::TRACE, ['tags' => ['x', 'y'], 'added' => ['yes']]],
                [$task->getFormat(), $task->getId(), $task->getName(), $task->getPayload(), $task->getTraceId(), $task->getHeaders()],
            );
            self::assertSame(
                ['failed', 'no', 'LogicException', $queue->getName(), 2],
                [$failure['reason'], $failure['error'], $failure['exception'], $failure['queue'], $failure['attempts']],
            );
            $consumer->close();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWhatFitsNoFormatIsAJob(string $broker): void
    {
        $queue = $this->queue($broker);
        $raw = $this->queue($broker, ['format' => 'raw'], $queue->getName());
        $bodies = [
            '',
            '{',
            'not JSON',
            "\xff{\"header\":{\"rr_id\":\"x\"},\"body\":\"y\"}",
            '[{"header":{"rr_id":"x"},"body":"y"}]',
            '{"header":{"rr_id":"x"}}',
            '{"header":["rr_id"],"body":"y"}',
            '{"header":{"from":"x"},"body":"a letter"}',
            '{"job":"urn:babel:x","data":{},"attempts":0}',
            '{"meta":{"schema_version":2},"data":[1]}',
            str_repeat('{"a":', 5000) . '1' . str_repeat('}', 5000),
        ];
        $consumer = $this->consumer($queue);
        foreach ($bodies as $body) {
            $id = $raw->push('the subject', $body);
            $task = $this->next($consumer);
            self::assertSame(['raw', 'the subject', $id], [$task->getFormat(), $task->getName(), $task->getId()]);
            self::assertTrue($body === $task->getBody());
            $task->ack();
        }
        $this->assertNoTask($consumer, 0.1);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheGoDriverReadsTheWrapper(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker));
        $queue = $this->queue($broker, ['format' => 'amqp1', 'name' => 'pipe'], $name);
        $id = $queue->push('Name', ['a' => 'ü/'], [
            'headers' => ['tenant' => 'a', 'tags' => ['x', 'y']],
            'priority' => 6,
            'auto_ack' => true,
        ]);
        $queue->push('Bytes', "\xff\x00");
        $peer = new AmqpLib($this->broker($broker));
        $message = $peer->get($name);
        $wrapper = json_decode($message->body, true, 512, JSON_THROW_ON_ERROR);
        self::assertSame(['header', 'body'], array_keys($wrapper));
        self::assertSame('{"a":"ü/"}', $wrapper['body']);
        $headers = base64_decode($wrapper['header']['rr_headers'], true);
        self::assertSame('{"tenant":["a"],"tags":["x","y"]}', $headers);
        unset($wrapper['header']['rr_headers'], $wrapper['header']['rr_content_type']);
        self::assertSame([
            'rr_id' => $id,
            'rr_job' => 'Name',
            'rr_pipeline' => 'pipe',
            'rr_delay' => 0,
            'rr_priority' => 6,
            'rr_auto_ack' => true,
        ], $wrapper['header']);
        self::assertSame(['tags' => 'x', 'tenant' => 'a'], AmqpLib::headers($message));
        self::assertSame($id, $message->get('message_id'));

        $wrapper = json_decode($peer->get($name)->body, true, 512, JSON_THROW_ON_ERROR);
        self::assertSame("\xff\x00", base64_decode($wrapper['body'], true));
        self::assertSame('base64', $wrapper['header']['rr_body_encoding']);
        $peer->close();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testWhatTheGoDriverWritesIsRead(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();
        $peer = new AmqpLib($this->broker($broker));
        // Go sorts a map's keys, and escapes <, > and &.
        $header = '{"rr_auto_ack":false,"rr_delay":30,"rr_headers":"' . base64_encode('{"tenant":["a","b"]}')
            . '","rr_id":"' . self::ID . '","rr_job":"ProcessOrder","rr_pipeline":"azure-queue","rr_priority":7}';
        $peer->publish($queue->getName(), '{"body":"{\"a\":\"\u003cb\u003e\"}","header":' . $header . '}', [], ['tenant' => 'a', 'other' => 'o']);
        // Other versions of the Go driver.
        $header = '{"auto_ack":false,"driver":"amqp","headers":{"tenant":["a","b"]},"id":"' . self::ID
            . '","job":"ProcessOrder","pipeline":"azure-queue","priority":7,"queue":"azure-queue","timeout":60}';
        $peer->publish($queue->getName(), '{"body":{"a":"<b>"},"header":' . $header . '}', [], ['tenant' => 'a', 'other' => 'o']);
        $peer->close();
        $consumer = $this->consumer($queue);
        foreach (['{"a":"<b>"}', ['a' => '<b>']] as $payload) {
            $task = $this->next($consumer);
            self::assertSame(['amqp1', self::ID, 'ProcessOrder'], [$task->getFormat(), $task->getId(), $task->getName()]);
            self::assertSame($payload, $task->getPayload());
            self::assertSame('{"a":"<b>"}', $task->getBody());
            self::assertSame(['tenant' => ['a', 'b'], 'other' => ['o']], $task->getHeaders());
            self::assertSame(['azure-queue', 7, 1], [$task->getPipeline(), $task->getPriority(), $task->getAttempts()]);
            $task->ack();
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testPhpAmqplibsMessagesAreJobs(string $broker): void
    {
        $queue = $this->queue($broker, ['priority' => 8]);
        $queue->setup();
        $peer = new AmqpLib($this->broker($broker));
        $peer->publish($queue->getName(), "bare \xff");
        $peer->publish($queue->getName(), '{"orderId":12345}', ['content_type' => 'application/octet-stream', 'delivery_mode' => 2], [
            'rr_id' => self::ID,
            'rr_job' => 'ProcessOrder',
            'rr_pipeline' => 'there',
            'rr_headers' => '{"tenant-id":["company-a"],"tags":["x","y"]}',
            'rr_delay' => 3,
            'rr_priority' => 10,
            'rr_auto_ack' => false,
        ]);
        $peer->close();
        $consumer = $this->consumer($queue);

        $task = $this->next($consumer);
        self::assertSame(['raw', 'deduced_by_rr', "bare \xff"], [$task->getFormat(), $task->getName(), $task->getPayload()]);
        self::assertSame(8, $task->getPriority());
        $task->ack();

        $task = $this->next($consumer);
        self::assertSame(['roadrunner', self::ID, 'ProcessOrder'], [$task->getFormat(), $task->getId(), $task->getName()]);
        self::assertSame('{"orderId":12345}', $task->getPayload());
        self::assertSame(['tenant-id' => ['company-a'], 'tags' => ['x', 'y']], $task->getHeaders());
        self::assertSame(['there', 10, 3], [$task->getPipeline(), $task->getPriority(), (int) $task->getDelay()]);
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAForeignMessageFailsAndComesBackAsItWas(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->setup();
        $peer = new AmqpLib($this->broker($broker));
        $properties = [
            'content_type' => 'text/x-theirs',
            'content_encoding' => 'theirs',
            'correlation_id' => 'not a UUID',
            'message_id' => 'their-id',
            'reply_to' => 'their-queue',
            'type' => 'their-type',
            'timestamp' => 1700000000,
            'priority' => 3,
            'delivery_mode' => 2,
            'app_id' => 'their-app',
        ];
        $headers = ['int' => 5, 'long' => 1 << 40, 'yes' => true, 'text' => 'ü', 'x-their' => 'annotation'];
        $peer->publish($queue->getName(), "\xff\x00", $properties, $headers);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack('no', false);
        $consumer->close();

        $failed = $this->consumer($queue->failed());
        $task = $this->next($failed);
        self::assertSame(['raw', 'their-id', 'no'], [$task->getFormat(), $task->getId(), $task->getFailure()['error']]);
        $task->release(0, []);
        $failed->close();
        self::assertSame(1, $queue->retryFailed());
        $message = $peer->get($queue->getName());
        $read = $message->get_properties();
        $read['application_headers'] = AmqpLib::headers($message);
        ksort($headers);
        ksort($read['application_headers']);
        foreach ($properties as $name => $value) {
            self::assertSame($value, $read[$name] ?? null, $name);
        }
        self::assertSame($headers, $read['application_headers']);
        self::assertSame("\xff\x00", $message->body);
        $peer->close();
    }
}
