<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\TaskLostException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;

/**
 * A lost connection is restored; jobs that were in hand are reported as lost.
 *
 * @group alone
 */
#[Group('alone')]
final class ReconnectTest extends ContractTestCase
{
    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testConnectionsThatTheBrokerClosesAreMadeAgain(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("rabbitmqctl does not reach the user's own broker");
        }
        $queue = $this->queue($broker);
        $queue->push('held');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $held = $this->next($consumer);

        Ctl::run($at, 'close_all_connections', 'closed by a test');
        $queue->push('after'); // dials again, or sends unconfirmed jobs again
        $names = [];
        foreach ([1, 2] as $_) {
            $task = $this->next($consumer, 20);
            $names[$task->getName()] = $task->getAttempts();
            $task->ack();
        }
        ksort($names);
        self::assertSame(['after' => 1, 'held' => 2], $names);

        $held->nack('does nothing on a lost job', true);
        $held->release();
        $this->assertNoTask($consumer);
        $consumer->close();
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAcknowledgingALostJobSaysSo(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("rabbitmqctl does not reach the user's own broker");
        }
        $queue = $this->queue($broker);
        $id = $queue->push('held');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $held = $this->next($consumer);
        Ctl::run($at, 'close_all_connections', 'closed by a test');
        $this->next($consumer, 20)->nack('wait', true);
        $thrown = $this->thrown(TaskLostException::class, static fn () => $held->ack());

        self::assertStringContainsString($id, $thrown->getMessage());
        self::assertSame($id, $this->next($consumer)->getId());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testTheNextHostIsTried(string $broker): void
    {
        $at = $this->broker($broker);
        $dsn = str_replace($at->endpoint(), Sockets::refused() . ',' . $at->endpoint(), $at->dsn);
        $queue = new AmqpQueue($dsn, $this->uniqueName($at), ['timeout' => 10]);
        $queue->push('job');

        self::assertSame('job', $this->take($queue)->getName());
    }

    public function testABrokerThatRestartsIsFoundAgain(): void
    {
        $this->broker(isset(self::networked()['program']) ? 'program' : '');
        $broker = ProgramBroker::start();
        $queue = new AmqpQueue($broker->dsn, 'restart', ['timeout' => 20, 'redial_timeout' => 15]);
        $queue->push('before');
        $consumer = $this->consumer($queue);
        $this->next($consumer)->ack();

        $broker->stop();
        $again = ProgramBroker::start([], (int) parse_url($broker->dsn, PHP_URL_PORT));
        $queue->push('after');

        self::assertSame('after', $this->next($consumer, 20)->getName());
        $again->stop();
    }
}
