<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** A signal is handled while PHP waits in the extension; and what its handler does, counts. */
final class SignalTest extends ContractTestCase
{
    private const START = <<<'PHP'
        pcntl_async_signals(true);
        $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 30]);
        $queue->setup();
        $consumer = new Amqp1\Consumer($queue, ['prefetch' => 5]);
        $consumer->waitTask(0.01);

        PHP;

    /** Generous: the promise is 50 ms to notice; the machine may be busy. */
    private const SOON = 2.0;

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAHandlerThatCallsStopEndsTheWait(string $broker): void
    {
        [$child] = $this->waiting($broker, <<<'PHP'
            pcntl_signal(SIGTERM, function () use ($consumer) { echo "handled\n"; $consumer->stop(); });
            echo "waiting\n";
            while ($task = $consumer->waitTask()) { $task->ack(); }
            echo "ended in order\n";
            $consumer->close();
            PHP);
        $start = microtime(true);
        $child->signal(SIGTERM);
        $child->waitFor('handled', 10);
        self::assertLessThan(self::SOON, microtime(true) - $start);

        self::assertSame(0, $child->wait(10), $child->output());
        self::assertStringContainsString('ended in order', $child->output());
        self::assertLessThan(self::SOON + 3, microtime(true) - $start);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAHandlerThatThrowsEndsTheWaitWithItsException(string $broker): void
    {
        [$child, $name] = $this->waiting($broker, <<<'PHP'
            pcntl_signal(SIGUSR1, function () { throw new DomainException('from the handler'); });
            echo "waiting\n";
            try {
                $consumer->waitTask();
            } catch (DomainException $e) {
                echo 'caught ', $e->getMessage(), "\n";
            }
            echo 'then ', $consumer->waitTask()->getName(), "\n";
            PHP);
        $child->signal(SIGUSR1);
        $child->waitFor('caught from the handler', 10);
        (new AmqpQueue($this->broker($broker)->dsn, $name))->push('the next job');

        self::assertSame(0, $child->wait(15), $child->output());
        self::assertStringContainsString('then the next job', $child->output());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAHandlerThatExitsEndsTheProcessWithItsCode(string $broker): void
    {
        [$child] = $this->waiting($broker, <<<'PHP'
            pcntl_signal(SIGTERM, function () { exit(7); });
            register_shutdown_function(function () { echo "shut down\n"; });
            echo "waiting\n";
            $consumer->waitTask();
            PHP);
        $start = microtime(true);
        $child->signal(SIGTERM);

        self::assertSame(7, $child->wait(15), $child->output());
        self::assertStringContainsString('shut down', $child->output());
        self::assertLessThan(self::SOON + 3, microtime(true) - $start);
    }

    public function testEverySignalOfManyIsHandled(): void
    {
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue('embedded://signals', 'q'));
            $consumer->waitTask(0.01);
            pcntl_signal(SIGUSR1, function () use (&$count, $consumer) {
                echo 'handled ', ++$count, "\n";
                if ($count === 20) { $consumer->stop(); }
            });
            echo "waiting\n";
            while ($count < 20) { $consumer->waitTask(5); }
            PHP);
        $child->waitFor('waiting');
        for ($i = 1; $i <= 20; ++$i) {
            $child->signal(SIGUSR1);
            $child->waitFor("handled $i", 5);
        }

        self::assertSame(0, $child->wait(10), $child->output());
    }

    public function testAHandlerThatOnlyNotesDoesNotEndTheWait(): void
    {
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue('embedded://signals', 'q'));
            $consumer->waitTask(0.01);
            pcntl_signal(SIGUSR1, function () { echo "noted\n"; });
            echo "waiting\n";
            $start = microtime(true);
            var_dump($consumer->waitTask(1.5), microtime(true) - $start >= 1.499);
            PHP);
        $child->waitFor('waiting');
        $child->signal(SIGUSR1);

        self::assertSame(0, $child->wait(10));
        self::assertStringContainsString("noted\nNULL\nbool(true)", $child->output());
    }

    public function testASignalWithoutHandlerStillKills(): void
    {
        $child = Child::php(<<<'PHP'
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue('embedded://signals', 'q'));
            echo "waiting\n";
            $consumer->waitTask(30);
            PHP);
        $child->waitFor('waiting');
        usleep(200_000);
        $child->signal(SIGTERM);

        self::assertSame(128 + SIGTERM, $child->wait(10), $child->output());
    }

    public function testAHandlerMayPushAndTakeJobs(): void
    {
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            $queue = new Amqp1\AmqpQueue('embedded://signals', 'q');
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(0.01);
            pcntl_signal(SIGUSR1, function () use ($queue) { $queue->push('from the handler'); });
            echo "waiting\n";
            echo $consumer->waitTask(10)?->getName(), "\n";
            PHP);
        $child->waitFor('waiting');
        $child->signal(SIGUSR1);

        self::assertSame(0, $child->wait(15));
        self::assertStringContainsString('from the handler', $child->output());
    }

    public function testASignalDuringAPushToASilentHost(): void
    {
        [$held, $address] = Support\Sockets::silent();
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            pcntl_signal(SIGTERM, function () { throw new DomainException('enough'); });
            echo "waiting\n";
            try {
                (new Amqp1\AmqpQueue('amqp://' . $argv[1], 'q', ['timeout' => 30]))->push('job');
            } catch (DomainException $e) {
                echo 'caught ', $e->getMessage(), "\n";
            }
            PHP, [$address]);
        $child->waitFor('waiting');
        usleep(200_000);
        $child->signal(SIGTERM);
        $child->waitFor('caught enough', 10);

        self::assertSame(0, $child->wait(15));
        unset($held);
    }

    /** @return array{Child, string} a child that waits, and its queue */
    private function waiting(string $broker, string $code): array
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $child = Child::php(self::START . $code, [$at->dsn, $name]);
        $child->waitFor('waiting');
        usleep(100_000);

        return [$child, $name];
    }
}
