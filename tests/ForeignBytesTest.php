<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use Amqp1\Tests\Support\RawSender;
use PHPUnit\Framework\Attributes\DataProvider;

/** Messages of AMQP 0-9-1 clients, whose text fields may contain any bytes, often raw UUIDs. */
final class ForeignBytesTest extends ContractTestCase
{
    /** A UUID as 16 bytes, which are not UTF-8. */
    private const UUID = "\xf4\x7a\xc1\x0b\x58\xcc\x43\x72\xa5\x67\x0e\x02\xb2\xc3\xd4\x79";

    /**
     * Each field that a 0-9-1 client can set: php-amqp's name of the attribute, and how php-amqp reads it.
     *
     * @return array<string, array{string, string, callable(\AMQPEnvelope): mixed}>
     */
    public static function fields(): array
    {
        $fields = [
            'correlation_id' => static fn ($message) => $message->getCorrelationId(),
            'message_id' => static fn ($message) => $message->getMessageId(),
            'content_type' => static fn ($message) => $message->getContentType(),
            'content_encoding' => static fn ($message) => $message->getContentEncoding(),
            'type' => static fn ($message) => $message->getType(),
            'app_id' => static fn ($message) => $message->getAppId(),
            'header' => static fn ($message) => $message->getHeaders()['binary'] ?? null,
            'header name' => static fn ($message) => $message->getHeaders()[self::UUID] ?? null,
        ];
        $sets = [];
        foreach (self::everyRabbitMq() as $broker => [$name]) {
            foreach ($fields as $field => $read) {
                // RabbitMQ 3 passes on neither headers nor these two, whatever their bytes are.
                if ($name !== 'rabbitmq-3.10' || !in_array($field, ['header', 'header name', 'type', 'app_id'], true)) {
                    $sets["$field, $broker"] = [$name, $field, $read];
                }
            }
        }

        return $sets;
    }

    /** @dataProvider fields */
    #[DataProvider('fields')]
    public function testATextFieldOfAnyBytesTravelsOnAsItCame(string $broker, string $field, callable $read): void
    {
        $queue = $this->declared($this->typed($broker, 'classic', ['backoff' => 0, 'max_attempts' => 0]));
        $peer = $this->foreign($broker, $queue, $field);
        $expected = $read($peer->get($queue->getName()));
        self::assertSame($field === 'header name' ? 'value' : self::UUID, $expected, 'the broker keeps it');

        // Copies made by release(), by a retry, by the move to the failed queue, and by the move back.
        foreach ([
            static fn ($task) => $task->release(0, ['seen' => '1']),
            static fn ($task) => $task->nack('again'),
            static fn ($task) => $task->nack('no', false),
        ] as $settle) {
            $this->foreign($broker, $queue, $field);
            $task = $queue->reserve(10);
            self::assertNotNull($task, 'it is consumed');
            self::assertSame('the body', $task->getBody());
            $settle($task);
            if ($task->getOutcome() === 'dead_lettered') {
                $failed = $queue->failed()->reserve(10);
                self::assertSame('the body', $failed->getBody());
                $failed->release();
                $this->eventually(static fn () => $queue->retryFailed() === 1, 'it goes back');
            }
            $message = $peer->get($queue->getName());
            self::assertSame('the body', $message->getBody());
            self::assertSame(bin2hex($expected), bin2hex((string) $read($message)));
            if ($broker !== 'rabbitmq-3.10') {
                self::assertSame('a', $message->getHeaders()['tenant']);
            }
        }
    }

    /** @dataProvider everyRabbitMq */
    #[DataProvider('everyRabbitMq')]
    public function testIdsAreTheBytesThatCame(string $broker): void
    {
        $queue = $this->declared($this->typed($broker, 'classic'));
        (new Peer($this->broker($broker)))->publish($queue->getName(), 'the body', [
            'message_id' => self::UUID, 'correlation_id' => strrev(self::UUID), 'delivery_mode' => 2,
        ]);
        $task = $queue->reserve(10);

        self::assertSame(bin2hex(self::UUID), bin2hex($task->getId()));
        self::assertSame(bin2hex(strrev(self::UUID)), bin2hex($task->getTraceId()));
        $task->nack('no', false);
        self::assertSame(0, $queue->retryFailed(null, [strrev(self::UUID)]));
        self::assertSame(1, $queue->retryFailed(null, [self::UUID]), 'by its id');
        $task = $queue->reserve(10);
        self::assertSame(bin2hex(self::UUID), bin2hex($task->getId()));
        $task->ack();
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testBinaryHeadersStayDifferent(string $broker): void
    {
        $queue = $this->declared($this->typed($broker, 'classic'));
        $peer = new Peer($this->broker($broker));
        $values = ["\x00\xff\xfe\x01", "\x00\xfd\xfc\x01"];
        foreach ($values as $value) {
            $peer->publish($queue->getName(), 'body', ['headers' => ['pathway-context' => $value, self::UUID => 'x']]);
        }
        foreach ($values as $value) {
            $task = $queue->reserve(10);
            self::assertSame(bin2hex($value), bin2hex($task->getHeaderLine('pathway-context')));
            self::assertSame([$value], $task->getHeader('Pathway-Context'));
            self::assertSame(['x'], $task->getHeaders()[self::UUID]);
            self::assertSame('x', $task->getHeaderLine(self::UUID));
            self::assertTrue($task->hasHeader(self::UUID));
            $task->ack();
        }
    }

    /** @return array<string, array{string}> Brokers that speak plain AMQP 1.0 and know the raw sender's address. */
    public static function plain(): array
    {
        return array_filter(self::fullyFeatured(), static fn ($set) => !in_array($set[0], ['servicebus', 'artemis'], true))
            ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider plain */
    #[DataProvider('plain')]
    public function testBinaryValuesOfAMapAreTheBytesThatCame(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $list = RawSender::list(["\x80\xff\xff\xff\xff\xff\xff\xff\xff", "\x55\x07", "\x41", "\x40", RawSender::symbol('s')]);
        $map = RawSender::map([
            RawSender::string('binary'), RawSender::binary("\x00\xff"),
            RawSender::string('other'), RawSender::binary("\x00\xfe"),
            RawSender::string('12'), RawSender::string('text'),
            RawSender::binary(self::UUID), $list,
            RawSender::string('map'), RawSender::map([]),
        ]);
        RawSender::send($this->broker($broker), $queue->getName(), RawSender::section(0x77, $map));
        $expected = [
            'binary' => "\x00\xff", 'other' => "\x00\xfe", 12 => 'text', self::UUID => [18446744073709551615.0, 7, true, null, 's'],
            'map' => [],
        ];

        $task = $queue->reserve(10);
        self::assertSame($expected, $task->getPayload());
        // As far as JSON can express it: its strings contain the bytes.
        self::assertStringContainsString('"binary":"\u0000' . "\xff" . '"', $task->getBody());
        $task->release(0, ['new' => 'x']);
        $task = $queue->reserve(10);
        self::assertSame($expected, $task->getPayload(), 'of a copy');
        $task->ack();
    }

    /** @dataProvider plain */
    #[DataProvider('plain')]
    public function testASequenceIsItsItems(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $sequence = static fn (string ...$items) => RawSender::section(0x76, RawSender::list($items));
        RawSender::send($this->broker($broker), $queue->getName(), $sequence("\x55\x01", "\x55\x02"));
        RawSender::send($this->broker($broker), $queue->getName(), $sequence("\x55\x01") . $sequence("\x55\x02", RawSender::string('3')));

        foreach ([[1, 2], [1, 2, '3']] as $expected) {
            $task = $queue->reserve(10);
            self::assertSame($expected, $task->getPayload());
            self::assertSame(json_encode($expected), $task->getBody());
            self::assertMatchesRegularExpression('/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/', $task->getId(), 'it had none');
            $task->ack();
        }
    }

    /** @dataProvider plain */
    #[DataProvider('plain')]
    public function testAMessageThatIsSetAsideComesBackAsItWas(string $broker): void
    {
        $queue = $this->declared($this->queue($broker));
        $nested = "\x45";
        for ($level = 0; $level < 100; $level++) {
            $nested = RawSender::list([$nested]);
        }
        $body = RawSender::section(0x77, $nested);
        $properties = RawSender::section(0x73, RawSender::list([RawSender::binary(self::UUID)]));
        $headers = RawSender::section(0x74, RawSender::map([RawSender::string('tenant'), RawSender::binary("\xff")]));
        RawSender::send($this->broker($broker), $queue->getName(), $properties . $headers . $body);

        // Back in the queue, it is still not a job.
        foreach (['as it came', 'when it has come back'] as $time) {
            self::assertNull($queue->reserve(1), $time);
            $failed = $queue->failed()->reserve(10);
            self::assertSame('poison', $failed->getFailure()['reason']);
            self::assertStringContainsString('nested too deeply', $failed->getFailure()['error']);
            self::assertSame([bin2hex(self::UUID), ['tenant' => ["\xff"]]], [bin2hex($failed->getId()), $failed->getHeaders()], $time);
            self::assertSame(bin2hex($body), bin2hex($failed->getBody()), $time);
            $failed->release();
            $this->eventually(static fn () => $queue->retryFailed() === 1, 'it goes back');
        }
    }

    private function foreign(string $broker, AmqpQueue $queue, string $field): Peer
    {
        $attributes = ['headers' => ['tenant' => 'a'], 'delivery_mode' => 2];
        match ($field) {
            'header' => $attributes['headers']['binary'] = self::UUID,
            'header name' => $attributes['headers'][self::UUID] = 'value',
            default => $attributes[$field] = self::UUID,
        };
        $peer = new Peer($this->broker($broker));
        $peer->publish($queue->getName(), 'the body', $attributes);

        return $peer;
    }
}
