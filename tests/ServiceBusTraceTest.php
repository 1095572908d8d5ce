<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\OpenTelemetry\Tracing;
use Amqp1\Task;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\OpenTelemetry\Receiver;
use Amqp1\Tests\Support\OpenTelemetry\Recorder;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\SdkPeer;
use PHPUnit\Framework\Attributes\DataProvider;

/** Microsoft's SDKs for Service Bus link their spans to the push of a job, and the extension's spans follow theirs. */
final class ServiceBusTraceTest extends ContractTestCase
{
    protected function setUp(): void
    {
        SdkPeer::orSkip();
    }

    /** @return array<string, array{string}> */
    public static function sdks(): array
    {
        return ['Python' => [SdkPeer::PYTHON], 'JavaScript' => [SdkPeer::JAVASCRIPT]];
    }

    /** @dataProvider sdks */
    #[DataProvider('sdks')]
    public function testATraceGoesOnInTheSdkAndComesBack(string $sdk): void
    {
        $broker = ProgramBroker::serviceBus([]);
        $peer = new SdkPeer($sdk, $broker->connectionString());
        $recorder = new Recorder();
        $tracing = new Tracing([], $recorder->tracers, $recorder->meters, $recorder->propagator);
        $queue = new AmqpQueue($broker->connectionString(), 'q', ['observer' => $tracing, 'max_attempts' => 2, 'backoff' => [0.1], 'timeout' => 20]);
        $queue->push('Order', ['n' => 1]);
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        foreach ([1, 2] as $_) {
            $task = $this->next($consumer);
            $tracing->process($task, static fn (Task $task) => $task->nack('no'));
        }
        $consumer->close();
        self::assertSame(1, $queue->retryFailed());
        $got = $peer->receiveOne($queue->getName());
        $send = $recorder->spans()[0];
        self::assertSame("send {$queue->getName()}", $send->name);
        $expected = "00-$send->trace-$send->id-01";
        self::assertSame([$expected, ['string', $expected], ['string', $expected]],
            [$got['trace'], $got['properties']['traceparent'], $got['properties']['Diagnostic-Id']]);
        foreach ($recorder->spans() as $span) {
            self::assertTrue($span->trace === $send->trace || in_array($send->id, $span->links, true), $recorder->tree());
        }

        // The SDKs send Diagnostic-Id, and the one for Python sends traceparent, too; both as a binary.
        $theirs = '00-' . str_repeat('a', 32) . '-' . str_repeat('b', 16) . '-01';
        $value = $sdk === SdkPeer::PYTHON ? ['bytes', base64_encode($theirs)] : ['string', $theirs];
        $peer->send($queue->getName(), ['body' => ['bytes', base64_encode('x')], 'properties' => ['Diagnostic-Id' => $value]]);
        $consumer = $this->consumer($queue);
        $tracing->process($this->next($consumer), static fn (Task $task) => $task->ack());
        $processed = array_values(array_filter($recorder->spans(), static fn ($span) => str_starts_with($span->name, 'process ')));
        self::assertSame([str_repeat('a', 32), str_repeat('b', 16)], [end($processed)->trace, end($processed)->parent]);
    }

    /** What a collector gets of a consumer in JavaScript, and of the jobs that this one pushes in turn. */
    public function testTheSpansThatTheSdkExportsBelongToThePushAndAreTheParentsOfWhatFollows(): void
    {
        $broker = ProgramBroker::serviceBus([]);
        $receiver = new Receiver();
        $peer = new SdkPeer(SdkPeer::JAVASCRIPT, $broker->connectionString(), ['OTEL_EXPORTER_OTLP_ENDPOINT' => $receiver->endpoint]);
        $recorder = new Recorder($receiver->endpoint);
        $tracing = new Tracing([], $recorder->tracers, $recorder->meters, $recorder->propagator);
        $queue = new AmqpQueue($broker->connectionString(), 'q', ['observer' => $tracing, 'timeout' => 20]);
        $queue->push('Order', ['n' => 1]);
        [$send] = $recorder->spans();
        $peer->receiveOne('q');

        $exported = array_column($receiver->spans(), null, 'scope');
        self::assertSame(['@azure/service-bus', 'peer'], array_intersect(['@azure/service-bus', 'peer'], array_keys($exported)), implode("\n", $receiver->lines()));
        // The SDK links, and an application can go on below the push.
        $linked = [];
        foreach ($receiver->spans() as ['span' => $span]) {
            foreach ($span['links'] ?? [] as $link) {
                $linked[$span['name']][] = [$link['traceId'], $link['spanId']];
            }
        }
        ksort($linked); // they are exported side by side
        $toThePush = [[$send->trace, $send->id]];
        self::assertSame(['BatchingReceiverLite.process' => $toThePush, 'ServicebusReceiver.complete' => $toThePush], $linked);
        $handled = $exported['peer']['span'];
        self::assertSame(['handle Order', $send->trace, $send->id, 5], [$handled['name'], $handled['traceId'], $handled['parentSpanId'], $handled['kind']]);

        $before = count($receiver->spans());
        $peer->send('q', ['body' => ['bytes', base64_encode('x')]]);
        $consumer = $this->consumer($queue);
        $tracing->process($this->next($consumer), static fn (Task $task) => $task->ack());
        $processed = array_values(array_filter($recorder->spans(), static fn ($span) => str_starts_with($span->name, 'process ')));
        $sent = array_column(array_column(array_slice($receiver->spans(), $before), 'span'), null, 'spanId');
        self::assertArrayHasKey((string) $processed[0]->parent, $sent, implode("\n", $receiver->lines()));
        self::assertSame($sent[$processed[0]->parent]['traceId'], $processed[0]->trace);
        if (Recorder::sdk() !== null) {
            // With PHP's own SDK, the collector has the whole trace.
            $ids = array_column(array_column($receiver->spans(), 'span'), 'spanId');
            self::assertSame([], array_diff(array_map(static fn ($span) => $span->id, $recorder->spans()), $ids));
        }
        if (getenv('AMQP1_REPORT')) {
            fwrite(STDERR, "\n" . implode("\n", $receiver->lines()) . "\n" . $recorder->tree());
        }
    }
}
