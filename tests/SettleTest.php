<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\RejectedException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;

/** ack, nack, release, deadLetter: each does what it says, once. */
final class SettleTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnAcknowledgedJobIsGone(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        self::assertFalse($task->isCompleted());
        $task->ack();
        self::assertTrue($task->isCompleted());
        $consumer->close();

        $this->assertNoTask($this->consumer($queue));
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testClosingReturnsAJobInHandWithoutCountingTheAttempt(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        for ($i = 0; $i < 3; ++$i) {
            $consumer = $this->consumer($queue);
            $task = $this->next($consumer);
            self::assertSame(1, $task->getAttempts(), "after $i returns");
            $consumer->close();
            $this->thrown(TaskLostException::class, static fn () => $task->ack());
        }
        // Without close(), the job stays with its task.
        $consumer = new Consumer($queue);
        $task = $this->next($consumer);
        unset($consumer);
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testARequeuedJobComesAgainAsTheSecondAttempt(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('job', ['n' => 1], ['headers' => ['tenant' => 'a'], 'trace_id' => 'trace', 'priority' => 6]);
        $consumer = $this->consumer($queue);
        for ($attempt = 1; $attempt <= 2; ++$attempt) {
            $task = $this->next($consumer);
            self::assertSame($attempt, $task->getAttempts());
            self::assertSame($id, $task->getId());
            self::assertSame(['n' => 1], $task->getPayload());
            self::assertSame(['a'], $task->getHeader('tenant'));
            self::assertSame('trace', $task->getTraceId());
            self::assertSame(6, $task->getPriority());
            if ($attempt === 1) {
                $task->nack('not yet', true);
                self::assertTrue($task->isCompleted());
            }
        }
        $task->ack();
        $this->assertNoTask($consumer);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testNackTakesAnExceptionOrAStringableOrNothing(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        $text = new class () implements \Stringable {
            public function __toString(): string
            {
                return 'spelled';
            }
        };
        $consumer = $this->consumer($queue);
        foreach ([new RuntimeException('broken'), $text, 'text', null, new \TypeError('wrong')] as $attempt => $error) {
            $task = $this->next($consumer);
            self::assertSame($attempt + 1, $task->getAttempts());
            $task->nack($error, requeue: true);
        }
        $this->next($consumer)->ack();
        $this->assertNoTask($consumer);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testNackWithoutRequeueDoesNotBringTheJobBack(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack(new RuntimeException('no good'), false);

        $this->assertNoTask($consumer);
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAReleasedJobComesAgain(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('job', 'body');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $task->release();
        self::assertTrue($task->isCompleted());
        $task = $this->next($consumer);

        self::assertSame([$id, 'job', 'body'], [$task->getId(), $task->getName(), $task->getPayload()]);
        $task->ack();
        $this->assertNoTask($consumer);
    }

    /** @return array<string, array{string, string}> */
    public static function queueTypes(): array
    {
        $sets = [];
        foreach (array_column(self::rabbitMq(), 0) as $broker) {
            foreach ($broker === '' ? [''] : ['classic', 'quorum'] as $type) {
                $sets[trim("$broker $type") ?: 'none'] = [$broker, $type];
            }
        }

        return $sets;
    }

    /** @dataProvider queueTypes */
    #[DataProvider('queueTypes')]
    public function testAJobGoesBackToAFullQueueWhichAcceptsNoCopy(string $broker, string $type): void
    {
        $queue = $this->queue($broker, ['queue_type' => $type, 'max_length' => 2, 'overflow' => 'reject-publish', 'backoff' => 0]);
        $queue->push('job');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $task = $this->next($consumer);
        try {
            for ($n = 0; $n < 100; ++$n) {
                $queue->push('filler');
            }
            self::fail('the queue is not full');
        } catch (RejectedException $e) {
        }
        try {
            $task->nack('failed');
            self::assertSame('quorum', $type, 'elsewhere, a copy records the attempt');
        } catch (RejectedException $e) {
            self::assertFalse($task->isCompleted());
        }
        $task->release();
        self::assertTrue($task->isCompleted());

        // Held by its consumer, it would keep it from all other jobs.
        $names = [];
        while ($task = $consumer->waitTask(2)) {
            $names[] = $task->getName();
            $task->ack();
        }
        self::assertContains('job', $names);
        self::assertContains('filler', $names);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobReleasedWithADelayWaits(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('job', ['n' => 7], ['headers' => ['kept' => 'yes', 'changed' => 'old']]);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        if ($this->lacks($broker, 'delay', static fn () => $task->release(1.2))) {
            self::assertFalse($task->isCompleted(), 'it can be settled otherwise');

            return;
        }
        $start = microtime(true);
        $task->release(1.2, ['changed' => 'new', 'added' => 5]);
        $task = $this->next($consumer, 15);

        self::assertGreaterThanOrEqual(1.2 - 0.01, microtime(true) - $start);
        self::assertSame($id, $task->getId());
        self::assertSame(['n' => 7], $task->getPayload());
        self::assertSame(['yes'], $task->getHeader('kept'));
        self::assertSame(['new'], $task->getHeader('changed'));
        self::assertSame(['5'], $task->getHeader('added'));
        $task->ack();
        $this->assertNoTask($consumer);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobReleasedWithHeadersCarriesThem(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job', '', ['headers' => ['a' => '1', 'b' => '2']]);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->release(headers: ['b' => ['3', '4'], 'c' => true]);
        $task = $this->next($consumer);

        self::assertEquals(['a' => ['1'], 'b' => ['3', '4'], 'c' => ['true']], $task->getHeaders());
        $task->ack();
        $this->assertNoTask($consumer);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testADeadLetteredJobIsInTheFailedQueue(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('job', ['n' => 1], ['headers' => ['tenant' => 'a']]);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $task->deadLetter(new RuntimeException('payment gateway timeout'), 'after the third try');
        self::assertTrue($task->isCompleted());
        $this->assertNoTask($consumer);

        $suffix = $this->broker($broker)->isServiceBus() ? '/$DeadLetterQueue' : '.failed';
        $failed = new AmqpQueue($this->broker($broker)->dsn, $queue->getName() . $suffix);
        $task = $this->take($failed);
        self::assertSame($id, $task->getId());
        self::assertSame('job', $task->getName());
        self::assertSame(['n' => 1], $task->getPayload());
        self::assertSame(['a'], $task->getHeader('tenant'));
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testASecondSettlementDoesNothing(string $broker): void
    {
        $queue = $this->queue($broker);
        $settle = [
            'ack' => static fn ($task) => $task->ack(),
            'nack' => static fn ($task) => $task->nack('again', true),
            'release' => static fn ($task) => $task->release(),
            'deadLetter' => static fn ($task) => $task->deadLetter('again'),
        ];
        $consumer = $this->consumer($queue);
        foreach ($settle as $second) {
            $queue->push('job');
            $task = $this->next($consumer);
            $task->ack();
            $second($task);
            self::assertTrue($task->isCompleted());
        }
        $this->assertNoTask($consumer);
        $consumer->close();

        $this->assertJobs(0, $queue);
        $failed = new AmqpQueue($this->broker($broker)->dsn, $queue->getName() . '.failed', ['declare' => true]);
        $this->assertJobs(0, $failed);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnAckAfterANackDoesNotUndoIt(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $task->nack('no', true);
        $task->ack();

        self::assertSame(2, $this->next($consumer)->getAttempts());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSettlingInAnotherOrderThanReceived(string $broker): void
    {
        $queue = $this->queue($broker);
        for ($i = 0; $i < 10; ++$i) {
            $queue->push("job-$i");
        }
        $consumer = $this->consumer($queue, ['prefetch' => 10]);
        $tasks = [];
        for ($i = 0; $i < 10; ++$i) {
            $tasks[] = $this->next($consumer);
        }
        foreach ([7, 2, 9, 0, 4] as $i) {
            $tasks[$i]->ack();
        }
        $consumer->close();
        unset($tasks);
        $consumer = $this->consumer($queue);
        $left = [];
        for ($i = 0; $i < 5; ++$i) {
            $task = $this->next($consumer);
            $left[] = $task->getName();
            $task->ack();
        }
        sort($left);

        self::assertSame(['job-1', 'job-3', 'job-5', 'job-6', 'job-8'], $left);
        $this->assertNoTask($consumer);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testATaskStaysReadableAfterItsConsumer(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job', ['n' => 1]);
        $task = $this->take($queue);
        unset($queue);

        self::assertSame(['job', ['n' => 1]], [$task->getName(), $task->getPayload()]);
        $task->ack();
        self::assertTrue($task->isCompleted());
    }
}
