<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Task;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** reject() and discard(): no job is dropped unless that was asked for. */
final class RejectTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testARejectedJobIsDeadLetteredOrNotRejected(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $queue->push('job', 'x');
        $task = $this->reserved($queue);
        if ($at->isServiceBus()) {
            $task->reject('unusable', 'the order has no lines');
            self::assertSame('rejected', $task->getOutcome());
            $failed = $this->reserved($queue->failed());
            self::assertSame(['unusable', 'the order has no lines'], [$failed->getFailure()['reason'], $failed->getFailure()['error']]);
            // It can go no further.
            $this->thrown(UnsupportedException::class, static fn () => $failed->reject());
            self::assertNull($failed->getOutcome());
            $failed->ack();

            return;
        }
        // The queue has no dead-letter exchange, or the broker does not say.
        $error = $this->thrown(UnsupportedException::class, static fn () => $task->reject('unusable'));
        self::assertStringContainsString('discard()', $error->getMessage());
        self::assertFalse($task->isCompleted());
        $task->release();
        self::assertSame('x', $this->reserved($queue)->getPayload());
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testADeadLetterExchangeOfAnyNameGetsIt(string $broker): void
    {
        if (!$this->broker($broker)->supports('queue-options')) {
            self::assertNull($this->queue($broker)->reserve());

            return;
        }
        $at = $this->broker($broker);
        $exchange = $this->exchangeName($at, 'dead');
        $dead = $this->queue($broker, ['exchange' => $exchange, 'exchange_type' => 'fanout']);
        $dead->setup();
        foreach (['quorum', 'classic'] as $type) {
            $queue = $this->queue($broker, ['queue_type' => $type, 'dead_letter_exchange' => $exchange]);
            $queue->push('job', $type, ['reply_to' => 'answers']);
            $task = $this->reserved($queue);
            $task->reject('unusable');
            self::assertSame(['rejected', true], [$task->getOutcome(), $task->isCompleted()]);
            $task->ack();
            self::assertSame('rejected', $task->getOutcome(), 'settled once');

            $task = $this->reserved($dead);
            self::assertSame([$type, 'answers'], [$task->getPayload(), $task->getReplyTo()]);
            $task->ack();
            self::assertNull($queue->reserve());
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testADeadLetterExchangeByPolicyIsNamedByAnOptionWithoutDeclaring(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        (new Peer($at))->declareQueue($name, ['x-queue-type' => 'classic']);
        $dead = $this->queue($broker);
        $dead->setup();
        if (!Ctl::reaches($at)) {
            self::markTestSkipped('rabbitmqctl reaches only the brokers of scripts/brokers');
        }
        Ctl::run($at, 'set_policy', "policy-$name", "^$name\$", (string) json_encode([
            'dead-letter-exchange' => '', 'dead-letter-routing-key' => $dead->getName(),
        ]), '--apply-to', 'queues');
        try {
            $queue = new AmqpQueue($at->dsn, $name, ['timeout' => 20]);
            $queue->push('job', 'x');
            $task = $this->reserved($queue);
            $this->thrown(UnsupportedException::class, static fn () => $task->reject());
            $task->release();

            $queue = new AmqpQueue($at->dsn, $name, ['declare' => false, 'dead_letter_exchange' => '', 'timeout' => 20]);
            $this->reserved($queue)->reject();
            self::assertSame('x', $this->reserved($dead)->getPayload());
        } finally {
            Ctl::run($at, 'clear_policy', "policy-$name");
        }
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testWithoutManagementTheOptionSaysIt(string $broker): void
    {
        $at = $this->broker($broker);
        [$name, $dead] = [$this->uniqueName($at), $this->uniqueName($at)];
        $peer = new Peer($at);
        $peer->declareQueue($dead, []);
        $peer->declareQueue($name, ['x-dead-letter-exchange' => '', 'x-dead-letter-routing-key' => $dead]);
        $queue = new AmqpQueue($at->dsn, $name, ['dead_letter_exchange' => '', 'dead_letter_routing_key' => $dead, 'timeout' => 20]);
        $queue->push('job', 'x');
        $this->reserved($queue)->reject('unusable');
        self::assertSame('x', $peer->get($dead)->getBody());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testADiscardedJobIsGoneAndSaysSo(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $task->discard();
        self::assertSame(['discarded', true], [$task->getOutcome(), $task->isCompleted()]);
        $task->nack('too late');
        self::assertSame('discarded', $task->getOutcome());
        $consumer->close();
        $this->assertNoTask($this->consumer($queue));
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobWhoseCallWasRefusedCanBeSettledOtherwiseAndGoesBackIfItIsNot(string $broker): void
    {
        $at = $this->broker($broker);
        $refused = [];
        if (!$at->supports('delay')) {
            $refused['release'] = static fn (Task $task) => $task->release(1);
        }
        if (!$at->isServiceBus()) {
            $refused += ['reject' => static fn (Task $task) => $task->reject(), 'defer' => static fn (Task $task) => $task->defer()];
        }
        $queue = $this->queue($broker, ['max_attempts' => 0]);
        $queue->push('job', 'x');
        foreach ($refused as $name => $call) {
            $consumer = $this->consumer($queue, ['prefetch' => 1]);
            $task = $this->next($consumer);
            $this->thrown(UnsupportedException::class, static fn () => $call($task));
            self::assertSame([null, false, false], [$task->getOutcome(), $task->isCompleted(), $task->isLost()], $name);
            // Dropped: its consumer, which may hold no other, gets it again at once.
            unset($task);
            self::assertSame('x', $this->next($consumer)->getPayload(), $name);
            $consumer->close();
            $task = $this->reserved($queue);
            $this->thrown(UnsupportedException::class, static fn () => $call($task));
            unset($task);
        }
        $task = $this->reserved($queue);
        self::assertSame('x', $task->getPayload());
        $task->ack();
        self::assertNull($queue->reserve());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTheReasonOfAReleaseComesWithTheJob(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 0]);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        self::assertNull(($task = $this->next($consumer))->getReleaseReason());
        $task->release(reason: 'the tenant ä is locked');
        $task = $this->next($consumer);
        self::assertSame(['the tenant ä is locked', 2], [$task->getReleaseReason(), $task->getAttempts()]);
        $task->release(0, ['a' => 'b'], 'another');
        $task = $this->next($consumer);
        self::assertSame(['another', 3], [$task->getReleaseReason(), $task->getAttempts()]);
        self::assertSame(['a' => ['b']], $task->getHeaders());
        // One without a reason keeps the last.
        $task->release();
        $task = $this->next($consumer);
        self::assertSame('another', $task->getReleaseReason());
        $task->release(reason: str_repeat('ä', 5000));
        $task = $this->next($consumer);
        self::assertSame(str_repeat('ä', 2048), $task->getReleaseReason());
        $task->nack('no', false);
        self::assertSame(str_repeat('ä', 2048), $this->reserved($queue->failed())->getReleaseReason());
    }

    private function reserved(AmqpQueue $queue): Task
    {
        $task = $queue->reserve(10);
        self::assertNotNull($task, "a job in {$queue->getName()}");

        return $task;
    }
}
