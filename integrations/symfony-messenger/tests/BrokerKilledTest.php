<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Ctl;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;

/**
 * RabbitMQ is killed (kill -9) under a worker, and comes back.
 *
 * @group alone
 */
#[Group('alone')]
final class BrokerKilledTest extends AppTestCase
{
    /** @return array<string, array{string}> */
    public static function rabbitMq(): array
    {
        return array_intersect_key(Brokers::rabbitMq(), ['rabbitmq-4.3' => true]) ?: ['no RabbitMQ 4.3' => ['']];
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testNoMessageIsLostWithItsBroker(string $broker): void
    {
        $this->app($broker, ['timeout' => 60]);
        $this->console('app:dispatch', '20', 'sleep:0.2');
        $worker = $this->start('messenger:consume', 'async', '--time-limit=20');
        $this->waitForLog('begin 3');
        sleep(3); // RabbitMQ persists the names of new quorum queues late
        Ctl::broker($this->broker, 'kill');
        Ctl::broker($this->broker, 'start');
        // As a supervisor does: a worker ends if its message is lost, or if its broker does not come back in time.
        $deadline = microtime(true) + 90;
        $worker->wait();
        // A message that was done is there once more if its acknowledgement was lost.
        while ((count($this->done()) < 20 || $this->amqpQueue()->count() > 0) && microtime(true) < $deadline) {
            $this->start('messenger:consume', 'async', '--time-limit=3')->wait();
        }

        self::assertCount(20, $this->done());
        $this->assertLeft(0);
    }

    /** @return array<string, int> the numbers that were done, and how often */
    private function done(): array
    {
        $done = array_filter($this->log(), static fn ($line) => str_starts_with($line, 'done'));

        return array_count_values(array_map(static fn ($line) => explode(' ', $line)[1], $done));
    }
}
