<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Certificates;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\ServiceBusSdk;
use PHPUnit\Framework\Attributes\DataProvider;

/** The extension and Microsoft's SDKs exchange messages, both ways, over amqp1-broker's dialect of Service Bus. */
final class ServiceBusInteropTest extends ContractTestCase
{
    private static ?ProgramBroker $broker = null;

    /** @return array<string, array{string}> */
    public static function sdks(): array
    {
        return ServiceBusSdk::both();
    }

    private function dsn(): string
    {
        self::$broker ??= ProgramBroker::serviceBus(['--session-queue', 'sessions-python', '--session-queue', 'sessions-javascript']);

        return self::$broker->connectionString();
    }

    private function sdk(string $language): ServiceBusSdk
    {
        return new ServiceBusSdk($language, $this->dsn());
    }

    private function fresh(): AmqpQueue
    {
        return new AmqpQueue($this->dsn(), 'q-' . bin2hex(random_bytes(6)), ['timeout' => 20]);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testWhatWePushTheSdkReceives(string $language): void
    {
        $queue = $this->fresh();
        $queue->push('ProcessOrder', ['orderId' => 12345], ['id' => 'job-1', 'trace_id' => 'trace-1', 'ttl' => 3600,
            'headers' => ['tenant-id' => 'company-a', 'retries' => 3, 'rate' => 0.5, 'urgent' => true]]);
        $queue->pushMany([['name' => 'Text', 'payload' => 'plain ü'],
            ['name' => 'Json', 'payload' => ['a' => [1, 2]], 'options' => ['headers' => ['n' => 'two']]]]);
        [$order, $text, $json] = $this->sdk($language)->receive($queue->getName(), 3);

        self::assertSame('{"orderId":12345}', self::compact($order['body']));
        self::assertSame(['job-1', 'ProcessOrder', 'application/json', 'trace-1'],
            [$order['id'], $order['subject'], $order['content_type'], $order['correlation_id']]);
        self::assertEqualsWithDelta(3600, $order['ttl'], 5);
        self::assertNull($order['session_id']);
        $properties = $order['properties'];
        self::assertSame(['company-a', 3, 0.5, true],
            [$properties['tenant-id'], $properties['retries'], $properties['rate'], $properties['urgent']]);
        self::assertSame(['ProcessOrder', 'job-1'], [$properties['rr_job'], $properties['rr_id']]);
        self::assertSame(['plain ü', 'Text', 'application/octet-stream'], [$text['body'], $text['subject'], $text['content_type']]);
        self::assertSame(['Json', 'two', '{"a":[1,2]}'], [$json['subject'], $json['properties']['n'], self::compact($json['body'])]);
        self::assertCount(0, $queue);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testDelaysAndDeadLettersAreTheSdksOwn(string $language): void
    {
        $queue = $this->fresh();
        $queue->push('Later', 'x', ['delay' => 3600]);
        $queue->schedule('Later', 'y', 7200, ['id' => 'scheduled']);
        $seen = $this->sdk($language)->peek($queue->getName(), 2);
        self::assertEqualsWithDelta(time() + 3600, $seen[0]['scheduled'], 20);
        self::assertEqualsWithDelta(time() + 7200, $seen[1]['scheduled'], 20);
        self::assertSame('scheduled', $seen[1]['id']);

        $queue->push('Bad');
        $task = $this->next($this->consumer($queue));
        $task->deadLetter('unfit', 'it is not fit');
        [$dead] = $this->sdk($language)->receive($queue->getName() . '/$DeadLetterQueue');
        self::assertSame(['unfit', 'it is not fit', 'Bad'], [$dead['reason'], $dead['description'], $dead['subject']]);
        self::assertSame($queue->getName(), $dead['properties']['rr_failed_queue']);
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testSessionsAndPartitionKeysAreTheSdksOwn(string $language): void
    {
        $queue = new AmqpQueue($this->dsn(), "sessions-$language", ['timeout' => 20]);
        $queue->pushMany([['name' => '1'], ['name' => '2']], ['group' => 's-1', 'partition_key' => 's-1']);
        $messages = $this->sdk($language)->receive("sessions-$language", 2, 's-1');
        self::assertSame(['1', '2'], array_column($messages, 'subject'));
        self::assertSame([['s-1', 's-1'], ['s-1', 's-1']],
            array_map(static fn ($m) => [$m['session_id'], $m['partition_key']], $messages));

        $session = $language === 'python' ? 'session_id' : 'sessionId';
        $this->sdk($language)->send("sessions-$language", ['body' => 'of the sdk', 'subject' => 'In', $session => 's-2']);
        $consumer = $this->consumer($queue, ['session' => true]);
        $task = $this->next($consumer);
        self::assertSame(['In', 'of the sdk', 's-2'], [$task->getName(), $task->getBody(), $consumer->getSession()]);
        $task->ack();
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testWhatTheSdkSendsWeConsume(string $language): void
    {
        $queue = $this->fresh();
        $names = $language === 'python'
            ? ['message_id', 'correlation_id', 'content_type', 'application_properties']
            : ['messageId', 'correlationId', 'contentType', 'applicationProperties'];
        $this->sdk($language)->send($queue->getName(), ['body' => '{"id": 5}', 'subject' => 'Foreign', 'delay' => 1,
            $names[0] => 'their-id', $names[1] => 'their-trace', $names[2] => 'application/json',
            $names[3] => ['tenant' => 'b', 'count' => 2]]);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        self::assertSame(['Foreign', 'their-id', 'their-trace', 1],
            [$task->getName(), $task->getId(), $task->getTraceId(), $task->getAttempts()]);
        self::assertSame(['tenant' => ['b'], 'count' => ['2']], $task->getHeaders());
        self::assertStringContainsString('5', $task->getBody());
        $task->nack('not yet', true);
        $again = $this->next($consumer);
        self::assertSame(['their-id', 2], [$again->getId(), $again->getAttempts()]);
        // A copy has another message-id: the job's own stays.
        $again->release(1, ['added' => 'yes']);
        $copy = $this->next($consumer);
        self::assertSame(['their-id', 3, 'yes'], [$copy->getId(), $copy->getAttempts(), $copy->getHeaderLine('added')]);
        $copy->ack();
        self::assertCount(0, $queue);
    }

    public function testTheSeedsAddressWithTlsAndAPrivateCa(): void
    {
        $pair = Certificates::pair('server');
        $broker = ProgramBroker::serviceBus(['--tls-cert', $pair['cert'], '--tls-key', $pair['key'], '--access-rule',
            'RootManageSharedAccessKey:YOUR/KEY+=']);
        $port = explode(':', $broker->address())[1];
        $key = rawurlencode('YOUR/KEY+=');
        $config = [
            'amqp1' => [
                'addr' => "amqps://RootManageSharedAccessKey:$key@localhost:$port/",
                'container_id' => 'roadrunner-jobs-azure',
                'dialect' => 'servicebus',
                'tls' => ['root_ca' => Certificates::path('ca.pem')],
            ],
            'jobs' => [
                'consume' => ['azure-queue'],
                'pipelines' => ['azure-queue' => ['driver' => 'amqp1', 'config' => [
                    'queue' => 'test-queue', 'prefetch' => 10, 'priority' => 1, 'durable' => false, 'exclusive' => false,
                ]]],
            ],
        ];
        $jobs = new \Amqp1\Jobs($config);
        $jobs->create('azure-queue')->push('App\\Mail', ['to' => 'a'], ['delay' => 1]);
        $task = $this->next($this->consumer($jobs->create('azure-queue')));
        self::assertSame(['App\\Mail', ['to' => 'a']], [$task->getName(), $task->getPayload()]);
        $task->ack();

        // The same with tokens in place of SASL PLAIN.
        $string = "Endpoint=sb://localhost:$port/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=YOUR/KEY+=";
        $queue = new AmqpQueue($string, 'test-queue', ['tls' => ['root_ca' => Certificates::path('ca.pem')], 'timeout' => 20]);
        self::assertSame('servicebus', $queue->getBroker()['dialect']);
        self::assertCount(0, $queue);
        $broker->stop();
    }

    private static function compact(string $json): string
    {
        return str_replace([' ', "\n"], '', $json);
    }
}
