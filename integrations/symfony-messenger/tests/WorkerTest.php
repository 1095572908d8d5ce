<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use PHPUnit\Framework\Attributes\DataProvider;

/** `messenger:consume` and its relatives at work. */
final class WorkerTest extends AppTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testABinaryBodyArrivesAsItIs(string $broker): void
    {
        $this->app($broker);
        $body = "\0\xff\x80 é \\ '" . random_bytes(300);
        $this->console('app:dispatch', '1', 'ok', base64_encode($body));
        $this->console('messenger:consume', 'async', '--limit=1');

        self::assertSame(['begin 1', 'done 1 ' . strlen($body) . ' ' . md5($body)], $this->log());
        $this->assertLeft(0);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testABodyOfAMegabyteArrives(string $broker): void
    {
        $this->app($broker);
        if (!$this->broker->supports('large-messages')) {
            self::markTestSkipped('256 KB at most');
        }
        $sent = $this->console('app:dispatch', '1', 'ok', '1048576');
        $this->console('messenger:consume', 'async', '--limit=1');

        self::assertStringContainsString(substr($this->log()[1], strlen('done 1 1048576 ')), $sent);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testMessagesTravelAsJson(string $broker): void
    {
        $this->app($broker, serializer: 'messenger.transport.symfony_serializer');
        $this->console('app:dispatch', '1', 'fail-once', base64_encode('ünïcode "quoted"'));
        $this->console('messenger:consume', 'async', '--limit=2', '--time-limit=20');

        self::assertSame(['begin 1', 'begin 1', 'done 1 18 ' . md5('ünïcode "quoted"')], $this->log());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testADelayedMessageComesInTime(string $broker): void
    {
        $this->app($broker);
        $worker = $this->start('messenger:consume', 'async', '--limit=2', '--time-limit=30', '--sleep=0.1');
        $this->console('app:dispatch', '1', 'ok', '', '2500');
        $since = microtime(true);
        $this->console('app:dispatch', '1');
        $this->waitForLog('done 1');
        self::assertCount(2, $this->log(), 'only the one without a delay');
        self::assertSame(0, $worker->wait());
        $took = microtime(true) - $since;

        self::assertCount(4, $this->log());
        self::assertGreaterThan(1.5, $took);
        self::assertLessThan(12, $took);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSigtermLetsTheMessageInHandEnd(string $broker): void
    {
        $this->app($broker);
        $this->console('app:dispatch', '3', 'sleep:1.5');
        $worker = $this->start('messenger:consume', 'async');
        $this->waitForLog('begin 1');
        $worker->signal(SIGTERM);

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertSame(['begin 1', 'done 1'], array_map(static fn ($line) => rtrim(substr($line, 0, 7)), $this->log()));
        $this->assertLeft(2);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testStopWorkersStopsAnIdleWorker(string $broker): void
    {
        $this->app($broker, ['wait' => 1]);
        $worker = $this->start('messenger:consume', 'async');
        $this->console('app:dispatch', '1');
        $this->waitForLog('done 1');
        sleep(1);
        $this->console('messenger:stop-workers');

        self::assertSame(0, $worker->wait(20), $worker->output());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAWaitingWorkerTakesAMessageAtOnce(string $broker): void
    {
        $this->app($broker, ['wait' => 5]);
        $worker = $this->start('messenger:consume', 'async', '--limit=1');
        sleep(2);
        $since = microtime(true);
        $this->amqpQueue()->push('raw', addslashes(serialize(new \Symfony\Component\Messenger\Envelope(new App\Work(7)))));
        $this->waitForLog('done 7', 5);
        $took = microtime(true) - $since;

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertLessThan(0.8, $took, 'polling would take up to a second');
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOnlySomeQueues(string $broker): void
    {
        $this->app($broker, ['queues' => [$this->queue, "$this->queue-low"]]);
        $work = static fn (int $number) => addslashes(serialize(new \Symfony\Component\Messenger\Envelope(new App\Work($number))));
        $this->amqpQueue()->push('raw', $work(1));
        $this->amqpQueue('-low')->push('raw', $work(2));
        $this->console('messenger:consume', 'async', '--limit=1', "--queues=$this->queue-low");
        self::assertSame(['begin 2', 'done 2'], array_map(static fn ($line) => rtrim(substr($line, 0, 7)), $this->log()));

        $this->console('messenger:consume', 'async', '--limit=1');
        self::assertContains('begin 1', $this->log());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testBatches(string $broker): void
    {
        $this->app($broker, ['prefetch' => 20]);
        $this->console('app:dispatch', '25', 'page');
        $this->console('messenger:consume', 'async', '--time-limit=4', '--sleep=0.2');

        self::assertSame(['batch 10', 'batch 10', 'batch 5'], $this->log());
        $this->assertLeft(0);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAKilledWorkersMessagesComeAgain(string $broker): void
    {
        $this->app($broker);
        $this->console('app:dispatch', '3', 'sleep:0.5');
        $worker = $this->start('messenger:consume', 'async');
        $this->waitForLog('begin 2');
        usleep(100_000); // an acknowledgement may wait for 20 ms
        $worker->kill();
        // On Service Bus when the locks end.
        $this->console('messenger:consume', 'async', '--limit=2', '--time-limit=30');

        $done = array_filter($this->log(), static fn ($line) => str_starts_with($line, 'done'));
        self::assertSame(['done 1', 'done 2', 'done 3'], array_map(static fn ($line) => substr($line, 0, 6), self::sorted($done)));
        self::assertCount(2, array_keys($this->log(), 'begin 2', true), 'it was in hand');
        $this->assertLeft(0);
    }

    /** @return list<string> */
    private static function sorted(array $lines): array
    {
        sort($lines);

        return $lines;
    }
}
