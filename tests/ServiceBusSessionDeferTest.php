<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\RejectedException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Exception\TimeoutException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;

/** Consumer::receiveDeferred(): deferred jobs of a Service Bus session, for the consumer that holds it. */
final class ServiceBusSessionDeferTest extends ContractTestCase
{
    private static ?ProgramBroker $broker = null;

    /** A queue that requires sessions, each with these jobs. */
    private function sessions(string $name, array $sessions, array $options = []): AmqpQueue
    {
        self::$broker ??= ProgramBroker::serviceBus(['--lock-duration', '2', '--session-queue', 'order', '--session-queue', 'held',
            '--session-queue', 'next', '--session-queue', 'errors']);
        $queue = new AmqpQueue(self::$broker->connectionString(), $name, $options + ['timeout' => 20]);
        foreach ($sessions as $session => $jobs) {
            foreach ($jobs as $job) {
                $queue->push($job, null, ['group' => $session]);
            }
        }

        return $queue;
    }

    public function testAJobThatCameTooEarlyIsTakenLater(): void
    {
        $queue = $this->sessions('order', ['a' => ['second', 'first'], 'b' => ['other']]);
        $consumer = $this->consumer($queue, ['session' => 'a']);
        $early = $this->next($consumer);
        self::assertSame('second', $early->getName());
        $number = $early->getSequenceNumber();
        $early->defer();
        $this->next($consumer)->ack();
        $this->assertNoTask($consumer);

        [$task] = $consumer->receiveDeferred($number);
        self::assertSame(['second', 'a', $number, 1], [$task->getName(), $task->getGroup(), $task->getSequenceNumber(),
            $task->getAttempts()]);
        sleep(5); // the session's lock is for 2 s
        self::assertFalse($task->isLost());
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
        $this->thrown(RejectedException::class, static fn () => $consumer->receiveDeferred($number));
        self::assertCount(1, $queue, 'the job of the other session');
        self::assertSame([], $consumer->receiveDeferred([]));
    }

    public function testAConsumerTakesTheSessionThatItNamesForTheCall(): void
    {
        $queue = $this->sessions('held', ['a' => ['x', 'y']]);
        $consumer = $this->consumer($queue, ['session' => 'a']);
        $numbers = [];
        foreach ([1, 2] as $_) {
            $numbers[] = ($task = $this->next($consumer))->getSequenceNumber();
            $task->defer();
        }
        $second = $this->consumer($this->sessions('held', [], ['timeout' => 1.5]), ['session' => 'a']);
        $error = $this->thrown(TimeoutException::class, static fn () => $second->receiveDeferred($numbers));
        self::assertStringContainsString('another consumer holds it', $error->getMessage());
        $consumer->close();

        $tasks = $second->receiveDeferred($numbers);
        self::assertSame(['a', ['x', 'y']], [$second->getSession(), array_map(static fn ($task) => $task->getName(), $tasks)]);
        $tasks[0]->ack();
        unset($tasks); // the other one stays deferred
        $second->close();
        $third = $this->consumer($queue, ['session' => 'a']);
        [$again] = $third->receiveDeferred($numbers[1]);
        $again->nack(); // a copy, at the session's end
        $this->next($third)->ack();
        self::assertCount(0, $queue);
    }

    public function testTheNextFreeSessionIsKeptWhileItsDeferredJobIsInHand(): void
    {
        $queue = $this->sessions('next', ['a' => ['one']]);
        $consumer = $this->consumer($queue, ['session' => true]);
        $error = $this->thrown(TaskLostException::class, static fn () => $consumer->receiveDeferred(1));
        self::assertStringContainsString("the option 'session'", $error->getMessage());
        $task = $this->next($consumer);
        $task->defer();
        [$task] = $consumer->receiveDeferred($task->getSequenceNumber());
        // An empty session is released for the next one after a second.
        self::assertNull($consumer->waitTask(2.5));
        self::assertSame('a', $consumer->getSession());
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
        self::assertNull($consumer->waitTask(2.5));
        self::assertNull($consumer->getSession());
    }

    public function testWrongUses(): void
    {
        $queue = $this->sessions('errors', ['a' => ['one'], 'b' => ['two']]);
        $consumer = $this->consumer($queue, ['session' => 'a']);
        $task = $this->next($consumer);
        $number = $task->getSequenceNumber();
        $this->thrown(RejectedException::class, static fn () => $consumer->receiveDeferred($number)); // in hand
        $task->defer();
        $other = $this->consumer($queue, ['session' => 'b']);
        $this->thrown(RejectedException::class, static fn () => $other->receiveDeferred($number)); // of another session
        $error = $this->thrown(UnsupportedException::class, static fn () => $queue->receiveDeferred($number));
        self::assertStringContainsString('pass the session', $error->getMessage());
        foreach ([-1, ['x']] as $wrong) {
            $this->thrown(ConfigException::class, static fn () => $consumer->receiveDeferred($wrong));
        }
        $error = $this->thrown(ConfigException::class,
            static fn () => (new Consumer([$queue, new AmqpQueue('embedded://x?dialect=servicebus', 'y')]))->receiveDeferred(1));
        self::assertStringContainsString('several queues', $error->getMessage());
        $error = $this->thrown(UnsupportedException::class,
            static fn () => (new Consumer(new AmqpQueue('embedded://tests', 'q')))->receiveDeferred(1));
        self::assertStringContainsString('receiveDeferred()', $error->getMessage());
        [$task] = $consumer->receiveDeferred($number);
        $task->ack();
    }
}
