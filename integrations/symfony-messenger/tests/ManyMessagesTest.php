<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use PHPUnit\Framework\Attributes\DataProvider;

/** Thousands of messages and two workers. */
final class ManyMessagesTest extends AppTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTwoWorkersHandleThousandsOfMessagesOnceEach(string $broker): void
    {
        $this->app($broker);
        $count = str_starts_with($broker, 'rabbitmq') ? 10_000 : 2_000;
        $workers = array_map(fn () => $this->start('messenger:consume', 'async', '--sleep=0.1'), [1, 2]);
        $this->console('app:dispatch', (string) $count);
        $deadline = microtime(true) + 120;
        while (count($this->log()) < 2 * $count && microtime(true) < $deadline) {
            usleep(300_000);
        }
        foreach ($workers as $worker) {
            $worker->signal(SIGTERM);
            self::assertSame(0, $worker->wait(20), $worker->output());
        }
        $handled = array_count_values(array_filter($this->log(), static fn ($line) => str_starts_with($line, 'begin')));

        self::assertCount($count, $handled, 'none is lost');
        self::assertSame([1], array_values(array_unique($handled)), 'none came twice');
        $this->assertLeft(0);
    }
}
