<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use PHPUnit\Framework\Attributes\DataProvider;

/** RabbitMQ is killed (SIGKILL) while a worker of the package works. Its classes belong to the group "alone". */
abstract class AdapterBrokerTestCase extends AdapterCase
{
    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testAKilledBrokerLosesNoJob(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("the user's own broker is not ours to kill");
        }
        $name = $this->uniqueName($at);
        $jobs = array_map(static fn (int $n) => "job-$n", range(1, 100));
        $this->pushAll($at->dsn, $name, $jobs);
        $worker = $this->work($at->dsn, $name, 0.05);
        $worker->waitFor('done job-10');
        sleep(3); // RabbitMQ persists the names of new quorum queues late: see BrokerRestartTest
        Ctl::broker($at, 'kill');
        Ctl::broker($at, 'start');
        self::assertSame(0, $worker->wait(120), $worker->output());
        $this->assertOthersDo(array_diff($jobs, self::jobs($worker, 'done')), $at->dsn, $name);
    }
}
