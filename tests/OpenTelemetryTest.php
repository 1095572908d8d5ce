<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\OpenTelemetry\Options;
use Amqp1\OpenTelemetry\Tracing;
use Amqp1\Task;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\OpenTelemetry\RecordedSpan;
use Amqp1\Tests\Support\OpenTelemetry\Recorder;
use Amqp1\Tests\Support\RecordingObserver;
use Amqp1\Tests\Support\Sockets;
use Amqp1\Worker;
use OpenTelemetry\API\Globals;
use OpenTelemetry\API\Trace\SpanKind;
use PHPUnit\Framework\Attributes\DataProvider;

use function Amqp1\setObserver;

/** amqp1/opentelemetry: one trace from a push to the end of its job, by OpenTelemetry's conventions. See Recorder for the real SDK. */
final class OpenTelemetryTest extends ContractTestCase
{
    private Recorder $recorder;

    protected function setUp(): void
    {
        $this->recorder = new Recorder();
    }

    protected function tearDown(): void
    {
        setObserver(null);
        parent::tearDown();
    }

    private function tracing(Options|array $options = []): Tracing
    {
        return new Tracing($options, $this->recorder->tracers, $this->recorder->meters, $this->recorder->propagator);
    }

    /** @return list<RecordedSpan> those whose name begins so */
    private function spans(string $name = ''): array
    {
        return array_values(array_filter($this->recorder->spans(), static fn (RecordedSpan $span) => str_starts_with($span->name, $name)));
    }

    private function span(string $name): RecordedSpan
    {
        $spans = $this->spans("$name ");
        self::assertCount(1, $spans, "$name in:\n" . $this->recorder->tree());

        return $spans[0];
    }

    /** Works until the queue is empty. */
    private function work(AmqpQueue $queue, Tracing $tracing, callable $handler): void
    {
        $worker = new Worker($queue, ['*' => $handler], ['stopWhenEmpty' => true, 'reserveTimeout' => 2, 'prefetch' => 1],
            new class {
                public function log(mixed $level, string $message, array $context = []): void
                {
                }
            });
        $worker->middleware($tracing)->run();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOneTraceFromThePushThroughRetriesAndTheFailedQueueToTheReplay(string $broker): void
    {
        $tracing = $this->tracing();
        setObserver($tracing);
        $queue = $this->queue($broker, ['max_attempts' => 2, 'backoff' => $this->pause($broker, 0.1)]);
        $id = $queue->push('Order', ['n' => 1], ['trace_id' => $conversation = '7b3f9c2a-e41d-4f88-9b2a-1c0d5e6f7a8b']);
        $this->work($queue, $tracing, static fn () => throw new \DomainException('no'));
        $this->eventually(static fn () => $queue->retryFailed() === 1, 'the job is in the failed queue');
        $this->work($queue, $tracing, static fn (Task $task) => null);

        $send = $this->span('send');
        $tree = $this->recorder->tree();
        self::assertSame([SpanKind::KIND_PRODUCER, null, [], 'Unset'], [$send->kind, $send->parent, $send->links, $send->status]);
        $processed = $this->spans('process ');
        self::assertCount(3, $processed, $tree);
        foreach ($processed as $at => $span) {
            self::assertSame([SpanKind::KIND_CONSUMER, $send->trace, $send->id], [$span->kind, $span->trace, $span->parent], $tree);
            self::assertSame($at === 2 ? 'Unset' : 'Error', $span->status);
            self::assertSame($at === 2 ? [] : ['exception'], $span->events);
            self::assertSame([$id, $conversation, 'Order', $queue->getName()], [$span->attributes['messaging.message.id'],
                $span->attributes['messaging.message.conversation_id'], $span->attributes['amqp1.job.name'],
                $span->attributes['messaging.destination.name']]);
        }
        self::assertSame([1, 2, 1], array_map(static fn (RecordedSpan $span) => $span->attributes['amqp1.attempt'], $processed));
        self::assertSame('DomainException', $processed[0]->attributes['error.type']);
        self::assertSame(['no', 'no', ''], array_column($processed, 'description'));
        // Waiting for a job is no part of what its push has begun.
        foreach ($this->spans('receive ') as $span) {
            self::assertSame([SpanKind::KIND_CLIENT, null, [$send->id]], [$span->kind, $span->parent, $span->links], $tree);
        }
        self::assertCount(3, $this->spans('receive '));
        $settled = array_values(array_filter($this->spans(), static fn (RecordedSpan $span) => $span->attributes['messaging.operation.type'] === 'settle'));
        self::assertSame(['nack', 'dead_letter', 'ack'], array_map(static fn (RecordedSpan $span) => $span->attributes['messaging.operation.name'], $settled), $tree);
        foreach ($settled as $at => $span) {
            self::assertSame([SpanKind::KIND_CLIENT, $processed[$at]->id, [$send->id]], [$span->kind, $span->parent, $span->links], $tree);
        }
        // What the extension sends itself belongs to the trace, and is not the job's creation.
        $copies = array_values(array_filter($this->spans(), static fn (RecordedSpan $span) => $span->attributes['messaging.operation.type'] === 'send' && $span !== $send
            && $span->attributes['messaging.operation.name'] !== 'send'));
        self::assertContains('replay', array_map(static fn (RecordedSpan $span) => $span->attributes['messaging.operation.name'], $copies), $tree);
        foreach ($copies as $span) {
            self::assertSame([SpanKind::KIND_CLIENT, $send->trace, [$send->id]], [$span->kind, $span->trace, $span->links], $tree);
        }
        $system = ['servicebus' => 'servicebus', 'artemis' => 'activemq', 'activemq' => 'activemq', 'qpid' => 'amqp'][$broker] ?? 'rabbitmq';
        self::assertSame([$system], array_values(array_unique(array_map(static fn (RecordedSpan $span) => $span->attributes['messaging.system'], $this->spans()))));
        if (parse_url($this->broker($broker)->dsn, PHP_URL_SCHEME) !== 'embedded') {
            self::assertIsString($send->attributes['server.address']);
            self::assertIsInt($send->attributes['server.port']);
            self::assertSame($send->attributes['server.port'], $processed[0]->attributes['server.port']);
        }
        if (getenv('AMQP1_REPORT')) {
            fwrite(STDERR, "\n$broker:\n$tree");
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEachJobOfABatchHasItsOwnCreationContext(string $broker): void
    {
        $tracing = $this->tracing();
        $queue = $this->queue($broker, ['observer' => $tracing]);
        $foreign = '00-' . str_repeat('a', 32) . '-' . str_repeat('b', 16) . '-01';
        $ids = $queue->pushMany([['name' => 'a'], ['name' => 'b'], ['name' => 'c', 'options' => ['headers' => ['traceparent' => $foreign]]]]);
        $consumer = $this->consumer($queue);
        foreach ($ids as $_) {
            $task = $this->next($consumer);
            $tracing->process($task, static fn (Task $task) => $task->ack());
        }

        $send = $this->span('send');
        $created = $this->spans('create ');
        self::assertCount(2, $created);
        self::assertSame([SpanKind::KIND_CLIENT, 3], [$send->kind, $send->attributes['messaging.batch.message_count']]);
        self::assertSame([$created[0]->id, $created[1]->id, str_repeat('b', 16)], $send->links);
        self::assertSame([$ids[0], $ids[1]], array_map(static fn (RecordedSpan $span) => $span->attributes['messaging.message.id'], $created));
        $processed = [];
        foreach ($this->spans('process ') as $span) {
            $processed[$span->attributes['amqp1.job.name']] = $span;
        }
        self::assertSame([$created[0]->id, $created[0]->trace], [$processed['a']->parent, $processed['a']->trace]);
        self::assertSame([$created[1]->id, SpanKind::KIND_PRODUCER], [$processed['b']->parent, $created[1]->kind]);
        self::assertSame([str_repeat('b', 16), str_repeat('a', 32)], [$processed['c']->parent, $processed['c']->trace]);
        self::assertCount(3, $this->spans('ack '));
    }

    public function testABatchWithoutCreateSpans(): void
    {
        $tracing = $this->tracing(['createSpans' => false]);
        $queue = $this->queue('embedded', ['observer' => $tracing]);
        $queue->pushMany([['name' => 'a'], ['name' => 'b']]);
        $send = $this->span('send');

        self::assertSame([SpanKind::KIND_PRODUCER, [], []], [$send->kind, $send->links, $this->spans('create ')]);
        self::assertStringContainsString("-$send->id-", $this->take($queue)->getHeaderLine('traceparent'));
        self::assertStringContainsString("-$send->id-", $this->take($queue)->getHeaderLine('traceparent'));
    }

    public function testJobsThatFailAndBatchesWithinABatch(): void
    {
        $tracing = $this->tracing();
        $queue = $this->queue('embedded', ['observer' => $tracing, 'format' => 'babelqueue']);
        $inner = $this->queue('embedded', ['observer' => $tracing]);
        $jobs = (static function () use ($inner): iterable {
            yield ['name' => 'good', 'payload' => ['n' => 1]];
            $inner->pushMany([['name' => 'x'], ['name' => 'y']]);
            $inner->push('z');
            yield ['name' => 'bad', 'payload' => 'no object'];
        })();
        $this->thrown(BatchException::class, static fn () => $queue->pushMany($jobs));

        [$of, $outer] = [$this->spans("send {$inner->getName()}"), $this->spans("send {$queue->getName()}")];
        self::assertSame([2, null], array_map(static fn (RecordedSpan $span) => $span->attributes['messaging.batch.message_count'] ?? null, $of));
        self::assertCount(1, $outer);
        self::assertSame([2, 'serialization', 'Error', '1 of 2 jobs were not confirmed'], [$outer[0]->attributes['messaging.batch.message_count'],
            $outer[0]->attributes['error.type'], $outer[0]->status, $outer[0]->description]);
        $created = $this->spans("create {$queue->getName()}");
        self::assertSame(['Unset', 'Error'], array_column($created, 'status'));
    }

    /** @return array<string, array{string}> */
    public static function formats(): array
    {
        return ['roadrunner' => ['roadrunner'], 'amqp1' => ['amqp1'], 'babelqueue' => ['babelqueue'], 'raw' => ['raw']];
    }

    /** @dataProvider formats */
    #[DataProvider('formats')]
    public function testTheContextTravelsInEveryFormat(string $format): void
    {
        foreach (array_keys(self::brokers()) as $broker) {
            $queue = $this->queue($broker, ['observer' => $this->tracing(), 'format' => $format]);
            $queue->push('urn:babel:orders:created', ['n' => 1]);
            $task = $this->take($queue);
            $sent = $this->spans('send ');
            $expected = '00-' . end($sent)->trace . '-' . end($sent)->id . '-01';
            self::assertSame([$expected], $task->getHeader('traceparent'), "$format, $broker");
            self::assertSame($this->broker($broker)->isServiceBus() ? [$expected] : [], $task->getHeader('Diagnostic-Id'));
        }
    }

    public function testACreationContextOfTheApplicationIsKept(): void
    {
        $tracing = $this->tracing();
        $queue = $this->queue('embedded', ['observer' => $tracing]);
        $queue->push('job', null, ['headers' => ['TraceParent' => $own = '00-' . str_repeat('a', 32) . '-' . str_repeat('b', 16) . '-00']]);
        $task = $this->take($queue);

        self::assertSame([$own], $task->getHeader('traceparent'));
        self::assertSame([SpanKind::KIND_CLIENT, [str_repeat('b', 16)]], [$this->span('send')->kind, $this->span('send')->links]);
    }

    public function testADiagnosticIdAloneIsACreationContext(): void
    {
        $tracing = $this->tracing();
        $queue = $this->queue('embedded');
        $queue->push('job', null, ['headers' => ['Diagnostic-Id' => '00-' . str_repeat('a', 32) . '-' . str_repeat('b', 16) . '-01']]);
        $tracing->process($this->take($queue), static fn () => null);

        self::assertSame([str_repeat('a', 32), str_repeat('b', 16)], [$this->span('process')->trace, $this->span('process')->parent]);
    }

    public function testParentsAndLinksByOption(): void
    {
        foreach ([[Options::PARENT_AUTO, false, true], [Options::PARENT_AUTO, true, false], [Options::PARENT_LINK, false, false],
            [Options::PARENT_LINK, true, false], [Options::PARENT_CREATION, false, true], [Options::PARENT_CREATION, true, true]] as [$option, $hasActive, $isChild]) {
            $this->recorder = new Recorder();
            $tracing = $this->tracing(['parent' => $option]);
            $queue = $this->queue('embedded', ['observer' => $tracing]);
            $queue->push('job');
            $task = $this->next($this->consumer($queue));
            $active = $hasActive ? $this->recorder->tracers->getTracer('test')->spanBuilder('active')->startSpan() : null;
            $scope = $active?->activate();
            $tracing->process($task, static fn (Task $task) => $task->ack());
            $scope?->detach();
            $active?->end();
            [$send, $process, $ack] = [$this->span('send'), $this->span('process'), $this->span('ack')];
            $which = "$option, " . ($hasActive ? 'in a span' : 'alone');
            $ambient = $active?->getContext()->getSpanId();
            self::assertSame($isChild ? $send->id : $ambient, $process->parent, $which);
            self::assertSame($isChild ? array_values(array_filter([$ambient])) : [$send->id], $process->links, $which);
            self::assertSame($process->id, $ack->parent, $which);
        }
        $message = $this->thrown(ConfigException::class, fn () => $this->tracing(['parent' => 'none']))->getMessage();
        self::assertSame("Option 'parent': expected 'auto', 'link' or 'creation', got 'none'", $message);
        $this->thrown(ConfigException::class, fn () => $this->tracing(['perent' => 'auto']));
        $this->thrown(ConfigException::class, fn () => $this->tracing(['createSpans' => 'yes']));
    }

    public function testWhatAHandlerDoesBelongsToItsSpan(): void
    {
        $tracing = $this->tracing(['receiveSpans' => false, 'settleSpans' => false, 'bodySize' => true]);
        setObserver($tracing);
        $queue = $this->queue('embedded');
        $next = $this->queue('embedded');
        $queue->push('first', 'payload');
        $this->work($queue, $tracing, static fn (Task $task) => $next->push('second'));
        $sends = $this->spans('send ');

        self::assertSame([$this->span('process')->id, $sends[0]->trace], [$sends[1]->parent, $sends[1]->trace]);
        self::assertSame([7, 7], [$sends[0]->attributes['messaging.message.body.size'], $this->span('process')->attributes['messaging.message.body.size']]);
        self::assertCount(3, $this->spans(), 'neither receive nor ack');
    }

    public function testABatchOfAHandlerLinksToAll(): void
    {
        $tracing = $this->tracing();
        setObserver($tracing);
        $queue = $this->queue('embedded');
        $queue->push('a');
        $queue->push('a');
        $worker = new Worker($queue, [], ['stopWhenEmpty' => true, 'reserveTimeout' => 0.2]);
        $worker->batch('a', static fn (array $tasks) => null, 2)->middleware($tracing)->run();
        [$first, $second] = $this->spans('send ');
        $process = $this->span('process');

        self::assertSame([null, 2, [$first->id, $second->id]], [$process->parent, $process->attributes['messaging.batch.message_count'], $process->links]);
        self::assertSame([$process->id, $process->id], array_column($this->spans('ack '), 'parent'));
    }

    public function testAPushThatFails(): void
    {
        $at = Sockets::refused();
        $queue = new AmqpQueue("amqp://$at", 'q', ['observer' => $this->tracing()]);
        $thrown = $this->thrown(ConnectionException::class, static fn () => $queue->push('job'));
        $send = $this->span('send');

        self::assertSame(['Error', 'connection', $thrown->getMessage()], [$send->status, $send->attributes['error.type'], $send->description]);
        [$host, $port] = explode(':', $at);
        self::assertSame([$host, (int) $port], [$send->attributes['server.address'], $send->attributes['server.port']]);
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testAnExchangeAndItsRoutingKey(string $broker): void
    {
        $exchange = $this->exchangeName($this->broker($broker));
        $queue = $this->queue($broker, ['exchange' => $exchange, 'exchange_type' => 'topic', 'routing_key' => 'orders.new', 'observer' => $this->tracing()]);
        $queue->push('job');
        $this->take($queue);
        $send = $this->span('send');

        self::assertSame(["send $exchange:orders.new", "$exchange:orders.new", 'orders.new'], [$send->name,
            $send->attributes['messaging.destination.name'], $send->attributes['messaging.rabbitmq.destination.routing_key']]);
        self::assertSame($queue->getName(), $this->span('receive')->attributes['messaging.destination.name']);
    }

    public function testTheMetricsOfTheConventions(): void
    {
        $tracing = $this->tracing();
        setObserver($tracing);
        $queue = $this->queue('embedded', ['max_attempts' => 1]);
        $queue->push('good');
        $queue->pushMany([['name' => 'good'], ['name' => 'bad']]);
        $this->work($queue, $tracing, static fn (Task $task) => $task->getName() === 'bad' ? throw new \DomainException() : null);
        $all = [];
        foreach ($this->recorder->counts() as $metric => $counts) {
            foreach ($counts as [$attributes, $count]) {
                self::assertSame(['rabbitmq', true], [$attributes['messaging.system'], isset($attributes['messaging.operation.type'])]);
                $error = $attributes['error.type'] ?? '';
                $all[$metric][trim("{$attributes['messaging.operation.name']} $error")] = $count;
                ksort($all[$metric]);
            }
        }
        ksort($all);

        self::assertSame([
            'messaging.client.consumed.messages' => ['receive' => 3],
            'messaging.client.operation.duration' => ['ack' => 2, 'dead_letter' => 1, 'receive' => 3, 'send' => 2],
            'messaging.client.sent.messages' => ['dead_letter' => 1, 'send' => 3],
            'messaging.process.duration' => ['process' => 2, 'process DomainException' => 1],
        ], $all);
    }

    public function testInstalledBesideAnEarlierObserver(): void
    {
        if (Recorder::sdk() !== null) {
            self::markTestSkipped('the SDK sets the global providers up once a process');
        }
        Globals::$set = [$this->recorder->tracers, $this->recorder->meters, $this->recorder->propagator];
        setObserver($earlier = new RecordingObserver([], ['beforePush' => static fn () => throw new \DomainException('mine')]));
        $tracing = Tracing::install();
        $queue = $this->queue('embedded', ['observer' => $tracing]);
        $warnings = [];
        set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
            $warnings[] = $message;

            return true;
        });
        $queue->push('job');
        restore_error_handler();
        $this->take($queue);

        self::assertSame(['beforePush push job', 'afterPush push job confirmed', 'received job', 'settled job acked'], $earlier->jobs());
        // It observes both the process and the queue, and reports each job once.
        self::assertSame(['send', 'receive', 'ack'], array_map(static fn (RecordedSpan $span) => $span->attributes['messaging.operation.name'], $this->spans()));
        self::assertCount(1, $warnings);
        self::assertStringContainsString('DomainException: mine', $warnings[0]);
    }

    public function testWithoutOpenTelemetryItDoesNothing(): void
    {
        $printed = Child::run(<<<'PHP'
            require $argv[1] . '/php/autoload.php';
            require $argv[1] . '/integrations/opentelemetry/autoload.php';
            $tracing = Amqp1\OpenTelemetry\Tracing::install();
            var_dump(Amqp1\setObserver(null));
            $queue = new Amqp1\AmqpQueue('embedded://', 'q', ['observer' => $tracing]);
            $queue->push('job');
            $queue->pushMany([['name' => 'job']]);
            $worker = new Amqp1\Worker($queue, ['job' => static fn ($task) => print json_encode($task->getHeaders()) . "\n"],
                ['maxJobs' => 2]);
            $worker->middleware($tracing)->run();
            PHP, [dirname(__DIR__)]);

        self::assertSame("NULL\n[]\n[]\n", $printed);
    }
}
