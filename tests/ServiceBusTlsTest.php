<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Jobs;
use Amqp1\Tests\Support\Certificates;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;

/** Service Bus over TLS, with a private certificate authority. */
final class ServiceBusTlsTest extends ContractTestCase
{
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
        $jobs = new Jobs($config);
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
}
