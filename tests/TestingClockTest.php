<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Child;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** The clock of embedded:// moves. In processes of their own, because it stays moved. */
final class TestingClockTest extends TestCase
{
    /** @return array<string, array{string}> */
    public static function dialects(): array
    {
        return ['rabbitmq' => ['auto'], 'servicebus' => ['servicebus']];
    }

    /** @dataProvider dialects */
    #[DataProvider('dialects')]
    public function testDelayedJobsBecomeDue(string $dialect): void
    {
        $this->runs(<<<'PHP'
            $queue->push('hour', null, ['delay' => 3600]);
            $queue->push('minute', null, ['delay' => 60]);
            check(name($queue->reserve(0.2)) === null, 'none is due');
            advanceClock(61);
            check(name($queue->reserve(5)) === 'minute', 'one is due');
            check(name($queue->reserve(0.2)) === null, 'the other is not');
            // What is pushed now is delayed from now on.
            $queue->push('second minute', null, ['delay' => 60]);
            check(name($queue->reserve(0.2)) === null, 'a delay begins at the moved time');
            advanceClock(3600);
            $names = [name($queue->reserve(5)), name($queue->reserve(5))];
            sort($names);
            check($names === ['hour', 'second minute'], 'all are due');
            PHP, $dialect);
    }

    /** @dataProvider dialects */
    #[DataProvider('dialects')]
    public function testTtlsAndPausesPass(string $dialect): void
    {
        $this->runs(<<<'PHP'
            $queue->push('short', null, ['ttl' => 60]);
            $queue->push('long', null, ['ttl' => 7200]);
            advanceClock(61);
            $task = $queue->reserve(5);
            check($task?->getName() === 'long', 'the other has expired');
            $task->nack('failed');
            check(name($queue->reserve(0.2)) === null, 'it pauses');
            advanceClock(100);
            $task = $queue->reserve(5);
            check($task?->getAttempts() === 2, 'the pause is over');
            $task->ack();
            PHP, $dialect);
    }

    public function testAWaitUnderWayNotices(): void
    {
        $this->runs(<<<'PHP'
            $queue->push('job', null, ['delay' => 600]);
            $consumer = new Amqp1\Consumer($queue);
            check($consumer->waitTask(0.2) === null, 'not yet');
            pcntl_async_signals(true);
            pcntl_signal(SIGALRM, static fn () => advanceClock(601));
            pcntl_alarm(1);
            check(name($consumer->waitTask(10)) === 'job', 'it becomes due during the wait');
            PHP);
    }

    public function testAConsumerTimeoutPasses(): void
    {
        $this->runs(<<<'PHP'
            $queue->push('job');
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 1, 'consumer_timeout' => 60]);
            $task = $consumer->waitTask(5);
            check($task !== null && !$task->isLost(), 'it is in hand');
            advanceClock(61);
            for ($i = 0; $i < 100 && !$task->isLost(); $i++) {
                $consumer->waitTask(0.05);
            }
            check($task->isLost(), 'it is lost');
            PHP);
    }

    public function testOtherBrokersAreRefused(): void
    {
        $other = self::program();
        $this->runs(<<<PHP
            \$other = new Amqp1\AmqpQueue('$other->dsn', 'clock', ['redial_timeout' => 0, 'timeout' => 5]);
            advanceClock(0.5);
            try {
                \$other->ping();
                check(false, 'connected');
            } catch (Amqp1\Exception\UnsupportedException \$e) {
                check(str_contains(\$e->getMessage(), 'the clock of this process was moved for tests, which only embedded:// allows'), \$e->getMessage());
            }
            PHP);
        $this->runs(<<<PHP
            (new Amqp1\AmqpQueue('$other->dsn', 'clock'))->ping();
            try {
                advanceClock(1);
                check(false, 'moved');
            } catch (Amqp1\Exception\UnsupportedException \$e) {
                check(str_contains(\$e->getMessage(), 'only the clock of embedded:// can be moved'), \$e->getMessage());
            }
            \$queue->push('job', null, ['delay' => 0.5]);
            check(name(\$queue->reserve(0.1)) === null, 'nothing has moved');
            PHP);
    }

    public function testATimeBackwardsIsRefused(): void
    {
        $this->runs(<<<'PHP'
            try {
                advanceClock(-1);
                check(false, 'moved');
            } catch (Amqp1\Exception\ConfigException $e) {
                check(str_contains($e->getMessage(), 'Testing\advanceClock(): $seconds'), $e->getMessage());
            }
            PHP);
    }

    private static function program(): Broker
    {
        if (!isset(Brokers::networked()['program'])) {
            self::markTestSkipped('left out by AMQP1_TEST_BROKERS');
        }

        return Brokers::get('program');
    }

    private function runs(string $code, string $dialect = 'auto'): void
    {
        $child = Child::command([...Child::phpCommand(), '-d', 'display_errors=1', '-r', <<<PHP
            use function Amqp1\Testing\advanceClock;
            function check(bool \$holds, string \$what): void
            {
                \$holds || exit("wrong: \$what");
            }
            function name(?Amqp1\Task \$task): ?string
            {
                \$task?->ack();

                return \$task?->getName();
            }
            \$queue = new Amqp1\AmqpQueue('embedded://clock', 'clock', ['dialect' => '$dialect', 'timeout' => 5]);
            $code
            PHP]);

        self::assertSame([0, ''], [$child->wait(30), $child->output()]);
    }
}
