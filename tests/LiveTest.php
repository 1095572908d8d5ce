<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\TestCase;

/** The program of `make live` runs, and finds nothing that differs where there is nothing: on the dialect itself. */
final class LiveTest extends TestCase
{
    public function testTheDialectIsTheSameAsItself(): void
    {
        $broker = ProgramBroker::start(['--dialect', 'servicebus', '--lock-duration', '2', '--queue', 'live', '--session-queue', 'live-sessions',
            '--config', __DIR__ . '/fixtures/servicebus.json']);
        $run = Child::command([...Child::phpCommand(), __DIR__ . '/live/servicebus.php'], [
            'AMQP1_LIVE_SERVICEBUS' => $broker->connectionString(),
            'AMQP1_LIVE_QUEUE' => 'live',
            'AMQP1_LIVE_SESSION_QUEUE' => 'live-sessions',
            'AMQP1_LIVE_DUPLICATES' => 'duplicates',
            'AMQP1_LIVE_TOPIC' => 'events',
            'AMQP1_LIVE_QUICK' => '1',
        ]);
        $code = $run->wait(180);
        self::assertStringNotContainsString('DIFFERS', $run->output());
        self::assertSame(0, $code, $run->output());
        self::assertSame(1, substr_count($run->output(), 'left out'), $run->output());
        $broker->stop();
    }

    public function testWithoutANamespaceItSaysWhatIsMissing(): void
    {
        $run = Child::command([...Child::phpCommand(), __DIR__ . '/live/servicebus.php'], ['AMQP1_LIVE_SERVICEBUS' => '']);
        self::assertSame(2, $run->wait(20));
        self::assertStringContainsString('AMQP1_LIVE_SERVICEBUS is not set', $run->output());
    }
}
