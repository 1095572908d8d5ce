<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\TimeoutException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;
use Throwable;

/** A peer goes silent at each possible step: every call ends by its timeout. */
final class SilentPeerTest extends ContractTestCase
{
    private const TIMEOUT = 0.15;

    /** Far more than the timeout, in case the machine is busy, and far less than any other time limit. */
    private const IN_TIME = 5.0;

    /** @return array<string, array{string}> */
    public static function steps(): array
    {
        $sets = [];
        foreach (['connect', 'sasl-header', 'mechanisms', 'outcome', 'amqp-header', 'open', 'begin', 'attach', 'flow', 'transfer', 'disposition'] as $step) {
            $sets["before $step"] = [$step];
        }

        return $sets;
    }

    /** @dataProvider steps */
    #[DataProvider('steps')]
    public function testEveryCallEndsByItsTimeout(string $step): void
    {
        $at = $this->broker(current(self::fullyFeatured())[0]);
        $name = $this->uniqueName($at);
        (new AmqpQueue($at->dsn, $name))->push('there');
        $proxy = new Proxy($at);
        $queue = new AmqpQueue($proxy->dsn, $name, ['timeout' => self::TIMEOUT, 'declare' => false]);
        $consumer = new Consumer($queue);
        $calls = [
            'push' => static fn () => $queue->push('job', null, ['id' => 'the-id']),
            'pushMany' => static fn () => $queue->pushMany(array_fill(0, 3, ['name' => 'job'])),
            'waitTask' => static fn () => $consumer->waitTask(self::TIMEOUT),
            'ping' => static fn () => $queue->ping(),
            'setup' => static fn () => $queue->setup(),
            'stats' => static fn () => $queue->stats(),
            'count' => static fn () => $queue->count(),
            'purge' => static fn () => $queue->purge(),
            'close' => static fn () => $consumer->close(),
        ];
        $proxy->silentBefore($step);
        $ended = [];
        foreach ($calls as $call => $do) {
            $began = microtime(true);
            try {
                $do();
                $ended[$call] = 'went through';
            } catch (Throwable $thrown) {
                $ended[$call] = $thrown;
            }
            self::assertLessThan(self::IN_TIME, microtime(true) - $began, $call);
        }

        self::assertSame('went through', $ended['close']);
        $push = $ended['push'];
        if (in_array($step, ['connect', 'sasl-header', 'mechanisms', 'outcome', 'amqp-header', 'open'], true)) {
            foreach (array_diff_key($ended, ['close' => 1]) as $call => $thrown) {
                self::assertInstanceOf(ConnectionException::class, $thrown, $call);
                self::assertStringContainsString('no answer within', $thrown->getMessage(), $call);
            }

            return;
        }
        if ($step === 'transfer') { // the broker sends one only to a consumer and with an answer of its management
            self::assertSame('went through', $push);
            self::assertInstanceOf(TimeoutException::class, $ended['stats']);

            return;
        }
        self::assertInstanceOf(TimeoutException::class, $push, 'push');
        self::assertStringContainsString('the-id', $push->getMessage());
        if ($at->isArtemis() && in_array($step, ['begin', 'attach'], true)) {
            // Nothing is sent there before the address has been checked.
            self::assertInstanceOf(TimeoutException::class, $ended['pushMany']);

            return;
        }
        self::assertStringContainsString('unknown', $push->getMessage());
        self::assertInstanceOf(BatchException::class, $ended['pushMany']);
        self::assertCount(3, $ended['pushMany']->getFailures());
        self::assertContainsOnlyInstancesOf(TimeoutException::class, $ended['pushMany']->getFailures());
        if ($step === 'begin') {
            self::assertInstanceOf(TimeoutException::class, $ended['ping']);
        }
        if (in_array($step, ['begin', 'attach'], true)) {
            self::assertInstanceOf(TimeoutException::class, $ended['waitTask']);
            self::assertInstanceOf(TimeoutException::class, $ended['setup']);
        }
    }

    /** @return array<string, array{string}> */
    public static function lost(): array
    {
        return ['no credit is granted' => ['flow'], 'nothing is settled' => ['disposition']];
    }

    /**
     * The broker is alive and sends heartbeats, but no outcome.
     *
     * @dataProvider lost
     */
    #[DataProvider('lost')]
    public function testALongBatchWaitsOneTimeoutNotOneAJob(string $frames): void
    {
        $at = $this->broker(current(self::fullyFeatured())[0]);
        $proxy = new Proxy($at);
        $queue = new AmqpQueue($proxy->dsn, $this->uniqueName($at), ['timeout' => 1]);
        $queue->setup();
        $proxy->drop($frames);
        $jobs = (static function () {
            for ($i = 0; $i < 2100; ++$i) { // more than may be unconfirmed at once
                yield ['name' => 'job', 'options' => ['id' => "job-$i"]];
            }
        })();
        $began = microtime(true);
        $thrown = $this->thrown(BatchException::class, static fn () => $queue->pushMany($jobs));

        self::assertLessThan(15, microtime(true) - $began);
        self::assertSame([], $thrown->getConfirmedIds());
        $failures = $thrown->getFailures();
        self::assertCount(2100, $failures, 'each job is in the exception');
        self::assertContainsOnlyInstancesOf(TimeoutException::class, $failures);
        self::assertStringContainsString('job-0', $failures[0]->getMessage());
        self::assertStringContainsString('unknown', $failures[0]->getMessage());
        self::assertStringContainsString('was not sent', $failures[2099]->getMessage());
    }

    public function testAJobWhoseCallTimedOutIsNotSentBehindItsBack(): void
    {
        $at = $this->broker(current(self::fullyFeatured())[0]);
        $proxy = new Proxy($at);
        $direct = new AmqpQueue($at->dsn, $name = $this->uniqueName($at));
        $direct->setup();
        $queue = new AmqpQueue($proxy->dsn, $name, ['timeout' => 0.3, 'declare' => false]);
        $queue->ping();
        $proxy->delay(0.8); // the attach is answered long after the call has ended
        $this->thrown(TimeoutException::class, static fn () => $queue->push('timed out'));
        usleep(2500000);
        $proxy->heal();
        $queue->push('later', null, ['timeout' => 10]);

        self::assertSame(1, $direct->count());
    }

    /** @return array<string, array{string}> */
    public static function directions(): array
    {
        return ['the broker is not heard' => ['down'], 'we are not heard' => ['up'], 'neither' => ['both']];
    }

    /** @dataProvider directions */
    #[DataProvider('directions')]
    public function testTheProcessEndsWithinItsShutdownTimeout(string $direction): void
    {
        $at = $this->broker(current(self::fullyFeatured())[0]);
        $proxy = new Proxy($at);
        $child = Child::php(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 5]);
            $consumer = new Amqp1\Consumer($queue);
            $queue->push('one');
            $queue->push('two');
            $consumer->waitTask(5);
            echo "ready\n";
            posix_kill(getmypid(), SIGSTOP);
            echo "ending\n";
            PHP, [$proxy->dsn, $this->uniqueName($at)], ['-d', 'amqp1.shutdown_timeout=1']);
        $child->waitFor('ready');
        usleep(100000);
        $direction === 'both' ? $proxy->swallow('up', 'down') : $proxy->swallow($direction);
        $child->signal(SIGCONT);
        $began = microtime(true);

        self::assertSame(0, $child->wait(20));
        self::assertLessThan(self::IN_TIME, microtime(true) - $began);
    }

    public function testAPeerThatReadsNothingBlocksNoCallBeyondItsTimeout(): void
    {
        $at = $this->broker(current(self::fullyFeatured())[0]);
        $proxy = new Proxy($at);
        $queue = new AmqpQueue($proxy->dsn, $this->uniqueName($at), ['timeout' => 1]);
        $queue->push('first');
        $proxy->stall('up');
        $big = str_repeat('x', 4 * 1024 * 1024);
        $began = microtime(true);
        $jobs = array_fill(0, 6, ['name' => 'big', 'payload' => $big]);
        $thrown = $this->thrown(BatchException::class, static fn () => $queue->pushMany($jobs));

        self::assertLessThan(15, microtime(true) - $began);
        self::assertCount(6, $thrown->getFailures());
        $proxy->heal();
        self::assertIsString($queue->push('last', null, ['timeout' => 20]));
    }
}
