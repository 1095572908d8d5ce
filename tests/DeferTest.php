<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\RejectedException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Task;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** defer(), receiveDeferred(), renew(), getLockedUntil(): a job stays with its worker, or aside, as long as it is asked to. */
final class DeferTest extends ContractTestCase
{
    public static function serviceBus(): array
    {
        return array_intersect_key(self::brokers(), ['servicebus' => 1]) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider serviceBus */
    #[DataProvider('serviceBus')]
    public function testADeferredJobIsReceivedByItsNumberAlone(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach (['a', 'b', 'c'] as $payload) {
            $queue->push('job', $payload, ['headers' => ['h' => $payload], 'reply_to' => 'answers']);
        }
        $consumer = $this->consumer($queue, ['prefetch' => 3]);
        $numbers = [];
        while (count($numbers) < 3) {
            $task = $this->next($consumer);
            $numbers[$task->getPayload()] = $task->getSequenceNumber();
            $task->defer();
            self::assertSame(['deferred', true], [$task->getOutcome(), $task->isCompleted()]);
        }
        self::assertCount(3, array_unique($numbers));
        $this->assertNoTask($consumer);

        [$one] = $queue->receiveDeferred($numbers['b']);
        self::assertSame(['job', 'b', 'b', 'answers', 1, $numbers['b']], [$one->getName(), $one->getPayload(), $one->getHeaderLine('h'),
            $one->getReplyTo(), $one->getAttempts(), $one->getSequenceNumber()]);
        self::assertSame([null, false, false], [$one->getOutcome(), $one->isCompleted(), $one->isLost()]);
        $one->ack();
        self::assertSame('acked', $one->getOutcome());

        $rest = $queue->receiveDeferred([$numbers['c'], $numbers['a']]);
        self::assertEqualsCanonicalizing(['a', 'c'], array_map(static fn (Task $task) => $task->getPayload(), $rest));
        foreach ($rest as $task) {
            $task->ack();
        }
        self::assertSame([], $queue->receiveDeferred([]));
        $error = $this->thrown(RejectedException::class, static fn () => $queue->receiveDeferred($numbers['a']));
        self::assertStringContainsString((string) $numbers['a'], $error->getMessage());
        self::assertSame(0, $queue->count());
    }

    /** @return array<string, array{string, callable(Task): void, string}> */
    public static function ways(): array
    {
        $ways = [
            'nack' => static fn (Task $task) => $task->nack('again', true),
            'release' => static fn (Task $task) => $task->release(),
            'release with a delay' => static fn (Task $task) => $task->release(0.5, ['a' => 'b'], 'why'),
        ];
        $sets = [];
        foreach (self::serviceBus() as [$broker]) {
            foreach ($ways as $name => $way) {
                $sets[$name] = [$broker, $way];
            }
        }

        return $sets;
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testADeferredJobThatGoesBackIsInTheQueueAgain(string $broker, callable $way): void
    {
        $queue = $this->queue($broker);
        $queue->push('job', 'x');
        $task = $this->reserved($queue);
        $number = $task->getSequenceNumber();
        $task->defer();
        [$task] = $queue->receiveDeferred($number);
        $way($task);
        self::assertTrue($task->isCompleted());
        $task = $this->reserved($queue);
        self::assertSame(['x', 2], [$task->getPayload(), $task->getAttempts()]);
        $task->ack();
        self::assertNull($queue->reserve());
    }

    /** @dataProvider serviceBus */
    #[DataProvider('serviceBus')]
    public function testADeferredJobCanBeDeadLetteredRejectedAndDeferredAgain(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach (['deadLetter', 'reject'] as $how) {
            $queue->push('job', $how);
            $task = $this->reserved($queue);
            $number = $task->getSequenceNumber();
            $task->defer();
            [$task] = $queue->receiveDeferred($number);
            $task->defer();
            self::assertSame('deferred', $task->getOutcome());
            [$task] = $queue->receiveDeferred($number);
            $task->$how('unusable');
            $failed = $this->reserved($queue->failed());
            self::assertSame([$how, 'unusable'], [$failed->getPayload(), $failed->getFailure()['reason']]);
            $failed->ack();
        }
    }

    /** @dataProvider serviceBus */
    #[DataProvider('serviceBus')]
    public function testADeferredJobOfASessionIsReceivedWithItsSession(string $broker): void
    {
        // The first consumer with a session makes it a queue with sessions.
        $queue = $this->queue($broker);
        foreach (['a', 'b'] as $session) {
            $queue->push('job', $session, ['group' => $session]);
        }
        $consumer = $this->consumer($queue, ['session' => 'a']);
        $task = $this->next($consumer);
        $number = $task->getSequenceNumber();
        $task->defer();
        $error = $this->thrown(RejectedException::class, static fn () => $queue->receiveDeferred($number, 'a'));
        self::assertStringContainsString('if another consumer holds it', $error->getMessage());
        $consumer->close();

        $error = $this->thrown(UnsupportedException::class, static fn () => $queue->receiveDeferred($number));
        self::assertStringContainsString("pass the session's id", $error->getMessage());
        $this->thrown(RejectedException::class, static fn () => $queue->receiveDeferred($number, 'b'));
        $this->thrown(RejectedException::class, static fn () => $queue->receiveDeferred($number + 1000, 'a'));

        [$task] = $queue->receiveDeferred($number, 'a');
        self::assertSame(['a', 'a', $number, false], [$task->getPayload(), $task->getGroup(), $task->getSequenceNumber(), $task->isLost()]);
        // The session is this task's, past its lock of 5 seconds, although the first task's link is gone.
        sleep(7);
        $this->thrown(RejectedException::class, static fn () => $queue->receiveDeferred($number, 'a'));
        self::assertFalse($task->isLost());
        // Dropped unsettled, it stays deferred, and its session is free.
        unset($task);
        [$task] = $queue->receiveDeferred([$number], 'a');
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
        unset($task);
        $this->thrown(RejectedException::class, static fn () => $queue->receiveDeferred($number, 'a'));

        // The other session was not touched.
        $task = $this->next($this->consumer($queue, ['session' => 'b']));
        self::assertSame(['b', 1], [$task->getPayload(), $task->getAttempts()]);
        $task->ack();
    }

    /** @dataProvider serviceBus */
    #[DataProvider('serviceBus')]
    public function testASessionThatFitsNoQueueIsRefused(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach (['', str_repeat('s', 129)] as $wrong) {
            $error = $this->thrown(ConfigException::class, static fn () => $queue->receiveDeferred(1, $wrong));
            self::assertStringContainsString('$session', $error->getMessage());
        }
    }

    /** @dataProvider serviceBus */
    #[DataProvider('serviceBus')]
    public function testALockOfADeferredJobIsRenewedAndAnUnsettledOneStaysDeferred(string $broker): void
    {
        // The broker's lock lasts for 5 seconds.
        $queue = $this->queue($broker, ['max_lock_renewal' => 30]);
        $queue->push('job', 'x');
        $task = $this->reserved($queue);
        $number = $task->getSequenceNumber();
        $task->defer();
        [$task] = $queue->receiveDeferred($number);
        sleep(7);
        self::assertFalse($task->isLost());
        // Nobody else gets it in the meantime.
        $this->thrown(RejectedException::class, static fn () => $queue->receiveDeferred($number));
        unset($task);
        $got = [];
        $this->eventually(static function () use ($queue, $number, &$got): bool {
            try {
                $got = $queue->receiveDeferred($number);
            } catch (RejectedException) {
                return false;
            }

            return true;
        }, 'its lock has ended');
        $got[0]->ack();
        self::assertSame('acked', $got[0]->getOutcome());
    }

    /** @dataProvider serviceBus */
    #[DataProvider('serviceBus')]
    public function testRenewMovesTheLockAndKeepsTheJob(string $broker): void
    {
        // Not renewed in the background.
        $queue = $this->queue($broker, ['max_lock_renewal' => 0]);
        $queue->push('job', 'x');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $task = $this->next($consumer);
        $until = $task->getLockedUntil();
        self::assertEqualsWithDelta(microtime(true) + 5, (float) $until->format('U.u'), 2);
        for ($i = 0; $i < 3; ++$i) {
            sleep(3);
            $task->renew();
            self::assertGreaterThan($until, $task->getLockedUntil());
            $until = $task->getLockedUntil();
        }
        self::assertFalse($task->isLost());
        $task->ack();
        self::assertNull($task->getLockedUntil());
        $task->renew();

        $queue->push('job', 'y');
        $task = $this->next($consumer);
        sleep(6);
        $this->thrown(TaskLostException::class, static fn () => $task->renew());
        self::assertSame([null, true], [$task->getOutcome(), $task->isLost()]);
        $task = $this->next($consumer);
        self::assertSame('y', $task->getPayload());
        $task->ack();
    }

    /** @dataProvider serviceBus */
    #[DataProvider('serviceBus')]
    public function testAConsumerOfOneJobGetsTheNextAfterALostOne(string $broker): void
    {
        $queue = $this->queue($broker, ['max_lock_renewal' => 0]);
        foreach (['nack' => 1, 'dropped' => 2] as $how => $n) {
            $queue->push('job', "$n");
            $consumer = $this->consumer($queue, ['prefetch' => 1]);
            $task = $this->next($consumer);
            $this->eventually(static fn () => $task->isLost(), 'its lock ends');
            if ($how === 'nack') {
                $task->nack('too late');
            }
            unset($task);
            $task = $this->next($consumer);
            self::assertSame("$n", $task->getPayload(), $how);
            $task->ack();
            $consumer->close();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testWithoutALockRenewDoesNothingOrSaysWhatToDo(string $broker): void
    {
        $at = $this->broker($broker);
        if ($at->isServiceBus()) {
            self::assertTrue(true);

            return;
        }
        $queue = $this->typed($broker, 'classic');
        $queue->push('job');
        $task = $this->reserved($queue);
        $task->renew();
        self::assertSame([null, null, false], [$task->getLockedUntil(), $task->getSequenceNumber(), $task->isLost()]);
        $task->ack();

        if (!$at->supports('queue-options')) {
            return;
        }
        $queue = $this->typed($broker, 'quorum');
        $queue->push('job');
        $task = $this->reserved($queue);
        if ($this->isTimed($at)) {
            $error = $this->thrown(UnsupportedException::class, static fn () => $task->renew());
            self::assertStringContainsString("'consumer_timeout'", $error->getMessage());
            self::assertFalse($task->isCompleted());
        } else {
            $task->renew();
        }
        $task->ack();
        self::assertSame('acked', $task->getOutcome());

        if (in_array($broker, ['embedded', 'program'], true)) {
            $queue = $this->queue($broker, ['consumer_timeout' => 60]);
            $queue->push('job');
            $task = $this->reserved($queue);
            $this->thrown(UnsupportedException::class, static fn () => $task->renew());
            $task->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testElsewhereNothingIsDeferred(string $broker): void
    {
        $queue = $this->queue($broker);
        if ($this->broker($broker)->isServiceBus()) {
            foreach ([-1, [-1], ['x'], [[1]]] as $wrong) {
                $this->thrown(ConfigException::class, static fn () => $queue->receiveDeferred($wrong));
            }

            return;
        }
        $error = $this->thrown(UnsupportedException::class, static fn () => $queue->receiveDeferred(1));
        self::assertStringContainsString('receiveDeferred()', $error->getMessage());
    }

    /** Whether the broker takes a job of a quorum queue back after its own time. */
    private function isTimed(Broker $at): bool
    {
        return $at->name === 'rabbitmq-4.3';
    }

    private function reserved(AmqpQueue $queue): Task
    {
        $task = $queue->reserve(10);
        self::assertNotNull($task, "a job in {$queue->getName()}");

        return $task;
    }
}
