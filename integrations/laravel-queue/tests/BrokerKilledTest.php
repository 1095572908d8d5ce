<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Laravel\Tests\Support\Laravel;
use Amqp1\Laravel\Tests\Support\LaravelTestCase;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Ctl;
use App\Jobs\Note;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;

/**
 * RabbitMQ is killed (kill -9) under a worker, and comes back.
 *
 * @group alone
 */
#[Group('alone')]
final class BrokerKilledTest extends LaravelTestCase
{
    /** @return array<string, array{string}> */
    public static function rabbitMq43(): array
    {
        return array_intersect_key(Brokers::rabbitMq(), ['rabbitmq-4.3' => true]) ?: ['no RabbitMQ 4.3' => ['']];
    }

    /** @dataProvider rabbitMq43 */
    #[DataProvider('rabbitMq43')]
    public function testNoJobIsLostWithItsBroker(string $broker): void
    {
        $laravel = $this->laravel($broker, ['timeout' => 60]);
        $laravel->connection()->bulk(array_map(static fn (int $n) => new Note("$n", 'sleep 0.2'), range(1, 20)));
        $worker = $laravel->worker('--tries=10', '--sleep=0.1');
        $laravel->waitForNotes(5);
        sleep(3); // RabbitMQ persists the names of new quorum queues late
        Ctl::broker($this->broker($broker), 'kill');
        Ctl::broker($this->broker($broker), 'start');

        // As a supervisor does: Laravel ends a worker whose job fails because of a lost connection, whatever the connection.
        $deadline = microtime(true) + 120;
        while (count($this->slept($laravel)) < 20 && microtime(true) < $deadline) {
            if (!posix_kill($worker->pid(), 0)) {
                $worker = $laravel->worker('--tries=10', '--sleep=0.1');
            }
            usleep(100_000);
        }
        self::assertCount(20, $this->slept($laravel), implode(' | ', $laravel->notes()));
        // Pushed over the connection that was lost.
        $laravel->connection()->push(new Note('afterwards'));
        $laravel->until(static fn () => in_array('afterwards 1', $laravel->notes(), true) ?: null, 20, static fn () => 'a job');
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait());
        self::assertSame([], $laravel->failedJobs());
        self::assertNull($laravel->connection()->pop());
    }

    /** @return list<string> what was done to its end, each once */
    private function slept(Laravel $laravel): array
    {
        return array_values(array_unique(array_filter($laravel->notes(), static fn (string $note) => str_ends_with($note, 'slept'))));
    }
}
