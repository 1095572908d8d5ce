<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\ConsumerInterface;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\RejectedException;
use Amqp1\Exception\TaskLostException;
use Amqp1\QueueInterface;
use Amqp1\TaskInterface;
use Amqp1\Testing\FakeConsumer;
use Amqp1\Testing\FakeQueue;
use Amqp1\Testing\FakeTask;
use Amqp1\Testing\Pushed;
use Amqp1\Worker;
use Amqp1\Worker\Event;
use PHPUnit\Framework\AssertionFailedError;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/../php/autoload.php';

/** What applications test with: fakes that behave as the classes that they stand for. */
final class TestingTest extends TestCase
{
    public function testAFakeQueueRecordsWhatIsPushed(): void
    {
        $queue = new FakeQueue('orders', ['dialect' => 'servicebus']); // for schedule()
        $queue->assertNothingPushed();
        $id = $queue->push('ProcessOrder', ['orderId' => 7], ['priority' => 5]);
        $ids = $queue->pushMany((static function () {
            yield ['name' => 'Mail', 'payload' => 'one'];
            yield ['name' => 'Mail', 'options' => ['ttl' => 9]];
        })(), ['ttl' => 5]);
        $queue->schedule('Later', null, 60, ['headers' => ['a' => 'b']]);

        self::assertSame('orders', $queue->getName());
        self::assertSame(['ProcessOrder', 'Mail', 'Mail', 'Later'], array_column($queue->pushed(), 'name'));
        self::assertSame([$id, ...$ids], array_column(array_slice($queue->pushed(), 0, 3), 'id'));
        self::assertSame([['ttl' => 5], ['ttl' => 9]], array_column($queue->pushed('Mail'), 'options'));
        self::assertSame(['delay' => 60, 'headers' => ['a' => 'b']], $queue->pushed('Later')[0]->options);
        $queue->assertPushed('Mail');
        $queue->assertPushed('Mail', 2);
        $queue->assertPushed('Other', 0);
        $queue->assertPushed('ProcessOrder', static fn (Pushed $job) => $job->payload['orderId'] === 7 && $job->options['priority'] === 5);
        $queue->assertNotPushed('Other');
        $queue->assertNotPushed('Mail', static fn (Pushed $job) => $job->payload === 'two');

        $queue->reset();
        $queue->assertNothingPushed();
        self::assertNull($queue->reserve());
    }

    public function testRequestsAreAnsweredAndRepliesRecorded(): void
    {
        $queue = new FakeQueue('prices');
        $queue->replyWith('Sum', static fn (Pushed $request) => array_sum($request->payload));
        $queue->replyWith('Ping', 'pong');
        $pending = $queue->requestAsync('Sum', [1, 2]);
        self::assertSame('pong', $queue->request('Ping')->getPayload());
        self::assertSame(3, $pending->get()->getPayload());
        $queue->assertPushed('Sum', static fn (Pushed $job) => $job->id === $pending->getId());

        $waits = $queue->requestAsync('Other');
        $task = $queue->reserve(5);
        self::assertTrue($task?->reply('yes'));
        self::assertSame('yes', $waits->get()->getPayload());

        $task = new FakeTask('Sum', [1], ['reply_to' => 'answers']);
        self::assertSame([], $task->replies());
        $task->reply(['sum' => 1]);
        self::assertSame([['sum' => 1]], $task->replies());
        $task->assertReplied();
        $task->assertReplied(static fn (array $reply) => $reply['sum'] === 1);
        $this->expectException(\Amqp1\Exception\UnsupportedException::class);
        (new FakeTask('Sum'))->reply(1);
    }

    public function testWhatIsNotAsExpectedFailsTheTest(): void
    {
        $queue = new FakeQueue('orders');
        $queue->push('Mail', 'one');
        $task = new FakeTask('Mail');
        $task->nack(new \DomainException('no such address'));
        foreach ([
            'Pushed jobs (1):' . "\n- Mail \"one\"" => static fn () => $queue->assertNothingPushed(),
            'no job "Other" was pushed to the queue "orders"' => static fn () => $queue->assertPushed('Other'),
            'the queue "orders" has 1 jobs "Mail", not 2' => static fn () => $queue->assertPushed('Mail', 2),
            'is as expected' => static fn () => $queue->assertPushed('Mail', static fn () => false),
            'a job "Mail" was pushed' => static fn () => $queue->assertNotPushed('Mail'),
            'the job "Mail" was retried (DomainException "no such address"), not acked' => static fn () => $task->assertAcked(),
            'the job "Mail" was retried' => static fn () => $task->assertNotSettled(),
            'not with TypeError' => static fn () => $task->assertRetried(\TypeError::class),
            'the job "Mail" was not settled, not released' => static fn () => (new FakeTask('Mail'))->assertReleased(),
        ] as $message => $assert) {
            try {
                $assert();
            } catch (AssertionFailedError $e) {
                self::assertStringContainsString($message, $e->getMessage());
                continue;
            }
            self::fail("it holds: $message");
        }
    }

    /** @return array<string, array{callable(QueueInterface): mixed}> */
    public static function mistakes(): array
    {
        return [
            'option' => [static fn (QueueInterface $queue) => $queue->push('job', null, ['priorty' => 1])],
            'value' => [static fn (QueueInterface $queue) => $queue->push('job', null, ['priority' => 256])],
            'name' => [static fn (QueueInterface $queue) => $queue->push('')],
            'payload' => [static fn (QueueInterface $queue) => $queue->push('job', NAN)],
            'schedule' => [static fn (QueueInterface $queue) => $queue->schedule('job', null, -1)],
            'many' => [static fn (QueueInterface $queue) => $queue->pushMany([['name' => 'job'], ['nme' => 'job']])],
            'type' => [static fn (QueueInterface $queue) => $queue->pushMany(['job'])],
        ];
    }

    /**
     * @dataProvider mistakes
     *
     * @param callable(QueueInterface): mixed $mistake
     */
    #[DataProvider('mistakes')]
    public function testAFakeQueueRefusesWhatTheRealOneRefuses(callable $mistake): void
    {
        $refusals = [];
        foreach ([new AmqpQueue('embedded://phpunit', 'refusals'), $fake = new FakeQueue('refusals')] as $queue) {
            try {
                $mistake($queue);
                self::fail('accepted');
            } catch (ExceptionInterface $e) {
                $refusals[] = $e::class . $e->getMessage();
            }
        }
        self::assertSame($refusals[0], $refusals[1]);
        $fake->assertNothingPushed();
    }

    public function testAFakeQueueCanFail(): void
    {
        $queue = new FakeQueue();
        $queue->failWith($lost = new ConnectionException('the broker is gone'));
        foreach ([static fn () => $queue->push('job'), static fn () => $queue->pushMany([]), static fn () => $queue->schedule('job', null, 1)] as $push) {
            try {
                $push();
                self::fail('pushed');
            } catch (ConnectionException $e) {
                self::assertSame($lost, $e);
            }
        }
        $queue->failWith(null);
        $queue->push('job');
        $queue->assertPushed('job', 1);
    }

    public function testItsJobsCanBeTaken(): void
    {
        $queue = new FakeQueue('orders', ['max_attempts' => 1]);
        $queue->push('first', ['a' => 1]);
        self::assertSame(1, $queue->count());
        $task = (new Consumer($queue->queue()))->waitTask(5);
        self::assertSame([['a' => 1], 'orders'], [$task?->getPayload(), $task?->getQueue()]);
        $task?->nack('failed');
        self::assertSame('first', $queue->failed()->reserve(5)?->getName());
        self::assertSame(0, (new FakeQueue('orders'))->count(), 'each has its own queue');
    }

    public function testAWorkerServesIt(): void
    {
        $queue = new FakeQueue('orders');
        $queue->push('Order', ['id' => 7]);
        $mails = new FakeQueue('mails');
        $summary = (new Worker([$queue], ['Order' => static function (TaskInterface $task) use ($mails): void {
            $mails->push('Mail', $task->getPayload());
        }], ['maxJobs' => 1]))->run();

        self::assertSame([1, 1], [$summary->jobs, $summary->acked]);
        $mails->assertPushed('Mail', static fn (Pushed $job) => $job->payload === ['id' => 7]);
    }

    public function testAFakeTaskHasWhatARealOneHas(): void
    {
        $options = ['headers' => ['Tenant' => 'a', 'n' => [1, true]], 'id' => 'id-1', 'priority' => 7, 'trace_id' => 't', 'group' => 'g'];
        $queue = new AmqpQueue('embedded://phpunit', $name = 'real-' . bin2hex(random_bytes(4)));
        $queue->push('Order', ['a' => [1, null]], $options);
        $real = $queue->reserve(5);
        self::assertNotNull($real);
        $fake = new FakeTask('Order', ['a' => [1, null]], $options + ['queue' => $name]);
        foreach ((new \ReflectionClass(TaskInterface::class))->getMethods() as $method) {
            $get = $method->getName();
            if (preg_match('/^(get|is)/', $get) && $method->getNumberOfParameters() === 0
                && !in_array($get, ['getCreationTime', 'getProperties', 'getAnnotations', 'getRoutingKey', 'getTo'], true)) {
                self::assertEquals($real->$get(), $fake->$get(), $get);
            }
        }
        self::assertSame(['1', 'true'], [$fake->getHeader('N')[0], $real->getHeader('N')[1]]);
        self::assertSame($real->getHeaderLine('n'), $fake->getHeaderLine('n'));
        self::assertSame(array_keys($real->getProperties()), array_keys($fake->getProperties()));
        $real->ack();
    }

    public function testAFakeTaskIsWhatTheTestSays(): void
    {
        $at = new \DateTimeImmutable('2026-01-02');
        $task = new FakeTask('Order', 'text', ['attempts' => 3, 'delay' => 2.5, 'queue' => 'orders', 'locked_until' => $at,
            'sequence_number' => 9, 'release_reason' => 'why', 'failure' => ['reason' => 'failed']]);

        self::assertSame(['text', 3, 2.5, 'orders', 'orders', true, 2], [$task->getBody(), $task->getAttempts(), $task->getDelay(),
            $task->getQueue(), $task->getPipeline(), $task->isRedelivered(), $task->getDeliveryCount()]);
        self::assertSame([$at, 9, 'why', ['reason' => 'failed']], [$task->getLockedUntil(), $task->getSequenceNumber(),
            $task->getReleaseReason(), $task->getFailure()]);
        foreach (['attemps' => 3, 'headrs' => [], 'attempts' => 0, 'max_attempts' => '3', 'delay' => -1, 'priority' => 256] as $option => $value) {
            try {
                new FakeTask('Order', null, [$option => $value]);
                self::fail("$option was accepted");
            } catch (ConfigException $e) {
                self::assertStringContainsString("'$option'", $e->getMessage());
            }
        }
    }

    public function testItIsSettledOnce(): void
    {
        $error = new \DomainException('no');
        $settled = static function (callable $how, array $options = []): FakeTask {
            $task = new FakeTask('Order', null, $options);
            $task->assertNotSettled();
            $how($task);
            self::assertTrue($task->isCompleted());
            $task->ack();

            return $task;
        };
        $settled(static fn (FakeTask $task) => $task->ack())->assertAcked();
        $settled(static fn (FakeTask $task) => $task->nack($error))->assertRetried(\DomainException::class);
        $settled(static fn (FakeTask $task) => $task->nack($error), ['attempts' => 3])->assertDeadLettered(\DomainException::class);
        $settled(static fn (FakeTask $task) => $task->nack(), ['attempts' => 9, 'max_attempts' => 0])->assertRetried();
        $settled(static fn (FakeTask $task) => $task->nack(requeue: false))->assertDeadLettered();
        $settled(static fn (FakeTask $task) => $task->discard())->assertDiscarded();
        $settled(static fn (FakeTask $task) => $task->reject())->assertRejected();
        $settled(static fn (FakeTask $task) => $task->deadLetter('unknown', 'details'))->assertDeadLettered();
        $task = $settled(static fn (FakeTask $task) => $task->release(30, ['a' => 'b'], 'busy'));
        $task->assertReleased(30);
        self::assertSame(['busy', ['a' => 'b']], [$task->settlement()?->reason, $task->settlement()?->headers]);

        $lost = new FakeTask('Order');
        $lost->lose();
        $lost->nack();
        self::assertSame([true, false, null], [$lost->isLost(), $lost->isCompleted(), $lost->getOutcome()]);
        $this->expectException(TaskLostException::class);
        $lost->ack();
    }

    public function testAFakeConsumerHandsOutItsTasks(): void
    {
        [$one, $two, $three] = [new FakeTask('one'), new FakeTask('two'), new FakeTask('three')];
        $consumer = new FakeConsumer([$one, $two]);
        self::assertInstanceOf(ConsumerInterface::class, $consumer);
        $consumer->pause();
        self::assertNull($consumer->waitTask(9));
        $consumer->resume();
        self::assertSame($one, $consumer->waitTask());
        $consumer->add($three);
        self::assertSame([$two, $three], iterator_to_array($consumer, false));
        $lost = 0;
        $consumer->onLost(static function () use (&$lost): void {
            $lost++;
        });
        $consumer->lose($one);
        self::assertSame([1, true], [$lost, $one->isLost()]);
        $consumer->setAside($four = new FakeTask('four', null, ['sequence_number' => 4]));
        self::assertSame([$four], $consumer->receiveDeferred([4]));
        try {
            $consumer->receiveDeferred(4);
            self::fail('it was received already');
        } catch (RejectedException) {
        }
        $consumer->add($two);
        $consumer->stop();
        self::assertSame([], $consumer->waitTasks(5));
    }

    public function testAWorkerHandlesOneTask(): void
    {
        $seen = [];
        $worker = (new Worker(new FakeQueue(), ['Order' => static function (TaskInterface $task) use (&$seen): void {
            $seen[] = $task->getName();
            $task->getAttempts() > 1 && throw new \DomainException('no');
        }], ['jobTimeout' => 5], $this->logger()))->middleware(static function (TaskInterface $task, callable $next) use (&$seen): mixed {
            $seen[] = 'middleware';

            return $next($task);
        })->listen('*', static function (Event $event) use (&$seen): void {
            $seen[] = $event->name;
        });

        self::assertSame('acked', $worker->handle($done = new FakeTask('Order')));
        self::assertSame(['job.start', 'middleware', 'Order', 'job.ack'], $seen);
        $done->assertAcked();
        $failed = new FakeTask('Order', null, ['attempts' => 2]);
        self::assertSame('retried', $worker->handle($failed));
        $failed->assertRetried(\DomainException::class);
        self::assertSame('dead_lettered', $worker->handle(new FakeTask('Unheard', null, ['attempts' => 3])));
        self::assertSame(SIG_DFL, pcntl_signal_get_handler(SIGALRM));
    }

    public function testABatchOfFakeTasks(): void
    {
        $worker = (new Worker(new FakeQueue(), logger: $this->logger()))->batch('Many', static fn (array $tasks) => $tasks[0]->discard(), 10);

        self::assertSame('discarded', $worker->handle(new FakeTask('Many')));
    }

    private function logger(): object
    {
        return new class {
            public function log(): void
            {
            }
        };
    }

    public function testWithoutPhpUnitAnAssertionErrorIsThrown(): void
    {
        $child = Support\Child::command([...Support\Child::phpCommand(), '-r', <<<'PHP'
            require $argv[1];
            (new Amqp1\Testing\FakeQueue())->assertNothingPushed();
            try {
                (new Amqp1\Testing\FakeQueue())->assertPushed('job');
            } catch (AssertionError $e) {
                echo $e->getMessage();
            }
            PHP, dirname(__DIR__) . '/php/autoload.php']);

        self::assertSame([0, 'no job "job" was pushed to the queue "default". Nothing was pushed.'], [$child->wait(20), $child->output()]);
    }
}
