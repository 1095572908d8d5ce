<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use Amqp1\SymfonyMessenger\Connection;
use Amqp1\SymfonyMessenger\Options;
use Amqp1\SymfonyMessenger\Stamp\Amqp1Stamp;
use Amqp1\SymfonyMessenger\TransportFactory;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Messenger\Exception\InvalidArgumentException;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;

/** DSNs and options, and what Symfony's users are told of wrong ones. */
final class OptionsTest extends TestCase
{
    private const CONNECTION_STRING = 'Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=r;SharedAccessKey=a2V5';

    public function testTheFactorySupportsItsSchemesOnly(): void
    {
        $factory = new TransportFactory();
        foreach (['amqp1://h', 'amqp1s://u:p@h:5671/v?prefetch=1', 'embedded://', 'sb://ns.servicebus.windows.net/', self::CONNECTION_STRING, 'SharedAccessKey=a2V5;Endpoint=sb://x/'] as $dsn) {
            self::assertTrue($factory->supports($dsn, []), $dsn);
        }
        // Those are of Symfony's own transports.
        foreach (['amqp://h', 'amqps://h', 'doctrine://default', 'redis://h?Endpoint=sb', 'in-memory://', 'sqs://x', ''] as $dsn) {
            self::assertFalse($factory->supports($dsn, []), $dsn);
        }
    }

    public function testOptionsOfDsnAndConfiguration(): void
    {
        $options = Options::from('amqp1://h/v?prefetch=5&queue=orders&wait=1.5&tls.root_ca=x&auto_setup=false&retry=broker&consumer.priority=3', [
            'transport_name' => 'async', 'timeout' => 7, 'wait' => 2, 'max_attempts' => null,
        ]);

        self::assertSame('amqp1://h/v?prefetch=5&tls.root_ca=x', $options->dsn);
        self::assertSame(['orders' => ['timeout' => 7, 'max_attempts' => null, 'declare' => false]], $options->queues);
        self::assertSame([2.0, 'broker', 'failed', ['priority' => '3']], [$options->wait, $options->retry, $options->reject, $options->consumer]);
    }

    public function testOptionsOfTheConsumerInADsn(): void
    {
        self::assertSame(['priority' => '5', 'prefetch' => '9'], Options::from('embedded://?consumer.priority=5&consumer[prefetch]=9', [])->consumer);
    }

    public function testQueues(): void
    {
        $names = static fn (string $dsn, array $options = []) => (new Connection(Options::from($dsn, $options)))->names();

        self::assertSame(['messages'], $names('embedded://'));
        self::assertSame(['a', 'b'], $names('embedded://?queues=a,b'));
        self::assertSame(['a', 'b'], $names('embedded://', ['queues' => ['a', 'b']]));
        self::assertSame(['a', 'b'], $names('embedded://', ['queues' => ['a' => ['prefetch' => 3], 'b' => null]]));
        self::assertSame(['messages'], $names(self::CONNECTION_STRING));
        self::assertSame(['orders'], $names(self::CONNECTION_STRING . ';EntityPath=orders'));
        self::assertSame(['topic/Subscriptions/all'], $names(self::CONNECTION_STRING, ['queue' => 'topic/Subscriptions/all']));
        $options = Options::from('embedded://', ['prefetch' => 9, 'queues' => ['a' => ['prefetch' => 3], 'b' => []]]);
        self::assertSame(['a' => ['prefetch' => 3], 'b' => ['prefetch' => 9]], $options->queues);
    }

    /** @return array<string, array{string, array<string, mixed>, string}> */
    public static function wrong(): array
    {
        return [
            'unknown' => ['embedded://', ['prefetsh' => 1], 'Unknown option found in the options: [prefetsh]. Allowed options are [arguments, auto_setup, backoff, bindings, '],
            'unknown in the DSN' => ['embedded://?prefetsh=1', [], 'Unknown option found in the DSN: [prefetsh]. Allowed options are ['],
            'unknown of a queue' => ['embedded://', ['queues' => ['a' => ['wait' => 1]]], 'Unknown option found in the options of queue "a": [wait]. Allowed'],
            'unknown of the consumer' => ['embedded://', ['consumer' => ['queue' => 1]], 'Unknown option found in the option "consumer": [queue]. Allowed options are [auto_ack, '],
            'value' => ['embedded://', ['prefetch' => 'ten'], "option 'prefetch': expected an int from 1 to 65535, got string 'ten'"],
            'value in the DSN' => ['embedded://?prefetch=ten', [], 'prefetch'],
            'value of the consumer' => ['embedded://', ['consumer' => ['prefetch' => 0]], "prefetch"],
            'host' => ['amqp1://', [], 'host'],
            'retry' => ['embedded://', ['retry' => 'never'], 'Option "retry" must be one of "messenger", "broker", got "never".'],
            'reject' => ['embedded://', ['reject' => true], 'Option "reject" must be one of "discard", "failed", "dead-letter", got bool.'],
            'wait' => ['embedded://?wait=-1', [], 'Option "wait" must be a number of seconds, 0 or more.'],
            'a wait without end' => ['embedded://', ['wait' => INF], 'Option "wait" must be a number of seconds, 0 or more.'],
            'a wait that is no number' => ['embedded://', ['wait' => NAN], 'Option "wait" must be a number of seconds, 0 or more.'],
            'queue' => ['embedded://', ['queue' => ['a']], 'Option "queue" must be the name of a queue, got array.'],
            'an empty queue' => ['embedded://?queue=', [], 'Option "queue" must be the name of a queue, got an empty string.'],
            'a consumer that is no array' => ['embedded://?consumer=5', [], 'expected consumer.NAME=VALUE'],
            'auto_setup' => ['embedded://?auto_setup=perhaps', [], 'Option "auto_setup" must be true or false, got "perhaps".'],
            'two queues' => ['embedded://', ['queue' => 'a', 'queues' => ['b']], 'Set one of the options "queue" and "queues".'],
            'no queues' => ['embedded://', ['queues' => []], 'Option "queues" must be a list of names'],
            'two of the same' => ['embedded://', ['auto_setup' => true, 'declare' => true], 'Set one of the options "auto_setup" and "declare"'],
        ];
    }

    /**
     * @dataProvider wrong
     *
     * @param array<string, mixed> $options
     */
    #[DataProvider('wrong')]
    public function testAWrongOptionIsRefusedAtOnce(string $dsn, array $options, string $message): void
    {
        $this->expectException(InvalidArgumentException::class);
        $this->expectExceptionMessage($message);
        (new TransportFactory())->createTransport($dsn, $options, new PhpSerializer());
    }

    public function testNoMessageHasASecret(): void
    {
        try {
            (new TransportFactory())->createTransport('amqp1://user:geheim@host/?prefetch=ten', [], new PhpSerializer());
            self::fail('no exception');
        } catch (InvalidArgumentException $e) {
            self::assertStringNotContainsString('geheim', (string) $e);
        }
    }

    /** @return array<string, array{string}> DSNs whose password, which ends in "geheim", is not encoded */
    public static function rawPasswords(): array
    {
        return [
            'as a name' => ['amqp1://user:a?geheim@host'],
            'in a pair' => ['amqp1://user:a?b=c&geheim&d@host'],
            'as an option' => ['amqp1://user:a?geheim=b@host/'],
        ];
    }

    /** @dataProvider rawPasswords */
    #[DataProvider('rawPasswords')]
    public function testARawQuestionMarkInAPasswordDoesNotShowTheRest(string $dsn): void
    {
        try {
            (new TransportFactory())->createTransport($dsn, [], new PhpSerializer());
            self::fail('no exception');
        } catch (InvalidArgumentException $e) {
            self::assertStringContainsString('percent-encode', $e->getMessage());
            self::assertStringNotContainsString('geheim', (string) $e);
        }
    }

    public function testADumpOfATransportHasNoSecret(): void
    {
        $transport = (new TransportFactory())->createTransport('amqp1://user:geheim@host', ['queue' => 'orders'], new PhpSerializer());
        ob_start();
        var_dump($transport);
        print_r($transport);
        $dump = (string) ob_get_clean();

        self::assertStringContainsString('orders', $dump);
        self::assertStringNotContainsString('geheim', $dump);
    }

    public function testAnUnknownPropertyIsRefused(): void
    {
        $this->expectException(InvalidArgumentException::class);
        $this->expectExceptionMessage('Unknown property found: [app_id]. Allowed properties are [content_encoding, ');
        new Amqp1Stamp(properties: ['app_id' => 'x']);
    }

    /** Every option of the extension can be set, and no other. */
    public function testTheOptionsAreTheExtensions(): void
    {
        $stubs = dirname(__DIR__, 3) . '/php-stubs';
        self::assertSame(self::shape("$stubs/AmqpQueue.stub.php", '} $options Left out of traces.'), Options::QUEUE);
        self::assertSame(self::shape("$stubs/Consumer.stub.php", '} $options'), Options::CONSUMER);
    }

    /** @return list<string> */
    private static function shape(string $file, string $end): array
    {
        $text = (string) file_get_contents($file);
        $text = substr($text, 0, (int) strpos($text, $end));
        $text = substr($text, (int) strrpos($text, '@param array{'));
        preg_match_all('/^     \*     (\w+)\?:/m', $text, $names);
        sort($names[1]);

        return $names[1];
    }
}
