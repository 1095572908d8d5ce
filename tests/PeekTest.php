<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\SerializationException;
use Amqp1\Exception\TimeoutException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\PeekedTask;
use Amqp1\Task;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;

/** peek(): jobs are seen and stay as they are; or the broker cannot show them, and the error says what to do instead. */
final class PeekTest extends ContractTestCase
{
    private const CAN = ['embedded' => 1, 'program' => 1, 'servicebus' => 1];

    public static function showing(): array
    {
        return array_intersect_key(self::brokers(), self::CAN) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    public static function notShowing(): array
    {
        return array_diff_key(self::brokers(), self::CAN) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    public static function showingOverANetwork(): array
    {
        return array_diff_key(self::showing(), ['embedded' => 1]) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testAJobIsSeenAsItIsAndNothingIsTakenOrCounted(string $broker): void
    {
        $queue = $this->queue($broker);
        $headers = ['tenant' => ['a', 'b'], 'X-One' => '1'];
        $id = $queue->push('job', ['n' => 1], ['headers' => $headers, 'trace_id' => 't-1', 'group' => 'g', 'ttl' => 600,
            'reply_to' => 'answers', 'annotations' => ['x-opt-mine' => 7]]);
        $before = $queue->count();
        for ($look = 1; $look <= 3; ++$look) {
            $seen = $queue->peek();
            self::assertCount(1, $seen);
        }
        [$job] = $seen;
        self::assertInstanceOf(PeekedTask::class, $job);
        self::assertSame([$id, 'job', ['n' => 1], '{"n":1}'], [$job->getId(), $job->getName(), $job->getPayload(), $job->getBody()]);
        self::assertSame([$queue->getName(), $queue->getName(), 0, 'roadrunner', 't-1', 'g', 'active', null], [$job->getQueue(),
            $job->getPipeline(), $job->getAttempts(), $job->getFormat(), $job->getTraceId(), $job->getGroup(), $job->getState(),
            $job->getFailure()]);
        self::assertSame([true, false, ['a', 'b'], 'a, b', []], [$job->hasHeader('TENANT'), $job->hasHeader('no'),
            $job->getHeader('Tenant'), $job->getHeaderLine('tenant'), $job->getHeader('no')]);
        self::assertSame(['answers', 7], [$job->getProperties()['reply_to'], $job->getAnnotations()['x-opt-mine']]);
        self::assertEqualsWithDelta(time() + 600, $job->getExpiry()->getTimestamp(), 30);
        self::assertEqualsWithDelta(time(), $job->getCreationTime()->getTimestamp(), 30);
        self::assertSame($broker === 'servicebus', $job->getEnqueuedTime() !== null);
        self::assertSame($before, $queue->count());

        $task = $this->reserved($queue);
        self::assertSame([$id, 1, 0, false], [$task->getId(), $task->getAttempts(), $task->getDeliveryCount(), $task->isRedelivered()]);
        self::assertSame($task->getHeaders(), $job->getHeaders());
        self::assertEquals($task->getProperties(), $job->getProperties());
        self::assertSame([$task->getPriority(), $task->getPipeline()], [$job->getPriority(), $job->getPipeline()]);
        // Jobs in hand are seen too, and those that came back with their attempts.
        self::assertSame([$id], self::ids($queue->peek()));
        $task->release();
        [$job] = $queue->peek();
        self::assertSame([$id, 1], [$job->getId(), $job->getAttempts()]);
        $task = $this->reserved($queue);
        self::assertSame(2, $task->getAttempts());
        $task->ack();
        $this->eventually(static fn () => $queue->peek() === [], 'an acknowledged job is not there');
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testAPeekedJobCannotBeSettledMadeOrCopied(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        [$job] = $queue->peek(1);
        foreach (['ack', 'nack', 'release', 'deadLetter', 'reject', 'discard', 'defer', 'renew'] as $method) {
            self::assertTrue(method_exists(Task::class, $method));
            self::assertFalse(method_exists($job, $method), $method);
        }
        foreach ([static fn () => clone $job, static fn () => serialize($job), static fn () => $job->more = 1] as $wrong) {
            try {
                $wrong();
                self::fail('it is final and as it was seen');
            } catch (\Throwable $e) {
                self::assertNotInstanceOf(\PHPUnit\Framework\AssertionFailedError::class, $e, $e->getMessage());
            }
        }
        // It outlives its queue.
        unset($queue);
        gc_collect_cycles();
        self::assertSame('job', $job->getName());
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testPagesFollowOneAnother(string $broker): void
    {
        $queue = $this->queue($broker);
        $jobs = array_map(static fn (int $n) => ['name' => 'job', 'payload' => "$n"], range(1, 600));
        $queue->pushMany($jobs);
        self::assertCount(10, $queue->peek());
        self::assertCount(600, $queue->peek(10_000), 'more than one request of the client shows');
        $payloads = $numbers = [];
        $from = 0;
        while (($page = $queue->peek(140, $from)) !== []) {
            self::assertCount(min(140, 600 - count($payloads)), $page);
            foreach ($page as $job) {
                $payloads[] = $job->getPayload();
                $numbers[] = $job->getSequenceNumber();
            }
            $from = max($numbers) + 1;
        }
        self::assertSame(array_column($jobs, 'payload'), $payloads);
        $sorted = array_values(array_unique($numbers));
        sort($sorted);
        self::assertSame($sorted, $numbers);
        self::assertSame(['300'], array_map(static fn (PeekedTask $job) => $job->getPayload(), $queue->peek(1, $numbers[299])));
        self::assertSame([], $queue->peek(10, PHP_INT_MAX));
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testBoundsAndAnEmptyQueue(string $broker): void
    {
        $queue = $this->queue($broker);
        self::assertSame([], $queue->peek());
        foreach ([[0, 0, 'max'], [-1, 0, 'max'], [10_001, 0, 'max'], [1, -1, 'from'], [PHP_INT_MAX, 0, 'max']] as [$max, $from, $name]) {
            $error = $this->thrown(ConfigException::class, static fn () => $queue->peek($max, $from));
            self::assertStringContainsString("AmqpQueue::peek(): ", $error->getMessage());
            self::assertStringContainsString($name, $error->getMessage());
        }
        $this->thrown(\TypeError::class, static fn () => $queue->peek(null));
        $this->thrown(\TypeError::class, static fn () => $queue->peek([]));
        self::assertSame([], $queue->peek(from: 5, max: 10_000));
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testScheduledAndDeferredJobsSayWhatTheyAre(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('later', 'l', ['delay' => 600]);
        $queue->push('now', 'n');
        $states = static function () use ($queue): array {
            $states = [];
            foreach ($queue->peek() as $job) {
                $states[$job->getName()] = $job->getState();
            }
            ksort($states);

            return $states;
        };
        self::assertSame(['later' => 'scheduled', 'now' => 'active'], $states());
        if ($broker !== 'servicebus') {
            return;
        }
        $task = $this->reserved($queue);
        $task->defer();
        self::assertSame(['later' => 'scheduled', 'now' => 'deferred'], $states());
        [$job] = array_values(array_filter($queue->peek(), static fn (PeekedTask $job) => $job->getState() === 'deferred'));
        [$task] = $queue->receiveDeferred($job->getSequenceNumber());
        self::assertSame('n', $task->getPayload());
        $task->ack();
        $number = $queue->schedule('cancelled', 'c', 600);
        self::assertContains((int) $number, array_map(static fn (PeekedTask $job) => $job->getSequenceNumber(), $queue->peek()));
        self::assertTrue($queue->cancel($number));
        self::assertSame(['later' => 'scheduled'], $states());
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testLargeJobsAndThoseThatAreNotJobs(string $broker): void
    {
        $queue = $this->queue($broker);
        $size = $broker === 'servicebus' ? 200_000 : 3_000_000;
        $payloads = [];
        foreach (range(1, 7) as $n) {
            $payloads[] = $payload = str_repeat((string) $n, $size);
            $queue->push('large', $payload);
        }
        $seen = array_map(static fn (PeekedTask $job) => $job->getPayload(), $queue->peek(100));
        self::assertSame(array_map('md5', $payloads), array_map('md5', $seen));

        $other = $this->queue($broker, ['format' => 'raw']);
        $other->push('x', 'no {json', ['content_type' => 'application/json']);
        [$job] = $other->peek();
        self::assertSame('no {json', $job->getBody());
        $error = $this->thrown(SerializationException::class, static fn () => $job->getPayload());
        self::assertStringContainsString('PeekedTask::getPayload()', $error->getMessage());
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testFailedJobsAreSeenWithTheirFailureAndStay(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 1]);
        $name = $queue->getName();
        foreach (['a', 'b'] as $payload) {
            $queue->push('job', $payload);
            $this->reserved($queue)->nack(new \DomainException("no $payload"));
        }
        $seen = $queue->failed()->peek();
        self::assertSame(['a', 'b'], array_map(static fn (PeekedTask $job) => $job->getPayload(), $seen));
        $failure = $seen[1]->getFailure();
        self::assertSame(['failed', 'no b', 'DomainException', $name, 1], [$failure['reason'], $failure['error'],
            $failure['exception'], $failure['queue'], $failure['attempts']]);
        self::assertSame(2, $queue->retryFailed());
        $this->eventually(static fn () => $queue->failed()->peek() === [], 'they are back');
        self::assertSame([0, 0], array_map(static fn (PeekedTask $job) => $job->getAttempts(), $queue->peek()));
    }

    /** @dataProvider showingOverANetwork */
    #[DataProvider('showingOverANetwork')]
    public function testTheCommandLooksAtFailedJobsThatAWorkerHasInHand(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 1]);
        $id = $queue->push('job', 'a');
        $this->reserved($queue)->nack('no');
        $failed = $queue->failed();
        $task = $this->reserved($failed);
        // Taking them in hand would find none.
        $environment = ['AMQP1_DSN' => $this->broker($broker)->dsn];
        $listed = Cli::run(['failed:list', '-Q', $queue->getName(), '--json'], $environment);
        self::assertSame([$id], array_column($listed->json(), 'id'), $listed->err);
        $shown = Cli::run(['failed:show', $id, '-Q', $queue->getName(), '--json'], $environment);
        self::assertSame(['a', 'no', 1], [$shown->json()['payload'], $shown->json()['error'], $shown->json()['attempts']], $shown->err);
        self::assertFalse($task->isLost());
        $task->ack();
        self::assertTrue($task->isCompleted());
    }

    /** @dataProvider showing */
    #[DataProvider('showing')]
    public function testAMissingQueue(string $broker): void
    {
        $at = $this->broker($broker);
        if ($at->isServiceBus()) {
            $strict = ProgramBroker::start(['--dialect', 'servicebus', '--queue', 'there']);
            $queue = new AmqpQueue($strict->connectionString(), 'not-there', ['timeout' => 10]);
            foreach ([$queue, $queue->failed()] as $missing) {
                $error = $this->thrown(QueueNotFoundException::class, static fn () => $missing->peek());
                self::assertStringContainsString('not-there', $error->getMessage());
            }
            $strict->stop();

            return;
        }
        $queue = $this->queue($broker, ['declare' => false]);
        $error = $this->thrown(QueueNotFoundException::class, static fn () => $queue->peek());
        self::assertStringContainsString($queue->getName(), $error->getMessage());
        // The object stays usable.
        $queue->push('job');
        self::assertCount(1, $queue->peek());
    }

    public function testAQueueWithSessionsIsSeenWithoutASession(): void
    {
        if (!isset(self::showing()['servicebus'])) {
            self::markTestSkipped('left out by AMQP1_TEST_BROKERS');
        }
        $broker = ProgramBroker::serviceBus(['--session-queue', 'sessions']);
        $queue = new AmqpQueue($broker->connectionString(), 'sessions', ['timeout' => 10]);
        foreach (['x', 'y', 'x'] as $session) {
            $queue->push('job', null, ['group' => $session]);
        }
        $consumer = $this->consumer($queue, ['session' => 'x']);
        $task = $this->next($consumer);
        self::assertSame(['x', 'y', 'x'], array_map(static fn (PeekedTask $job) => $job->getGroup(), $queue->peek()));
        // No session was taken by it.
        $this->next($this->consumer($queue, ['session' => 'y']))->ack();
        $task->ack();
        $consumer->close();
        $broker->stop();
    }

    /** @dataProvider showingOverANetwork */
    #[DataProvider('showingOverANetwork')]
    public function testAfterALostConnectionAndWithinADeadline(string $broker): void
    {
        $proxy = new Proxy($this->broker($broker));
        $queue = new AmqpQueue($proxy->dsn, $this->uniqueName($this->broker($broker)), ['timeout' => 5]);
        $queue->push('job', 'x');
        self::assertCount(1, $queue->peek());
        foreach (['cut', 'reset'] as $how) {
            $proxy->$how();
            self::assertSame(['x'], array_map(static fn (PeekedTask $job) => $job->getPayload(), $queue->peek()), $how);
        }
        $proxy->swallow('down');
        $start = microtime(true);
        try {
            $queue->peek();
            self::fail('nothing answers');
        } catch (TimeoutException | \Amqp1\Exception\ConnectionException $e) {
            self::assertStringContainsString($queue->getName(), $e->getMessage());
        }
        self::assertLessThan(8, microtime(true) - $start);
        $proxy->heal();
        $proxy->reset();
        self::assertCount(1, $queue->peek());
    }

    /** @dataProvider notShowing */
    #[DataProvider('notShowing')]
    public function testElsewhereTheErrorSaysWhatToDo(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        foreach ([$queue, $queue->failed()] as $at) {
            $error = $this->thrown(UnsupportedException::class, static fn () => $at->peek());
            foreach ([$at->getName(), 'peek()', 'Consumer', 'failed:list', 'failed:show'] as $part) {
                self::assertStringContainsString($part, $error->getMessage());
            }
        }
        $task = $this->reserved($queue);
        self::assertSame(1, $task->getAttempts());
        $task->ack();
    }

    /** @return list<string> */
    private static function ids(array $jobs): array
    {
        return array_map(static fn (PeekedTask $job) => $job->getId(), $jobs);
    }

    private function reserved(AmqpQueue $queue): Task
    {
        $task = $queue->reserve(10);
        self::assertNotNull($task, "a job in {$queue->getName()}");

        return $task;
    }
}
